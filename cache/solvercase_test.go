// Of solver_test.go, which says why.

//go:build !race

package cache_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/buildkit/solver"

	"github.com/stokerd/stoker/cache"
)

// TestPredictCases has BuildKit's own solver do what a walk once was wrong about.
func TestPredictCases(t *testing.T) {
	for _, tt := range []struct {
		name string
		// ops are what is built, one a line: its name, then what it takes in. What is
		// called files or text is a local source or a heredoc, and of a:x the content
		// at x counts.
		ops   string
		steps string // see walk.do
	}{{
		// A cache elsewhere learns no link in a build, and none is from the key of local
		// files: what was made from them has no key there.
		name: "what was made from local files is not found elsewhere",
		ops: `
			base
			files
			a base
			b a files:x
			c b`,
		steps: "build and export, prune c, no-cache a, build elsewhere",
	}, {
		// The third time b gives what it once gave from other files: c, which is made, has
		// either of the keys to which that and its definition lead, and d one result of two.
		name: "what was made has one of two keys",
		ops: `
			base
			files
			a base
			b a files:x
			c a b:y
			d c`,
		steps: "build, prune d, files files2, effect b 1, build, effect b 13, no-cache a, build",
	}, {
		// What is brought of a is found by its definition: only elsewhere does the content of
		// base lead to it. So with the other base it is found there, and is new here.
		name: "what was found by content elsewhere is another one here",
		ops: `
			base
			files
			text
			a text base:x
			b a files:x
			c b`,
		steps: "build and export, prune all, build elsewhere, files files2, build, " +
			"edit base, files files, build elsewhere, files files2, build",
	}, {
		// Whether d is made, so that its content leads to more keys of e, hangs on which of
		// the two caches answers first for c.
		name: "what has a result may still look at content",
		ops: `
			base
			files
			text
			a text
			b a text:y
			c b
			d c files:y
			e c d:x
			f e text:x`,
		steps: "build and export the last, build and export, files files2, build, " +
			"prune a, prune b, prune c, prune d, prune f, build elsewhere",
	}, {
		// The third files give the same content of a as the second, and nothing tells that: the
		// key of c that is made on them is taken for a new one, and so is that of d. Both are
		// old ones, so that d has two results. What is loaded after one was lost is the other.
		name: "what was loaded is a result that was taken for another key's",
		ops: `
			base
			files
			a base files:x
			b base a:y
			c b
			d c`,
		steps: "files files10, build, files files39, build, files files43, build, no-cache c, build, " +
			"files files39, build, lose d, build, prune all, build",
	}, {
		// That a comes out as something else leads to the known key of b here, from then on, and
		// to none elsewhere: there c is not found by it.
		name: "other content leads to no key elsewhere",
		ops: `
			base
			files
			x base
			a x
			b x a:y
			c b`,
		steps: "build, prune b, build and export, prune all, effect a 1, no-cache a, build elsewhere",
	}} {
		t.Run(tt.name, func(t *testing.T) {
			for range 20 { // the solver's goroutines race
				w := newWalk(t, 0)
				w.read(tt.ops)
				for step := range strings.SplitSeq(tt.steps, ", ") {
					w.do(t, step)
				}
			}
		})
	}
}

// read makes operations of their names.
func (w *walk) read(ops string) {
	index := map[string]int{}
	for line := range strings.Lines(ops) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		op := operation{does: fields[0], told: fields[0] == "text"}
		if fields[0] == "files" {
			op.local = "files"
		}
		for _, in := range fields[1:] {
			of, selector, byContent := strings.Cut(in, ":")
			op.inputs = append(op.inputs, operand{of: index[of], selector: selector, byContent: byContent})
		}
		index[fields[0]] = len(w.ops)
		w.ops = append(w.ops, op)
	}
}

// do does one step: build [elsewhere] [and export [the last]], prune OP, prune all, lose OP,
// no-cache OP, files CONTENT, edit OP, or effect OP NUMBER.
func (w *walk) do(t *testing.T, step string) {
	t.Helper()
	fields := strings.Fields(step)
	at := func(name string) *operation {
		i := slices.IndexFunc(w.ops, func(o operation) bool { return o.does == name })
		if i < 0 {
			t.Fatalf("%s: there is no %s", step, name)
		}
		return &w.ops[i]
	}
	switch fields[0] {
	case "build":
		var from []*export
		if slices.Contains(fields, "elsewhere") {
			from = w.exports
		}
		w.build(t, step, from, func(built solver.CachedResult) {
			switch fields[len(fields)-1] {
			case "export":
				w.export(t, built, solver.CacheExportModeMax)
			case "last":
				w.export(t, built, solver.CacheExportModeMin)
			}
		})
		for i := range w.ops {
			w.ops[i].ignore = false
		}
	case "prune":
		if fields[1] == "all" {
			w.prune(1)
			w.release(t)
			return
		}
		w.mirror = w.mirror.Mark(w.drop(w.stored[fields[1]]))
	case "lose": // as prune, and nobody sees it
		lives := w.drop(w.stored[fields[1]])
		for key := range lives {
			lives[key] = cache.Perhaps
		}
		w.mirror = w.mirror.Mark(lives)
	case "no-cache":
		at(fields[1]).ignore = true
	case "files":
		w.ops[slices.IndexFunc(w.ops, func(o operation) bool { return o.local != "" })].local = fields[1]
	case "edit":
		at(fields[1]).does += "'"
	case "effect": // what it does comes out as something else, as where it takes from the network
		effect, err := strconv.Atoi(fields[2])
		if err != nil {
			t.Fatal(err)
		}
		at(fields[1]).effect = effect
	default:
		t.Fatal(fmt.Sprint("what is ", step, "?"))
	}
}
