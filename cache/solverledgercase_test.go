// Of solver_test.go, which says why.

//go:build !race

package cache_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache"
)

// TestLedgerCases has BuildKit's own solver do what a ledger once was wrong about.
func TestLedgerCases(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ops   string // see TestPredictCases
		steps string // see ledgerWalk.step
		want  string // what is predicted of the last build, by operation that takes something in
	}{{
		// Somebody edits the stage a, it comes out as before, and so c is found by its content.
		// From then on it is found by definition, even when what the edited stage made went.
		name: "what was built unseen and went leads on",
		ops: `
			base
			a base
			c base a:x`,
		steps: "build, list, edit a, build unseen, list, prune a, list, build",
		want:  "unknown unknown",
	}, {
		// So it is where the ledger was read again since.
		name: "and does after a restart",
		ops: `
			base
			a base
			c base a:x`,
		steps: "build, list, edit a, build unseen, list, prune a, list, reload, list, build",
		want:  "unknown unknown",
	}, {
		// And where several operations lie between.
		name: "and does over several operations",
		ops: `
			base
			a base
			b a
			c base b:x`,
		steps: "build, list, edit a, build unseen, list, prune a, prune b, list, build",
		want:  "unknown unknown unknown",
	}, {
		// It leads to nothing that was made later.
		name: "and does not to what came after it",
		ops: `
			base
			a base
			c base a:x`,
		steps: "edit a, build unseen, list, prune a, prune c, list, edit a, build, list, edit a, build",
		want:  "miss unknown",
	}, {
		// Nor does it to a stage that surely runs, as none but that takes it in.
		name: "and does not to what lies on it",
		ops: `
			base
			a base
			b a`,
		steps: "build, list, edit a, build unseen, list, prune a, prune b, list, build",
		want:  "miss miss",
	}, {
		// The stage b is edited and comes out as before, so that c is stored under the key that it
		// had. Whoever does not know that expects the solver to make b once more, to look for c
		// by its content.
		name: "a second key may be the first",
		ops: `
			base
			a base
			b base
			c a b:x
			d c`,
		steps: "build, list, prune a, prune c, prune d, edit b, list, build, list, prune b, list, no-cache d, build",
		want:  "hit unknown hit miss",
	}} {
		t.Run(tt.name, func(t *testing.T) {
			for range 20 { // the solver's goroutines race
				w := newLedgerWalk(t, 0, false)
				w.ops = nil
				w.read(tt.ops)
				var last []cache.Prediction
				for step := range strings.SplitSeq(tt.steps, ", ") {
					if predicted := w.step(t, step); predicted != nil {
						last = predicted
					}
				}
				var got []string
				for i, op := range w.ops {
					if len(op.inputs) > 0 {
						got = append(got, string(last[i].Forecast))
					}
				}
				if strings.Join(got, " ") != tt.want {
					t.Fatalf("predicted %s, want %s\n%s", got, tt.want, strings.Join(w.trail, "\n"))
				}
			}
		})
	}
}

// step does one step, a while after the one before: list, reload, build unseen, or one of
// walk.do. Of a build that is seen it returns what was predicted.
func (w *ledgerWalk) step(t *testing.T, step string) []cache.Prediction {
	t.Helper()
	w.pass(time.Minute)
	what, of, _ := strings.Cut(step, " ")
	switch {
	case step == "build":
		return w.do(t, len(w.trail))
	case step == "build unseen":
		fates, _ := w.solve(t)
		w.note("unseen %v", fates)
	case step == "list":
		w.list()
	case step == "reload":
		w.reload(t)
	case what == "prune": // all results of the operation, however it was edited
		for id, r := range w.shelf.have {
			if strings.TrimRight(r.does, "'") == of {
				delete(w.shelf.have, id)
				delete(w.times, id)
			}
		}
		if err := w.keys.ReleaseUnreferenced(t.Context()); err != nil {
			t.Fatal(err)
		}
	case what == "edit":
		for i, op := range w.ops {
			if strings.TrimRight(op.does, "'") == of {
				w.ops[i].does += "'"
			}
		}
	default:
		w.walk.do(t, step)
	}
	w.note("%s", step)
	return nil
}
