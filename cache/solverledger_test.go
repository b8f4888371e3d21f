// Of solver_test.go, which says why.

//go:build !race

package cache_test

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/solver"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/ledger"
	"github.com/stokerd/stoker/internal/randtest"
)

// A ledgerWalk is a walk of which a ledger is told what a daemon is told: what was executed
// when, and a list of what the builder holds, in which the results of many operations look
// alike and were made at about the same time.
type ledgerWalk struct {
	*walk
	ledger *ledger.Ledger
	on     map[string][]byte // what was saved of it
	now    time.Time
	times  map[string]*times // of the results, by id
	trail  []string
}

// times are when things happened to a result.
type times struct {
	begun, done, used time.Time
	held              bool // until now, by the build that made or loaded it
	final             bool // something was made upon it, and it is listed as done
}

func newLedgerWalk(t *testing.T, seed uint64, hides bool) *ledgerWalk {
	w := &ledgerWalk{
		walk: newWalk(t, seed), on: map[string][]byte{}, times: map[string]*times{},
		now: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC),
	}
	w.ledger = ledger.New(sealText)
	w.draw()
	if hides {
		w.download()
	}
	w.repeat()
	return w
}

// repeat makes one of the operations the same as another one, upon something else.
func (w *ledgerWalk) repeat() {
	var plain []int // those that take one thing in, and not by its content
	for i, op := range w.ops {
		if len(op.inputs) == 1 {
			plain = append(plain, i)
		}
	}
	for range 4 {
		if len(plain) < 2 {
			return
		}
		w.Shuffle(len(plain), func(i, j int) { plain[i], plain[j] = plain[j], plain[i] })
		first, second := &w.ops[plain[0]], &w.ops[plain[1]]
		if first.inputs[0] != second.inputs[0] {
			second.like, _, _ = strings.Cut(first.does, ".")
			return
		}
	}
}

// download makes the first operation a hidden one, and has another one take files of it.
func (w *ledgerWalk) download() {
	w.ops[0].hidden = true
	first := slices.IndexFunc(w.ops, func(op operation) bool { return len(op.inputs) > 0 })
	op := &w.ops[first+w.IntN(len(w.ops)-first)]
	op.inputs = append(op.inputs[:1], operand{of: 0, selector: w.selector(), byContent: true})
}

func sealText(digest string) string { return strings.TrimPrefix(digest, "sha256:") }

