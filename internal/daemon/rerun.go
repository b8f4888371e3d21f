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

// reruns are the builds of a builder that ignore the cache, while what they run may be
// joined: a build that needs that waits for it, whatever results the builder lists, and
// what it makes of it is found by no key (BuildKit: solver.edgeIndex.LoadOrStore,
// edge.processExecReq). They share only what is the same operation by its own digest.
//
// What such a build has made stays so while any build runs that joined it (BuildKit:
// solver.Job.Discard). Any that runs beside it may have: its own result lasts until all
// those have ended, too.
type reruns struct {
	mu      sync.Mutex      // guards the fields below, and what they hold
	running map[*stay]bool  // all builds that run
	of      map[*rerun]bool // those without cache that last
}

// A stay is one build while it runs.
type stay struct{ _ byte } // of a size: each is another

// A rerun is a build that ignores the cache, or several in a row.
type rerun struct {
	during  map[*stay]bool    // what runs and may keep what it made
	ops     map[string]bool   // digests of operations that it runs
	unknown bool              // it may run others
	other   *buildkit.Running // of another client, if it is not nil
}

func newReruns() *reruns { return &reruns{running: map[*stay]bool{}, of: map[*rerun]bool{}} }

// begin notes that a build begins, which is one if that is not nil, and returns what
// is to be called when it has ended.
func (r *reruns) begin(one *rerun) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := &stay{}
	r.running[b] = true
	if one != nil {
		one.during = maps.Clone(r.running)
		r.of[one] = true
	}
	for other := range r.of {
		other.during[b] = true
	}
	return func() { r.end(b) }
}

func (r *reruns) end(b *stay) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, b)
	for one := range r.of {
		if delete(one.during, b); len(one.during) == 0 {
			delete(r.of, one)
		}
	}
}

// add notes what one runs, too: nil if that is not known.
func (r *reruns) add(one *rerun, ops map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one.ops == nil {
		one.ops = map[string]bool{}
	}
	one.unknown = one.unknown || ops == nil
	maps.Copy(one.ops, ops)
}

// follows reports whether all builds of events that ignore the cache are noted.
func (r *reruns) follows(events []buildkit.Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	noted := map[string]bool{}
	for one := range r.of {
		if one.other != nil {
			noted[one.other.Ref()] = true
		}
	}
	return !slices.ContainsFunc(events, func(ev buildkit.Event) bool { return ev.IgnoresCache() && !noted[ev.Ref] })
}

// now says which operations of a plan may run without the cache, nil if none does. It is
// false if that is not known.
func (r *reruns) now(plan *dockerfile.Plan) (anew []bool, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.of) == 0 {
		return nil, true
	}
	var others []*buildkit.Running
	anew = make([]bool, len(plan.Ops))
	for one := range r.of {
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

// beside returns g for a build beside others that run those of its operations without
// the cache that anew says: what becomes of such an operation is not known.
func beside(g cache.Graph, anew []bool) cache.Graph {
	nodes := slices.Clone(g.Nodes)
	for i := range nodes {
		if anew[i] {
			nodes[i].Unknown = cache.RunAnew
		}
	}
	return cache.Graph{Nodes: nodes, Targets: g.Targets}
}

// opsOf returns the digests of the operations of a plan that run whatever the cache
// holds: those that ignore it, and all that is made of what they make. It is nil if it
// is not known what a build runs that has the plan.
func opsOf(plan *dockerfile.Plan) map[string]bool {
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

// A verifying is a builder that notes what a verification runs on it.
type verifying struct {
	verify.Builder
	note func(context.Context, buildkit.Request)
}

func (v verifying) Export(ctx context.Context, request buildkit.Request, read func(io.Reader) error) error {
	v.note(ctx, request)
	return v.Builder.Export(ctx, request, read)
}

// verifies notes what the builds of a verification will run: those of p, as they are and
// with each of the changes.
func (d *Daemon) verifies(ctx context.Context, r *repository, known account, one *rerun, p *project.Picture, candidates [][]api.FileChange) {
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
				known.anew.add(one, nil)
				return
			}
			known.anew.add(one, d.runs(ctx, r, p, request))
		}
	}
}

// runs returns what a build of a verification runs, nil if that is not known.
func (d *Daemon) runs(ctx context.Context, r *repository, p *project.Picture, request buildkit.Request) map[string]bool {
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
	return opsOf(plan)
}
