// BuildKit's solver, the oracle here, races with its own tracing (solver.CacheKey.TraceFields), so
// `make test` runs this apart, without the race detector.

//go:build !race

package cache_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/util/compression"
	digest "github.com/opencontainers/go-digest"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/internal/randtest"
)

// An operation is a made-up one that BuildKit's own solver can run. Equal does
// are equal operations; effect decides its result together with what it takes
// in, so that different operations and inputs can come out equal.
type operation struct {
	does   string
	effect int
	local  string // of a local source: its content
	inputs []operand
	ignore bool
}

type operand struct {
	of        int
	selector  string
	byContent bool
}

// contentOf is the digest of what an input selects of a result. There are few,
// so that different results often are equal in part.
func contentOf(value, selector string) digest.Digest {
	return digest.FromString(fmt.Sprint(selector, digest.FromString(value + selector)[7:8]))
}

// A vertex is an operation of one build.
type vertex struct {
	operation
	run    *run
	index  int
	digest digest.Digest
	edges  []solver.Edge
}

func (v *vertex) Digest() digest.Digest { return v.digest }
func (v *vertex) Sys() any              { return v }
func (v *vertex) Inputs() []solver.Edge { return v.edges }
func (v *vertex) Name() string          { return fmt.Sprint(v.index, " ", v.does) }
func (v *vertex) Options() solver.VertexOptions {
	return solver.VertexOptions{IgnoreCache: v.ignore}
}

func (v *vertex) opDigest() digest.Digest {
	if v.local != "" {
		return digest.Digest("random:" + digest.FromString(identity.NewID()).Encoded())
	}
	return digest.FromString(v.does)
}

func (v *vertex) CacheMap(context.Context, solver.JobContext, int) (*solver.CacheMap, bool, error) {
	m := &solver.CacheMap{Digest: v.opDigest(), Deps: make([]struct {
		Selector          digest.Digest
		ComputeDigestFunc solver.ResultBasedCacheFunc
		PreprocessFunc    solver.PreprocessFunc
	}, len(v.inputs))}
	for i, in := range v.inputs {
		if in.selector != "" {
			m.Deps[i].Selector = digest.FromString(in.selector)
		}
		if in.byContent {
			m.Deps[i].ComputeDigestFunc = func(_ context.Context, r solver.Result, _ session.Group) (digest.Digest, error) {
				return contentOf(r.Sys().(*result).value, in.selector), nil
			}
		}
	}
	return m, true, nil
}

func (v *vertex) Exec(_ context.Context, _ solver.JobContext, inputs []solver.Result) ([]solver.Result, error) {
	v.run.mu.Lock()
	defer v.run.mu.Unlock()
	value := v.local
	if value == "" {
		parts := []string{fmt.Sprint(v.effect)}
		for _, r := range inputs {
			parts = append(parts, r.Sys().(*result).value)
		}
		value = digest.FromString(strings.Join(parts, ",")).Encoded()
	}
	r := &result{id: identity.NewID(), value: value, does: v.does}
	v.run.made[v.index] = r.id
	return []solver.Result{r}, nil
}

func (v *vertex) Acquire(context.Context) (solver.ReleaseFunc, error) { return func() {}, nil }

type result struct{ id, value, does string }

func (r *result) ID() string                    { return r.id }
func (r *result) Release(context.Context) error { return nil }
func (r *result) Sys() any                      { return r }
func (r *result) Clone() solver.Result          { return r }

// A shelf stores results, as a builder's snapshots do: they can go at any time.
type shelf struct {
	mu     sync.Mutex
	have   map[string]*result
	loaded map[string]bool // what their operations do
}

func (s *shelf) Save(r solver.Result, at time.Time) (solver.CacheResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.have[r.ID()] = r.Sys().(*result)
	return solver.CacheResult{ID: r.ID(), CreatedAt: at}, nil
}

