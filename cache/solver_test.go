// BuildKit's solver, the oracle here, races with its own tracing (solver.CacheKey.TraceFields), so
// `make test` runs this apart, without the race detector.

//go:build !race

package cache_test

import (
	"context"
	"fmt"
	"maps"
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
	hidden bool   // a source of which nobody knows beforehand what it is, as of an address
	told   bool   // takes nothing in, and what it gives is known before it is made, as of a heredoc
	like   string // the name of an operation that is the same upon something else, as a RUN in two stages
}

// digest is what BuildKit knows the operation by.
func (o operation) digest() digest.Digest {
	does := o.does
	if o.like != "" {
		_, version, _ := strings.Cut(does, ".")
		does = o.like + "." + version
	}
	return digest.FromString(does)
}

// value is what an operation gives of these values.
func (o operation) value(inputs ...string) string {
	return digest.FromString(strings.Join(append([]string{fmt.Sprint(o.effect)}, inputs...), ",")).Encoded()
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

// contentID is the id under which BuildKit finds that digest.
func contentID(value, selector string) string {
	return digest.FromString(contentOf(value, selector).String() + "@-1").String()
}

// A vertex is an operation of one build.
type vertex struct {
	operation
	run    *run
	index  int
	digest digest.Digest
	edges  []solver.Edge
	remote []solver.CacheManager
}

func (v *vertex) Digest() digest.Digest { return v.digest }
func (v *vertex) Sys() any              { return v }
func (v *vertex) Inputs() []solver.Edge { return v.edges }
func (v *vertex) Name() string          { return fmt.Sprint(v.index, " ", v.does) }
func (v *vertex) Options() solver.VertexOptions {
	return solver.VertexOptions{IgnoreCache: v.ignore, CacheSources: v.remote}
}

func (v *vertex) opDigest() digest.Digest {
	if v.local != "" {
		return digest.Digest("random:" + digest.FromString(identity.NewID()).Encoded())
	}
	return v.operation.digest()
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
	r := &result{id: identity.NewID(), value: v.local, does: v.does}
	var parts []string
	for i, in := range inputs {
		from := in.Sys().(*result)
		if parts = append(parts, from.value); i == 0 {
			r.layers = slices.Clone(from.layers)
		}
	}
	if r.value == "" {
		r.value = v.operation.value(parts...)
	}
	r.layers = append(r.layers, r)
	v.run.made[v.index] = r.id
	return []solver.Result{r}, nil
}

func (v *vertex) Acquire(context.Context) (solver.ReleaseFunc, error) { return func() {}, nil }

// A result is layers, of which it is the last: the others are results of what it took
// in first.
type result struct {
	id, value, does string
	layers          []*result
}

func (r *result) ID() string                    { return r.id }
func (r *result) Release(context.Context) error { return nil }
func (r *result) Sys() any                      { return r }
func (r *result) Clone() solver.Result          { return r }

// A shelf stores results, as a builder's snapshots do: they can go at any time.
type shelf struct {
	mu     sync.Mutex
	have   map[string]*result
	loaded map[string]bool // what their operations do
	// brought are the ids of what the last build took from elsewhere, by the same.
	brought map[string][]string
	used    map[string]bool   // ids of what the last build loaded
	of      map[string]string // by the ids of what was brought: those of what that became
	fresh   map[string]bool   // ids of what the last build brought and was not there before
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
	s.loaded[r.does], s.used[r.id] = true, true
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

// build solves the operations, with caches elsewhere beside the solver's own, and
// returns what became of each, and of those that were made the ids of their results.
// export is called with what was built.
func build(t *testing.T, s *solver.Solver, on *shelf, ops []operation, remote []solver.CacheManager, export func(solver.CachedResult)) ([]cache.Fate, map[int]string) {
	t.Helper()
	r := &run{made: map[int]string{}}
	clear(on.loaded)
	clear(on.brought)
	clear(on.used)
	clear(on.fresh)
	vertices := make([]*vertex, len(ops))
	for i, op := range ops {
		v := &vertex{operation: op, run: r, index: i, remote: remote}
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
	built, err := job.Build(t.Context(), solver.Edge{Vertex: vertices[len(ops)-1]})
	if err != nil {
		t.Fatal(err)
	}
	// An export loads what it writes, and tells nobody.
	loaded, brought := maps.Clone(on.loaded), maps.Clone(on.brought)
	export(built)
	on.brought = brought
	if err := job.Discard(); err != nil {
		t.Fatal(err)
	}
	fates := make([]cache.Fate, len(ops))
	for i, op := range ops {
		switch {
		case r.made[i] != "":
			fates[i] = cache.Made
		case loaded[op.does]:
			fates[i] = cache.Loaded
		}
	}
	return fates, r.made
}

// graphOf is what stoker knows of the operations before a build: the content of
// local sources and of what is told, and no other.
func graphOf(ops []operation) cache.Graph {
	g := cache.Graph{Targets: []int{len(ops) - 1}}
	for i, op := range ops {
		n := cache.Node{Steps: []int{i}, NoCache: op.ignore}
		switch {
		case op.hidden:
			n.Unknown = cache.NotResolved
		case op.local == "":
			n.Digests = []string{op.digest().String()}
		}
		for _, in := range op.inputs {
			input := cache.Input{Node: in.of, ByContent: in.byContent}
			if in.selector != "" {
				input.Selector = digest.FromString(in.selector).String()
			}
			if from := ops[in.of]; from.local != "" {
				input.Content = contentID(from.local, in.selector)
			} else if from.told && in.byContent {
				input.Content, input.Late = contentID(from.value(), in.selector), true
			}
			n.Inputs = append(n.Inputs, input)
		}
		g.Nodes = append(g.Nodes, n)
	}
	return g
}

// TestPredictIsTheSolvers walks through builds with BuildKit's own solver: what
// the mirror of them predicts is what the next one does.
func TestPredictIsTheSolvers(t *testing.T) {
	for name, imports := range map[string]bool{"alone": false, "with caches elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			unknown, total, sure, perhaps := 0, 0, 0, 0
			for seed := range randtest.Seeds(t, 150, 5000) {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					w := walkSolver(t, seed, imports)
					unknown, total, sure, perhaps = unknown+w.unknown, total+w.total, sure+w.sure, perhaps+w.perhaps
				})
				if t.Failed() {
					break
				}
			}
			t.Logf("%d of %d predictions are no prediction, %d of %d results were surely brought", unknown, total, sure, perhaps)
			if unknown*10 > total {
				t.Errorf("%d of %d predictions are no prediction", unknown, total)
			}
		})
	}
}

