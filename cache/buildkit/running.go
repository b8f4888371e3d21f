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

// A Running is a build that runs and ignores the cache, as far as the builder has told of
// it. It is safe for concurrent use.
//
// BuildKit tells of all operations of a definition before it begins with one of them, and
// asks for all definitions of a build, one per platform, once its Dockerfile is read
// (solver: Solver.load, under one lock; llbsolver: Solver.Solve).
type Running struct {
	builder   *Builder
	ref       string
	platforms []string // that it is for; one, "", where the client does not say
	stages    []string // that ignore the cache; nil for all of them
	foreign   bool     // another frontend than the one for Dockerfiles may name its steps

	mu    sync.Mutex // guards the fields below, and what they hold
	seen  *replay
	ended bool // all was read
}

// Running returns the build that ev says has started, or has ended. Nothing is known of it before
// [Running.Follow] reads of it.
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

// Ref returns what the builder calls the build.
func (r *Running) Ref() string { return r.ref }

// Follow reads what the builder tells of the build, until that ends. What was read stays
// known if it fails.
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

// filesSent is what the frontend calls the sending of the main context (BuildKit:
// dockerui, Client.MainContext).
const filesSent = "[internal] load build context"

// Told reports whether all operations of each of the builds are known. One that has begun
// shows that: unless it is an operation of another of the builds, which may have begun it
// before this one was read to its end. Those that only use what others run do not count,
// as no operation that ignores the cache is one of theirs at first.
func Told(builds []*Running) bool {
	all := make([]map[string]seenVertex, len(builds))
	for i, r := range builds {
		all[i] = r.vertices()
	}
	for i, r := range builds {
		if r.alien(all[i]) {
			return false
		}
		for _, platform := range r.platforms {
			if r.whole() {
				break
			}
			begun := func(digest string, v seenVertex) bool {
				if v.Started == nil || v.Cached || !r.ignores(v, platform) && !(v.Name == filesSent && len(r.platforms) == 1) {
					return false
				}
				for j, other := range all {
					if _, shared := other[digest]; shared && i != j {
						return false
					}
				}
				return true
			}
			if !anyOf(all[i], begun) {
				return false
			}
		}
	}
	return true
}

// Reruns says which of the operations of a plan the build may run whatever the cache
// holds: those that are perhaps the same as one that ignores the cache, or that is made of
// what such a one makes.
func (r *Running) Reruns(plan *dockerfile.Plan) []bool {
	vertices := r.vertices()
	list := make([]bool, len(plan.Ops))
	c := comparison{ops: plan.Ops, vertices: vertices, same: map[pair]bool{}, anew: map[digest.Digest]bool{}}
	for i := range plan.Ops {
		for id := range vertices {
			list[i] = list[i] || c.reruns(digest.Digest(id)) && c.alike(i, digest.Digest(id))
		}
	}
	return list
}

func (r *Running) vertices() map[string]seenVertex {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]seenVertex, len(r.seen.vertices))
	for digest, v := range r.seen.vertices {
		all[digest] = *v
	}
	return all
}

// whole reports whether the build has ended, and all was told of it.
func (r *Running) whole() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// alien reports whether the names of the steps may be another frontend's.
func (r *Running) alien(vertices map[string]seenVertex) bool {
	return r.foreign || anyOf(vertices, func(_ string, v seenVertex) bool {
		image, ok := strings.CutPrefix(strings.TrimPrefix(v.Name, "resolve image config for "), "docker-image://")
		return ok && !ofDockerfiles(image)
	})
}

// ignores reports whether v is an operation for a platform that ignores the cache.
func (r *Running) ignores(v seenVertex, platform string) bool {
	l, ok := parseLabel(v.Name)
	if !ok || !rerun(l) || len(v.Inputs) == 0 {
		return false
	}
	if r.stages != nil && !slices.ContainsFunc(r.stages, func(s string) bool { return strings.EqualFold(s, l.stage) }) {
		return false
	}
	return len(r.platforms) == 1 || l.platform != "" && canonical(l.platform) == platform
}

// rerun reports whether steps run that have the label, in a build that ignores the cache.
func rerun(l label) bool { return l.step() && l.keyword != "WORKDIR" }

func anyOf(vertices map[string]seenVertex, f func(string, seenVertex) bool) bool {
	for digest, v := range vertices {
		if f(digest, v) {
			return true
		}
	}
	return false
}

// canonical returns the one form of a platform, or what it does not know.
func canonical(platform string) string {
	if p, err := platforms.Parse(platform); err == nil {
		return platforms.FormatAll(platforms.Normalize(p))
	}
	return platform
}

// ofDockerfiles reports whether an image, or a frontend of the builder's, is the
// frontend that this program has, in whatever version.
func ofDockerfiles(image string) bool {
	if image == "dockerfile.v0" {
		return true
	}
	name := strings.TrimPrefix(image, "docker.io/")
	name, _, _ = strings.Cut(name, "@")
	name, _, _ = strings.Cut(name, ":")
	return name == "docker/dockerfile" || name == "docker/dockerfile-upstream"
}

// A comparison holds the operations of a plan against the vertices of a running build.
type comparison struct {
	ops      []dockerfile.Op
	vertices map[string]seenVertex
	same     map[pair]bool
	anew     map[digest.Digest]bool
}

type pair struct {
	op     int
	vertex digest.Digest
}

// reruns reports whether a vertex runs whatever the cache holds.
func (c comparison) reruns(id digest.Digest) bool {
	if known, ok := c.anew[id]; ok {
		return known
	}
	v, ok := c.vertices[id.String()]
	if !ok {
		return true // another build has it, and what it does there is not told here
	}
	l, ok := parseLabel(v.Name)
	anew := len(v.Inputs) > 0 && (!ok || rerun(l) || slices.ContainsFunc(v.Inputs, c.reruns))
	c.anew[id] = anew
	return anew
}

// alike reports whether an operation may get the key that a vertex has. What is taken of
// files and stages may be the same, and every image the same by another name.
func (c comparison) alike(i int, id digest.Digest) bool {
	at := pair{i, id}
	if known, ok := c.same[at]; ok {
		return known
	}
	op := c.ops[i]
	v, ok := c.vertices[id.String()]
	alike := true
	switch {
	case !ok, op.Source != nil && op.Source.Kind == dockerfile.BuildSource:
	case op.Source != nil:
		alike = len(v.Inputs) == 0
	case len(op.Inputs) != len(v.Inputs), !op.MayGoBy(v.Name):
		alike = false
	default:
		for j, in := range op.Inputs {
			alike = alike && (in.Content != nil || c.alike(in.Op, v.Inputs[j]))
		}
	}
	c.same[at] = alike
	return alike
}
