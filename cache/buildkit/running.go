package buildkit

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A Running is a build that ignores the cache, as far as its status stream has been
// read. It is made to learn which operations the build runs while it is under way. It is
// safe for concurrent use.
//
// BuildKit reports all vertices of a definition before it starts one of them. A build
// has a definition per platform, and requests them all once its Dockerfile is read
// (BuildKit: solver, Solver.load, under one lock; llbsolver, Solver.Solve).
type Running struct {
	builder   *Builder
	ref       string
	platforms []string // to build for; a single "" if the client named none
	stages    []string // which ignore the cache; nil for all
	foreign   bool     // its frontend may be another one than that of Dockerfiles

	mu    sync.Mutex // guards the fields that follow, and the replay
	seen  *replay
	ended bool // the stream was read to its end
}

// Running returns the build of ev, which may have ended by now. Nothing is known of its
// operations until [Running.Follow] reads them.
func (b *Builder) Running(ev Event) *Running {
	attrs := map[string]string{}
	if ev.record != nil {
		attrs = ev.record.FrontendAttrs
	}
	r := &Running{builder: b, ref: ev.Ref, platforms: strings.Split(attrs["platform"], ","), seen: newReplay()}
	for i, p := range r.platforms {
		r.platforms[i] = canonical(p)
	}
	if stages := attrs["no-cache"]; stages != "" {
		r.stages = strings.Split(stages, ",")
	}
	for _, name := range []string{"source", "cmdline", "build-arg:BUILDKIT_SYNTAX"} {
		r.foreign = r.foreign || attrs[name] != "" && !ofDockerfiles(attrs[name])
	}
	return r
}

// Ref returns the builder's name for the build, as [Event] has it.
func (r *Running) Ref() string { return r.ref }

// Follow reads the status stream of the build, and returns when the build ends. If it
// fails, what was read so far stays known.
func (r *Running) Follow(ctx context.Context) error {
	err := r.builder.readStatus(ctx, r.ref, func(s *client.SolveStatus) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seen.add(s)
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = err == nil
	return err
}

// contextVertex is the name of the vertex that sends the main context (BuildKit:
// dockerui, Client.MainContext).
const contextVertex = "[internal] load build context"

// Told reports whether all operations of all of the builds are known. For each build
// and platform that is so once the build has started one of its vertices.
//
// A vertex that another of the builds has too proves nothing, since that build may have
// started it before all of this one were reported. Other builds, which do not ignore the
// cache, need not be considered: no vertex that ignores the cache is theirs first.
func Told(builds []*Running) bool {
	all := make([]map[string]seenVertex, len(builds))
	for i, r := range builds {
		all[i] = r.vertices()
	}
	for i, r := range builds {
		if r.isForeign(all[i]) {
			return false
		}
		for _, platform := range r.platforms {
			if !r.hasEnded() && !r.hasBegun(platform, i, all) {
				return false
			}
		}
	}
	return true
}

// hasBegun reports whether the build, number i of those whose vertices are all, has
// started a vertex for the platform that no other of them has.
func (r *Running) hasBegun(platform string, i int, all []map[string]seenVertex) bool {
	return anyOf(all[i], func(digest string, v seenVertex) bool {
		sendsContext := v.Name == contextVertex && len(r.platforms) == 1
		if v.Started == nil || v.Cached || !sendsContext && !r.ignoresCache(v, platform) {
			return false
		}
		for j, other := range all {
			if _, shared := other[digest]; shared && i != j {
				return false
			}
		}
		return true
	})
}

// Reruns reports, for each operation of plan, whether the build may run it although the
// cache has its result: it may be one that ignores the cache, or that has the result of
// such a one as an input.
func (r *Running) Reruns(plan *dockerfile.Plan) []bool {
	vertices := r.vertices()
	c := comparison{ops: plan.Ops, vertices: vertices, same: map[pair]bool{}, rerun: map[digest.Digest]bool{}}
	reruns := make([]bool, len(plan.Ops))
	for i := range plan.Ops {
		reruns[i] = anyOf(vertices, func(id string, _ seenVertex) bool {
			return c.reruns(digest.Digest(id)) && c.mayBeSame(i, digest.Digest(id))
		})
	}
	return reruns
}

// vertices returns a copy of what is known of the vertices, by digest.
func (r *Running) vertices() map[string]seenVertex {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]seenVertex, len(r.seen.vertices))
	for digest, v := range r.seen.vertices {
		all[digest] = *v
	}
	return all
}