func (w *ledgerWalk) note(format string, args ...any) {
	w.trail = append(w.trail, w.now.Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// pass lets some time go by.
func (w *ledgerWalk) pass(choices ...time.Duration) {
	by := choices[w.IntN(len(choices))]
	w.now = w.now.Add(by + time.Duration(w.Int64N(int64(by)+1)))
}

// record is what the builder lists an operation's result as. Some operations share one.
func (w *ledgerWalk) record(op operation) string {
	name, _, _ := strings.Cut(op.does, ".")
	if len(op.inputs) == 0 {
		return ""
	}
	name = cmp.Or(op.like, name)
	var n int
	if _, err := fmt.Sscanf(name, "op%d", &n); err != nil {
		return name
	}
	return fmt.Sprint("record", n%5)
}

// held is what the builder lists.
func (w *ledgerWalk) held() []buildkit.Held {
	var list []buildkit.Held
	for _, id := range slices.Sorted(maps.Keys(w.shelf.have)) {
		r := w.shelf.have[id]
		i := slices.IndexFunc(w.ops, func(op operation) bool { return sameName(op.does, r.does) })
		if i < 0 || w.times[id] == nil {
			continue
		}
		at := w.times[id]
		h := buildkit.Held{Record: w.record(w.ops[i]), Created: at.begun, Used: at.used, InUse: at.held}
		if at.held || at.final {
			h.Created = at.done
		}
		list = append(list, h)
	}
	w.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func sameName(a, b string) bool {
	nameA, _, _ := strings.Cut(a, ".")
	nameB, _, _ := strings.Cut(b, ".")
	return nameA == nameB
}

// list has the ledger be told what the builder holds.
func (w *ledgerWalk) list() {
	w.ledger.List(w.held())
	w.note("listed")
}

// solve has BuildKit's solver build the operations, which takes time.
func (w *ledgerWalk) solve(t *testing.T) (fates []cache.Fate, runs []buildkit.Run) {
	for _, at := range w.times {
		at.held = false
	}
	fates, made := build(t, w.solver, w.shelf, w.ops, nil, func(solver.CachedResult) {})
	runs = make([]buildkit.Run, len(fates))
	began, before := w.now, time.Time{}
	for i, fate := range fates {
		if len(w.ops[i].inputs) == 0 || fate == cache.Untouched {
			continue
		}
		if beside := w.IntN(2) == 0; !beside || before.IsZero() {
			before = w.now
		}
		runs[i].Started = before // that is, perhaps beside the one before it
		w.pass(time.Millisecond, 20*time.Millisecond, 200*time.Millisecond, 2*time.Second)
		runs[i].Completed = w.now
		if id := made[i]; id != "" {
			span := runs[i].Completed.Sub(runs[i].Started)
			at := &times{begun: runs[i].Started.Add(time.Duration(w.Int64N(int64(span)/4 + 1))), done: runs[i].Completed.Add(-time.Duration(w.Int64N(int64(span)/4 + 1)))}
			w.times[id] = at
			w.note("%s makes a %s, of %s", w.ops[i].does, w.record(w.ops[i]), at.begun.Format("05.000"))
			continue
		}
		runs[i].Started = runs[i].Completed
	}
	busy := w.IntN(4) == 0 // the build still holds what it used when the builder is asked
	for id, at := range w.times {
		if at.begun.Before(began) && !w.shelf.used[id] {
			continue
		}
		at.used, at.held = w.now, busy
		for _, layer := range w.shelf.have[id].layers[:len(w.shelf.have[id].layers)-1] {
			if under := w.times[layer.id]; under != nil {
				under.final = true
			}
		}
	}
	return fates, runs
}

// do is one build of the walk. It returns what was predicted of it.
func (w *ledgerWalk) do(t *testing.T, n int) []cache.Prediction {
	t.Helper()
	g := graphOf(w.ops)
	records := make([]string, len(w.ops))
	for i, op := range w.ops {
		records[i] = w.record(op)
	}
	predicted := w.ledger.Predict(g, records)
	fates, runs := w.solve(t)
	for i, p := range predicted {
		if len(g.Nodes[i].Inputs) == 0 {
			continue
		}
		w.total++
		if p.Forecast == cache.Unknown {
			w.unknown++
		} else if (p.Forecast == cache.WillMiss) != (fates[i] == cache.Made) {
			t.Fatalf("build %d: node %d %s predicted %s, was %v\n%s\n%s", n, i, w.ops[i].does, p.Forecast, fates[i], dump(w.ops, predicted, fates), strings.Join(w.trail, "\n"))
		}
	}
	if w.IntN(6) > 0 {
		w.learn(g, records, fates, runs)
		return predicted
	}
	// Another one has ended before the first is told of.
	w.pass(5*time.Millisecond, time.Second)
	again, runsAgain := w.solve(t)
	w.learn(g, records, fates, runs)
	if w.IntN(2) == 0 {
		w.list()
	}
	w.learn(g, records, again, runsAgain)
	return predicted
}

// learn tells the ledger of a build.
func (w *ledgerWalk) learn(g cache.Graph, records []string, fates []cache.Fate, runs []buildkit.Run) {
	w.ledger.Learn(ledger.Build{Graph: g, Fates: fates, Runs: runs, Records: records, Whole: true})
	w.note("learned %v", fates)
}

// between is what happens between two builds.
func (w *ledgerWalk) between(t *testing.T) {
	t.Helper()
	if w.IntN(4) > 0 {
		w.list()
	}
	for range 1 + w.IntN(2) {
		w.pass(5*time.Millisecond, 100*time.Millisecond, time.Second, time.Minute)
		switch w.IntN(7) {
		case 0:
			w.lose(t)
		case 6: // one without cache that nobody saw, as a verification makes them
			was := slices.Clone(w.ops)
			for i := range w.ops {
				w.ops[i].ignore = true
			}
			fates, _ := w.solve(t)
			w.ops = was
			w.note("unseen, without cache %v", fates)
		case 1: // a build that nobody saw
			fates, _ := w.solve(t)
			w.note("unseen %v", fates)
		default:
			w.note("%s", w.change())
		}
		if w.IntN(3) == 0 {
			w.list()
		}
	}
	if w.IntN(6) == 0 {
		w.reload(t)
	}
	w.list()
}

// lose has some results go.
func (w *ledgerWalk) lose(t *testing.T) {
	t.Helper()
	for _, id := range slices.Sorted(maps.Keys(w.times)) {
		if w.shelf.have[id] != nil && w.IntN(3) == 0 {
			w.note("%s goes, of %s", w.shelf.have[id].does, w.times[id].begun.Format("05.000"))
			delete(w.shelf.have, id)
			delete(w.times, id)
		}
	}
	if w.IntN(2) == 0 {
		if err := w.keys.ReleaseUnreferenced(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// reload goes on with what was kept.
func (w *ledgerWalk) reload(t *testing.T) {
	t.Helper()
	err := w.ledger.Save(func(anew bool, changes iter.Seq2[string, []byte]) error {
		if anew {
			clear(w.on)
		}
		for key, value := range changes {
			if w.on[key] = value; value == nil {
				delete(w.on, key)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if w.ledger, err = ledger.Load(sealText, maps.All(w.on)); err != nil {
		t.Fatal(err)
	}
	w.note("reloaded")
}

// TestLedgerIsTheSolvers walks through builds with BuildKit's own solver, of which a
// ledger knows what a builder tells of builds and lists: results by a name that several
// share, and when they were made, sometimes almost at once.
func TestLedgerIsTheSolvers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hides bool
		most  int // of ten predictions so many may be none
	}{{"all known", false, 2}, {"with a download", true, 6}} {
		t.Run(tt.name, func(t *testing.T) {
			unknown, total := 0, 0
			for seed := range randtest.Seeds(t, 100, 5000) {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					w := newLedgerWalk(t, seed, tt.hides)
					for n := range 12 {
						w.do(t, n)
						w.between(t)
					}
					unknown, total = unknown+w.unknown, total+w.total
				})
				if t.Failed() {
					break
				}
			}
			t.Logf("%d of %d predictions are no prediction", unknown, total)
			// A walk alone may be unlucky, but not many.
			if total >= 5000 && unknown*10 > total*tt.most {
				t.Error("so many need not be unknown")
			}
		})
	}
}
