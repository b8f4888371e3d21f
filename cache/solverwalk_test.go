// Of solver_test.go, which says why.

//go:build !race

package cache_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/solver"

	"github.com/stokerd/stoker/cache"
)

// A walk changes a build step by step, as somebody who works on it does.
type walk struct {
	*rand.Rand
	ops     []operation
	solver  *solver.Solver
	keys    solver.CacheManager
	shelf   *shelf
	mirror  *cache.Mirror
	stored  map[string]cache.KeyID   // the latest keys of operations by what they do
	results map[cache.KeyID][]string // ids of those that the builder holds
	kept    map[fact]cache.Fact      // what the mirror says
	exports []*export                // caches elsewhere, the latest two
	// forgotten are the keys that led nowhere when the builder last forgot such, and
	// have ever since.
	forgotten []cache.KeyID
	brought   map[cache.KeyID]string // ids of results that surely were brought from elsewhere
	// unknown is how many of total predictions are none, sure how many of perhaps results
	// surely were brought.
	unknown, total, sure, perhaps int
}

// A fact is what a fact is about.
type fact struct {
	kind cache.FactKind
	link cache.Link
	key  cache.KeyID
}

func newWalk(t *testing.T, seed uint64) *walk {
	w := &walk{
		Rand:  rand.New(rand.NewPCG(seed, 0)),
		shelf: &shelf{have: map[string]*result{}, loaded: map[string]bool{}, brought: map[string][]string{}, used: map[string]bool{}, of: map[string]string{}, fresh: map[string]bool{}}, brought: map[cache.KeyID]string{},
		results: map[cache.KeyID][]string{}, kept: map[fact]cache.Fact{}, stored: map[string]cache.KeyID{},
	}
	w.keys = solver.NewCacheManager(t.Context(), "test", solver.NewInMemoryCacheStorage(), w.shelf)
	w.solver = solver.NewSolver(solver.SolverOpt{
		ResolveOpFunc: func(v solver.Vertex, _ solver.Builder) (solver.Op, error) { return v.Sys().(solver.Op), nil },
		DefaultCache:  w.keys,
	})
	t.Cleanup(w.solver.Close)
	return w
}

func (w *walk) draw() {
	sources := 1 + w.IntN(2)
	for i := range sources {
		w.ops = append(w.ops, operation{does: fmt.Sprint("base", i)})
	}
	local := len(w.ops)
	w.ops = append(w.ops, operation{does: "context", local: w.content()})
	w.ops = append(w.ops, operation{does: "text.0", told: true})
	for i := range 3 + w.IntN(6) {
		op := operation{does: fmt.Sprint("op", i, ".0"), effect: w.IntN(3)}
		op.inputs = []operand{{of: w.stage(local)}}
		switch w.IntN(4) {
		case 3:
			op.inputs = append(op.inputs, operand{of: local + 1, selector: w.selector(), byContent: true})
		case 0:
			op.inputs = append(op.inputs, operand{of: local, selector: w.selector(), byContent: true})
		case 1:
			op.inputs = append(op.inputs, operand{of: w.stage(local), selector: w.selector(), byContent: true})
		}
		w.ops = append(w.ops, op)
	}
}

// stage draws a node that is no local source, the latest most often.
func (w *walk) stage(local int) int {
	for {
		i := len(w.ops) - 1
		for i > 0 && w.IntN(3) == 0 {
			i--
		}
		if i != local {
			return i
		}
		if n := w.IntN(len(w.ops)); n != local {
			return n
		}
	}
}

func (w *walk) content() string  { return fmt.Sprint("files", w.IntN(4)) }
func (w *walk) selector() string { return fmt.Sprint("path", w.IntN(2)) }

// change returns what was done.
func (w *walk) change() string {
	for i := range w.ops {
		w.ops[i].ignore = false
	}
	i := w.IntN(len(w.ops))
	op := &w.ops[i]
	switch what := w.IntN(12); {
	case what < 4:
		i := slices.IndexFunc(w.ops, func(o operation) bool { return o.local != "" })
		w.ops[i].local = w.content()
		return "files " + w.ops[i].local
	case what < 7 && op.local == "":
		name, _, _ := strings.Cut(op.does, ".")
		version, effect := w.IntN(3), w.IntN(3)
		if op.told {
			effect = version % 2 // what it does says what it gives
		}
		op.does, op.effect = fmt.Sprint(name, ".", version), effect
		return "edit " + op.does
	case what < 9 && len(op.inputs) > 0:
		op.ignore = true
		return fmt.Sprint("no-cache ", i)
	}
	return w.prune(3)
}

// prune makes one result in some go, as a builder's garbage collection does.
func (w *walk) prune(some int) string {
	gone := map[cache.KeyID]cache.Life{}
	for _, key := range slices.Sorted(maps.Keys(w.results)) {
		if w.IntN(some) > 0 {
			continue
		}
		if w.results[key] == nil {
			continue
		}
		maps.Copy(gone, w.drop(key))
		if some > 1 && w.IntN(4) == 0 {
			gone[key] = cache.Perhaps
		}
	}
	w.mirror = w.mirror.Mark(gone)
	w.keep()
	return fmt.Sprint("prune ", len(gone))
}

// drop makes the results of a key go, and returns what becomes known by that. What was
// brought may be that of several keys: where it goes for one, the others may have lost
// theirs.
func (w *walk) drop(key cache.KeyID) map[cache.KeyID]cache.Life {
	lives, gone := map[cache.KeyID]cache.Life{key: cache.Gone}, w.results[key]
	for _, id := range gone {
		delete(w.shelf.have, id)
	}
	delete(w.results, key)
	for other, ids := range w.results {
		left := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(gone, id) })
		switch {
		case len(left) == len(ids):
		case len(left) == 0:
			lives[other] = cache.Gone
			delete(w.results, other)
		default:
			lives[other] = cache.Perhaps
			w.results[other] = left
		}
	}
	return lives
}

// release has the builder forget the keys of results that went.
func (w *walk) release(t *testing.T) {
	t.Helper()
	if err := w.keys.ReleaseUnreferenced(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.forgotten = w.mirror.DeadEnds()
	slices.Sort(w.forgotten)
}

// keep notes what is new, and now and then goes on with what was noted of the
// mirror, or without what leads nowhere and the builder has forgotten.
func (w *walk) keep() {
	w.note()
	switch w.IntN(6) {
	case 0:
		w.mirror = cache.MirrorOf(maps.Values(w.kept))
	case 1:
		w.mirror = w.mirror.Forget(w.forgotten[:w.IntN(len(w.forgotten)+1)])
		w.note()
	}
}

func (w *walk) note() {
	dead := w.mirror.DeadEnds()
	w.forgotten = slices.DeleteFunc(w.forgotten, func(k cache.KeyID) bool { return !slices.Contains(dead, k) })
	for f := range w.mirror.News() {
		key := fact{f.Kind, f.Link, f.Key}
		if w.kept[key] = f; f.Dropped {
			delete(w.kept, key)
		}
	}
}