// hasEnded reports whether the status stream was read to its end.
func (r *Running) hasEnded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// isForeign reports whether the steps may be named by another frontend than that of
// Dockerfiles: names then tell nothing.
func (r *Running) isForeign(vertices map[string]seenVertex) bool {
	return r.foreign || anyOf(vertices, func(_ string, v seenVertex) bool {
		image, ok := strings.CutPrefix(strings.TrimPrefix(v.Name, "resolve image config for "), "docker-image://")
		return ok && !ofDockerfiles(image)
	})
}

// ignoresCache reports whether v is an operation for the platform that ignores the
// cache.
func (r *Running) ignoresCache(v seenVertex, platform string) bool {
	l, ok := parseLabel(v.Name)
	if !ok || !l.noCache() || len(v.Inputs) == 0 {
		return false
	}
	if r.stages != nil && !slices.ContainsFunc(r.stages, func(s string) bool { return strings.EqualFold(s, l.stage) }) {
		return false
	}
	return len(r.platforms) == 1 || l.platform != "" && canonical(l.platform) == platform
}

// noCache reports whether a step with this label ignores the cache, in a build or stage
// that does. The frontend does not mark WORKDIR so.
func (l label) noCache() bool { return l.step() && l.keyword != "WORKDIR" }

// anyOf reports whether f returns true for one of the vertices.
func anyOf(vertices map[string]seenVertex, f func(string, seenVertex) bool) bool {
	for digest, v := range vertices {
		if f(digest, v) {
			return true
		}
	}
	return false
}

// canonical returns the normal form of a platform, and one that it cannot parse as it is.
func canonical(platform string) string {
	if p, err := platforms.Parse(platform); err == nil {
		return platforms.FormatAll(platforms.Normalize(p))
	}
	return platform
}

// ofDockerfiles reports whether a frontend, an image or one built into the builder, is
// the frontend of Dockerfiles, in any version.
func ofDockerfiles(image string) bool {
	if image == "dockerfile.v0" {
		return true
	}
	name := strings.TrimPrefix(image, "docker.io/")
	name, _, _ = strings.Cut(name, "@")
	name, _, _ = strings.Cut(name, ":")
	return name == "docker/dockerfile" || name == "docker/dockerfile-upstream"
}

// A comparison compares the operations of a plan with the vertices of a running build.
type comparison struct {
	ops      []dockerfile.Op
	vertices map[string]seenVertex

	// Answers so far.
	same  map[pair]bool          // see mayBeSame
	rerun map[digest.Digest]bool // see reruns
}

// A pair is what mayBeSame is asked about.
type pair struct {
	op     int // index into comparison.ops
	vertex digest.Digest
}

// reruns reports whether a vertex may run although the cache has its result.
func (c comparison) reruns(id digest.Digest) bool {
	if known, ok := c.rerun[id]; ok {
		return known
	}
	v, ok := c.vertices[id.String()]
	if !ok {
		return true // a vertex of another build, of which nothing is known here
	}
	l, ok := parseLabel(v.Name)
	reruns := len(v.Inputs) > 0 && (!ok || l.noCache() || slices.ContainsFunc(v.Inputs, c.reruns))
	c.rerun[id] = reruns
	return reruns
}

// mayBeSame reports whether operation i may have the key of a vertex. Names do not tell
// which files a vertex takes, or what an image is: these may be the same.
func (c comparison) mayBeSame(i int, id digest.Digest) bool {
	asked := pair{i, id}
	if known, ok := c.same[asked]; ok {
		return known
	}
	op := c.ops[i]
	v, ok := c.vertices[id.String()]
	same := true
	switch {
	case !ok, op.Source != nil && op.Source.Kind == dockerfile.BuildSource:
	case op.Source != nil:
		same = len(v.Inputs) == 0
	case len(op.Inputs) != len(v.Inputs), !op.MayGoBy(v.Name):
		same = false
	default:
		for j, in := range op.Inputs {
			same = same && (in.Content != nil || c.mayBeSame(in.Op, v.Inputs[j]))
		}
	}
	c.same[asked] = same
	return same
}