// walkSolver returns a walk that was made.
func walkSolver(t *testing.T, seed uint64, imports bool) *walk {
	w := newWalk(t, seed)
	w.draw()
	what := "start"
	for step := range 12 {
		var from []*export
		if imports && w.IntN(2) == 0 {
			if from = w.exports; w.IntN(3) == 0 { // to a builder that has nothing
				from = w.exports[max(0, len(w.exports)-1):]
				what += ", " + w.prune(1)
				w.release(t)
			}
		}
		w.build(t, fmt.Sprintf("build %d after %s", step, what), from, func(built solver.CachedResult) {
			if imports && w.IntN(3) == 0 {
				w.export(t, built, []solver.CacheExportMode{solver.CacheExportModeMin, solver.CacheExportModeMax}[w.IntN(2)])
			}
		})
		w.keep()
		what = w.change()
		// A prune ends with it, garbage collection has it done later.
		if w.IntN(4) == 0 {
			w.release(t)
		}
	}
	return w
}

// build predicts a build that looks into caches elsewhere, has BuildKit's solver do
// it, and learns from it.
func (w *walk) build(t *testing.T, name string, from []*export, export func(solver.CachedResult)) {
	t.Helper()
	g := graphOf(w.ops)
	known, mirror := sealed(g), w.mirror
	var remote []solver.CacheManager
	var held []*cache.RemoteCache
	for _, e := range from {
		remote, held = append(remote, e.manager(t, w.shelf)), append(held, e.read(t))
	}
	if len(from) > 0 {
		mirror = mirror.With(held, g, known)
	}
	predicted := mirror.Predict(known)
	offers := w.mirror.Offers(held, g, known)
	fates, made := build(t, w.solver, w.shelf, w.ops, remote, export)
	for i, p := range predicted {
		if len(g.Nodes[i].Inputs) == 0 {
			continue
		}
		w.total++
		if p.Forecast == cache.Unknown {
			w.unknown++
			continue
		}
		if (p.Forecast == cache.WillMiss) != (fates[i] == cache.Made) {
			t.Fatalf("%s, with %d caches elsewhere: node %d %s predicted %s, was %v\n%s", name, len(from), i, w.ops[i].does, p.Forecast, fates[i], dump(w.ops, predicted, fates))
		}
	}
	var stored [][]cache.KeyID
	var perhaps map[cache.KeyID]int
	w.mirror, stored, perhaps = w.mirror.Learn(known, fates, len(from) > 0)
	w.note()
	if len(from) > 0 {
		w.bring(offers, fates, perhaps)
	}
	for i, keys := range stored {
		for _, key := range keys {
			w.stored[w.ops[i].does], perhaps[key] = key, i
		}
	}
	for key, i := range perhaps {
		w.perhaps++
		w.results[key] = append(w.results[key], w.shelf.brought[w.ops[i].does]...)
	}
	for i, id := range made {
		for _, key := range stored[i] {
			w.results[key] = append(w.results[key], id)
		}
	}
}

