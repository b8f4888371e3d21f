package daemon

import (
	"context"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/verify"
)

// reruns tracks the builds on one builder that ignore the cache ("reruns"), for as long as
// other builds may share operations with them.
//
// BuildKit has two builds share an operation if it is the same by its own digest and both
// are there at the same time. A build that shares one with a rerun waits for it to run,
// even if the cache holds a result, and no cache key leads to what is made from it
// (BuildKit: solver.edgeIndex.LoadOrStore, edge.processExecReq).
//
// BuildKit keeps a shared operation until the last build that shares it ends (BuildKit:
// solver.Job.Discard). Which builds do so is not known. A rerun is therefore tracked for as
// long as any build runs that ran together with it, or with another such build.
//
// It is safe for concurrent use.
type reruns struct {
	mu      sync.Mutex      // guards the fields below, and those of every rerun in tracked
	last    buildNumber     // the number given last
	running buildSet        // all builds that run
	tracked map[*rerun]bool // reruns that builds may still share operations with
}

// A buildNumber stands for one build while it runs.
type buildNumber int

type buildSet map[buildNumber]bool

// A rerun is a build that ignores the cache, or a verification, which makes several such
// builds one after the other.
type rerun struct {
	holders buildSet          // running builds that may hold its operations
	ops     map[string]bool   // digests of the operations that it runs
	unknown bool              // it may run operations that are not in ops
	other   *buildkit.Running // if it is another client's: what the builder tells of it; else nil
}

func newReruns() *reruns {
	return &reruns{running: buildSet{}, tracked: map[*rerun]bool{}}
}

// begin notes that a build begins. one is its rerun if it ignores the cache, else nil. The
// caller calls end once, when the build has ended.
func (r *reruns) begin(one *rerun) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	b := r.last
	r.running[b] = true
	if one != nil {
		one.holders = maps.Clone(r.running)
		r.tracked[one] = true
	}
	for other := range r.tracked {
		other.holders[b] = true
	}
	return func() { r.end(b) }
}

// end notes that a build has ended.
func (r *reruns) end(b buildNumber) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, b)
	for one := range r.tracked {
		if delete(one.holders, b); len(one.holders) == 0 {
			delete(r.tracked, one)
		}
	}
}

// add adds to the operations that one runs; ops is nil if they are not known.
func (r *reruns) add(one *rerun, ops map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one.ops == nil {
		one.ops = map[string]bool{}
	}
	one.unknown = one.unknown || ops == nil
	maps.Copy(one.ops, ops)
}

// tracks reports whether every build in active that ignores the cache is tracked.
func (r *reruns) tracks(active []buildkit.Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	refs := map[string]bool{}
	for one := range r.tracked {
		if one.other != nil {
			refs[one.other.Ref()] = true
		}
	}
	return !slices.ContainsFunc(active, func(ev buildkit.Event) bool { return ev.IgnoresCache() && !refs[ev.Ref] })
}

// shared marks the operations of plan that a build of it might share with a rerun. anew is
// nil if there is no rerun, and ok is false if it is not known what the reruns run.
func (r *reruns) shared(plan *dockerfile.Plan) (anew []bool, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.tracked) == 0 {
		return nil, true
	}
	var others []*buildkit.Running
	anew = make([]bool, len(plan.Ops))
	for one := range r.tracked {
		if one.unknown {
			return nil, false
		}
		if one.other != nil {
			others = append(others, one.other)
		}
		for i, op := range plan.Ops {
			anew[i] = anew[i] || one.ops[op.Digest]
		}
	}
	if !buildkit.Told(others) {
		return nil, false
	}
	for _, other := range others {
		for i, may := range other.Reruns(plan) {
			anew[i] = anew[i] || may
		}
	}
	return anew, true
}

// beside returns the graph of a build that may share the operations marked in anew with
// a rerun: what becomes of these is unknown.
func beside(g cache.Graph, anew []bool) cache.Graph {
	nodes := slices.Clone(g.Nodes)
	for i := range nodes {
		if anew[i] {
			nodes[i].Unknown = cache.RunAnew
		}
	}
	return cache.Graph{Nodes: nodes, Targets: g.Targets}
}

// uncachedOps returns the digests of the operations of a plan that run whatever the cache
// holds: those that ignore it, and those that depend on one that does. It is nil if the
// plan may not have the operations that a build of it has.
func uncachedOps(plan *dockerfile.Plan) map[string]bool {
	if plan.Syntax != "" || len(plan.Assumed)+len(plan.Remembered) > 0 {
		return nil
	}
	ops, runs := map[string]bool{}, make([]bool, len(plan.Ops))
	for i, op := range plan.Ops { // inputs come first
		runs[i] = op.IgnoreCache || slices.ContainsFunc(op.Inputs, func(in dockerfile.OpInput) bool { return runs[in.Op] })
		switch {
		case runs[i] && op.Digest == "":
			return nil
		case runs[i]:
			ops[op.Digest] = true
		}
	}
	return ops
}

// A notedBuilder calls note with each request before it builds it.
type notedBuilder struct {
	verify.Builder
	note func(context.Context, buildkit.Request)
}

var _ verify.Builder = notedBuilder{}

// Export implements [verify.Builder].
func (v notedBuilder) Export(ctx context.Context, request buildkit.Request, read func(io.Reader) error) error {
	v.note(ctx, request)
	return v.Builder.Export(ctx, request, read)
}

// noteVerification adds to one what a verification is going to run: the builds of p, as
// they are and with each candidate's changes to files.
func (d *Daemon) noteVerification(ctx context.Context, r *repository, known account, one *rerun, p *project.Picture, candidates [][]api.FileChange) {
	for _, changes := range append([][]api.FileChange{nil}, candidates...) {
		edits := map[string][]byte{}
		for _, c := range changes {
			edits[filepath.Join(p.Root, filepath.FromSlash(c.Path))] = c.New
		}
		changed := r.opener.With(ctx, p, edits)
		for _, b := range changed.Builds {
			request := buildkit.Request{Definition: b.Definition, NoCache: true, Edits: edits}
			var err error
			if b.Definition.Inline != "" {
				request.Dockerfile, err = b.Definition.DockerfileText()
			} else {
				request.Dockerfile, err = changed.Text(b.Definition.Dockerfile)
			}
			if err != nil {
				known.reruns.add(one, nil)
				return
			}
			known.reruns.add(one, d.runsUncached(ctx, r, p, request))
		}
	}
}

// runsUncached returns the digests of the operations that a build of r, at p, runs
// whatever the cache holds; nil if that is not known.
func (d *Daemon) runsUncached(ctx context.Context, r *repository, p *project.Picture, request buildkit.Request) map[string]bool {
	if request.Definition.Options.Unresolved() {
		return nil
	}
	in := request.Definition.Input()
	in.Text, in.Read, in.Worker = request.Dockerfile, r.opener.With(ctx, p, request.Edits).Text, dockerfile.WorkerOf(r.opener.Resolver)
	in.NoCache, in.NoCacheStages = request.NoCache, request.NoCacheStages
	plan, err := dockerfile.Convert(ctx, in, r.opener.Resolver)
	if err != nil {
		return nil
	}
	return uncachedOps(plan)
}