func (s *shelf) Load(_ context.Context, res solver.CacheResult) (solver.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.have[res.ID]
	if r == nil {
		return nil, fmt.Errorf("result %s is gone", res.ID)
	}
	s.loaded[r.does] = true
	return r, nil
}

func (s *shelf) LoadRemotes(context.Context, solver.CacheResult, *compression.Config, session.Group) ([]*solver.Remote, error) {
	return nil, nil
}

func (s *shelf) Exists(_ context.Context, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.have[id] != nil
}

// A run is one build by BuildKit's solver.
type run struct {
	mu   sync.Mutex
	made map[int]string // ids of results by operation
}

// build solves the operations and returns what became of each.
func build(t *testing.T, s *solver.Solver, on *shelf, ops []operation) ([]cache.Fate, map[int]string) {
	t.Helper()
	r := &run{made: map[int]string{}}
	clear(on.loaded)
	vertices := make([]*vertex, len(ops))
	for i, op := range ops {
		v := &vertex{operation: op, run: r, index: i}
		text := fmt.Sprint(op.does, op.ignore)
		if op.local != "" {
			text = identity.NewID()
		}
		for _, in := range op.inputs {
			v.edges = append(v.edges, solver.Edge{Vertex: vertices[in.of]})
			text += fmt.Sprint(vertices[in.of].digest, in.selector)
		}
		v.digest = digest.FromString(text)
		vertices[i] = v
	}
	job, err := s.NewJob(identity.NewID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := job.Build(t.Context(), solver.Edge{Vertex: vertices[len(ops)-1]}); err != nil {
		t.Fatal(err)
	}
	if err := job.Discard(); err != nil {
		t.Fatal(err)
	}
	fates := make([]cache.Fate, len(ops))
	for i, op := range ops {
		switch {
		case r.made[i] != "":
			fates[i] = cache.Made
		case on.loaded[op.does]:
			fates[i] = cache.Loaded
		}
	}
	return fates, r.made
}

// graphOf is what stoker knows of the operations before a build: the content of
// local sources, and no other.
func graphOf(ops []operation) cache.Graph {
	g := cache.Graph{Targets: []int{len(ops) - 1}}
	for i, op := range ops {
		n := cache.Node{Steps: []int{i}, NoCache: op.ignore}
		if op.local == "" {
			n.Digests = []string{op.does}
		}
		for _, in := range op.inputs {
			input := cache.Input{Node: in.of, Selector: in.selector, ByContent: in.byContent}
			if from := ops[in.of]; from.local != "" {
				input.Content = contentOf(from.local, in.selector).String()
			}
			n.Inputs = append(n.Inputs, input)
		}
		g.Nodes = append(g.Nodes, n)
	}
	return g
}

// A walk changes a build step by step, as somebody who works on it does.
type walk struct {
	*rand.Rand
	ops     []operation
	shelf   *shelf
	mirror  *cache.Mirror
	results map[cache.KeyID][]string // ids of those that the builder holds
	kept    map[fact]cache.Fact      // what the mirror says
}

// A fact is what a fact is about.
type fact struct {
	kind cache.FactKind
	link cache.Link
	key  cache.KeyID
}

func (w *walk) draw() {
	sources := 1 + w.IntN(2)
	for i := range sources {
		w.ops = append(w.ops, operation{does: fmt.Sprint("base", i)})
	}
	local := len(w.ops)
	w.ops = append(w.ops, operation{does: "context", local: w.content()})
	for i := range 3 + w.IntN(6) {
		op := operation{does: fmt.Sprint("op", i, ".0"), effect: w.IntN(3)}
		op.inputs = []operand{{of: w.stage(local)}}
		switch w.IntN(3) {
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
		op.does, op.effect = fmt.Sprint(name, ".", w.IntN(3)), w.IntN(3)
		return "edit " + op.does
	case what < 9 && len(op.inputs) > 0:
		op.ignore = true
		return fmt.Sprint("no-cache ", i)
	}
	return w.prune()
}

// prune makes some results go, as a builder's garbage collection does.
func (w *walk) prune() string {
	gone := map[cache.KeyID]cache.Life{}
	for _, key := range slices.Sorted(maps.Keys(w.results)) {
		if w.IntN(3) > 0 {
			continue
		}
		for _, id := range w.results[key] {
			delete(w.shelf.have, id)
		}
		delete(w.results, key)
		gone[key] = cache.Gone
		if w.IntN(4) == 0 {
			gone[key] = cache.Perhaps
		}
	}
	w.mirror = w.mirror.Mark(gone)
	w.keep()
	return fmt.Sprint("prune ", len(gone))
}

// keep notes what is new, and now and then goes on with what was noted of the
// mirror, or without what leads nowhere.
func (w *walk) keep() {
	w.note()
	switch w.IntN(6) {
	case 0:
		w.mirror = cache.MirrorOf(maps.Values(w.kept))
	case 1:
		dead := w.mirror.DeadEnds()
		slices.Sort(dead)
		w.mirror = w.mirror.Forget(dead[:w.IntN(len(dead)+1)])
		w.note()
	}
}

func (w *walk) note() {
	for f := range w.mirror.News() {
		key := fact{f.Kind, f.Link, f.Key}
		if w.kept[key] = f; f.Dropped {
			delete(w.kept, key)
		}
	}
}

// TestPredictIsTheSolvers walks through builds with BuildKit's own solver: what
// the mirror of them predicts is what the next one does.
func TestPredictIsTheSolvers(t *testing.T) {
	unknown, total := 0, 0
	for seed := range randtest.Seeds(t, 150, 5000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			on := &shelf{have: map[string]*result{}, loaded: map[string]bool{}}
			keys := solver.NewCacheManager(t.Context(), "test", solver.NewInMemoryCacheStorage(), on)
			s := solver.NewSolver(solver.SolverOpt{
				ResolveOpFunc: func(v solver.Vertex, _ solver.Builder) (solver.Op, error) { return v.Sys().(solver.Op), nil },
				DefaultCache:  keys,
			})
			defer s.Close()
			w := &walk{Rand: rand.New(rand.NewPCG(seed, 0)), shelf: on, results: map[cache.KeyID][]string{}, kept: map[fact]cache.Fact{}}
			w.draw()
			what := "start"
			for step := range 12 {
				g := graphOf(w.ops)
				predicted := w.mirror.Predict(g)
				fates, made := build(t, s, on, w.ops)
				for i, p := range predicted {
					if len(g.Nodes[i].Inputs) == 0 {
						continue
					}
					total++
					if p.Forecast == cache.Unknown {
						unknown++
						continue
					}
					if (p.Forecast == cache.WillMiss) != (fates[i] == cache.Made) {
						t.Fatalf("build %d after %s: node %d %s predicted %s, was %v\n%s", step, what, i, w.ops[i].does, p.Forecast, fates[i], dump(w.ops, predicted, fates))
					}
				}
				var stored []cache.KeyID
				w.mirror, stored = w.mirror.Learn(g, fates)
				w.keep()
				for i, id := range made {
					if stored[i] != "" {
						w.results[stored[i]] = append(w.results[stored[i]], id)
					}
				}
				what = w.change()
				// A prune ends with it, garbage collection has it done later.
				if w.IntN(4) == 0 {
					if err := keys.ReleaseUnreferenced(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
		if t.Failed() {
			break
		}
	}
	if unknown*10 > total {
		t.Errorf("%d of %d predictions are no prediction", unknown, total)
	}
}

func dump(ops []operation, predicted []cache.Prediction, fates []cache.Fate) string {
	var b strings.Builder
	for i, op := range ops {
		fmt.Fprintf(&b, "%2d %-10s %s inputs %v  predicted %v  was %v\n", i, op.does, op.local, op.inputs, predicted[i], fates[i])
	}
	return b.String()
}