// bring notes which results the build surely brought from elsewhere.
func (w *walk) bring(offers *cache.Offers, fates []cache.Fate, perhaps map[cache.KeyID]int) {
	ids := map[string]string{} // by the blobs of topmost layers
	for from, id := range w.shelf.of {
		if w.shelf.have[id] != nil {
			ids[digest.FromString(from).String()] = id
		}
	}
	lives := map[cache.KeyID]cache.Life{}
	for key, top := range offers.Brought(fates, perhaps, func(key cache.KeyID, top *cache.Layer) bool {
		id := ids[top.Blob]
		return id != "" && (w.shelf.fresh[id] || w.brought[key] == id)
	}) {
		lives[key], w.brought[key] = cache.Live, ids[top.Blob]
		w.sure++
	}
	for _, key := range offers.None(perhaps) {
		lives[key] = cache.Gone
	}
	w.mirror = w.mirror.Mark(lives)
	w.note()
}

// sealed returns g by other names of what it is about.
func sealed(g cache.Graph) cache.Graph {
	seal := func(digest string) string { return strings.TrimPrefix(digest, "sha256:") }
	nodes := slices.Clone(g.Nodes)
	for i := range nodes {
		n := &nodes[i]
		n.Digests, n.Inputs = slices.Clone(n.Digests), slices.Clone(n.Inputs)
		for j, d := range n.Digests {
			n.Digests[j] = seal(d)
		}
		for j, in := range n.Inputs {
			n.Inputs[j].Selector, n.Inputs[j].Content = seal(in.Selector), seal(in.Content)
		}
	}
	return cache.Graph{Nodes: nodes, Targets: g.Targets}
}

func dump(ops []operation, predicted []cache.Prediction, fates []cache.Fate) string {
	var b strings.Builder
	for i, op := range ops {
		fmt.Fprintf(&b, "%2d %-10s %s inputs %v  predicted %v  was %v\n", i, op.does, op.local, op.inputs, predicted[i], fates[i])
	}
	return b.String()
}
