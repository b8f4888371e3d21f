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

// reruns are the builds of a builder that ignore the cache, while they run: a build
// that needs what they run waits for that, whatever results the builder lists, and what
// it makes of that is found by no key (BuildKit: solver.edgeIndex.LoadOrStore,
// edge.processExecReq). They share only what is the same operation by its own digest.
type reruns struct {
	mu sync.Mutex // guards the field below, and what it holds
	of map[*rerun]bool
}

// A rerun is one of them, or several in a row.
type rerun struct {
	ops     map[string]bool // digests of operations that it runs
	unknown bool            // it may run others
}

func newReruns() *reruns { return &reruns{of: map[*rerun]bool{}} }

// begin notes one that begins; [reruns.add] says what it runs.
func (r *reruns) begin() *rerun {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := &rerun{ops: map[string]bool{}}
	r.of[one] = true
	return one
}

// add notes what one runs, too: nil if that is not known.
func (r *reruns) add(one *rerun, ops map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one.unknown = one.unknown || ops == nil
	maps.Copy(one.ops, ops)
}

func (r *reruns) end(one *rerun) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, one)
}

// now returns the digests of all operations that run without the cache; unknown says
// that others may.
func (r *reruns) now() (ops map[string]bool, unknown bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ops = map[string]bool{}
	for one := range r.of {
		unknown = unknown || one.unknown
		maps.Copy(ops, one.ops)
	}
	return ops, unknown
}

// beside returns g for a build beside others that run ops without the cache: what
// becomes of such an operation is not known.
func beside(g cache.Graph, ops map[string]bool) cache.Graph {
	nodes := slices.Clone(g.Nodes)
	for i, n := range nodes {
		if slices.ContainsFunc(n.Digests, func(d string) bool { return ops[d] }) {
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
