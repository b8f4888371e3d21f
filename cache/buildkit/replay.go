package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
)

// replay gathers what a build's status stream says of each vertex. The last
// word on a vertex counts: one can start several times.
type replay struct {
	order    []string // digests, as they were first named
	vertices map[string]*seenVertex
}

type seenVertex struct {
	client.Vertex
	pulled bool  // layers were fetched or unpacked for it
	logged bool  // something ran and wrote
	sent   int64 // bytes transferred for it
}

func newReplay() *replay { return &replay{vertices: map[string]*seenVertex{}} }

func (r *replay) vertex(name string) *seenVertex {
	v := r.vertices[name]
	if v == nil {
		v = &seenVertex{}
		r.vertices[name] = v
		r.order = append(r.order, name)
	}
	return v
}

func (r *replay) add(s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		r.vertex(v.Digest.String()).Vertex = *v
	}
	for _, st := range s.Statuses {
		v := r.vertex(st.Vertex.String())
		switch {
		case strings.HasPrefix(st.ID, "sha256:"), strings.HasPrefix(st.ID, "extracting sha256:"):
			v.pulled = true
		case strings.HasPrefix(st.ID, "transferring "):
			v.sent = max(v.sent, st.Current)
		}
	}
	for _, l := range s.Logs {
		r.vertex(l.Vertex.String()).logged = true
	}
}

// replayStatus reads the stored status stream of a finished build.
func (b *Builder) replayStatus(ctx context.Context, ref string) (*replay, error) {
	seen := newReplay()
	if err := b.readStatus(ctx, ref, seen.add); err != nil {
		return nil, err
	}
	return seen, nil
}

// readStatus reads the status stream of a build to its end, which is that of the build
// if it runs.
func (b *Builder) readStatus(ctx context.Context, ref string, add func(*client.SolveStatus)) error {
	stream, err := b.client.ControlClient().Status(ctx, &controlapi.StatusRequest{Ref: ref})
	if err != nil {
		return fmt.Errorf("read status of build: %w", err)
	}
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read status of build: %w", err)
		}
		add(client.NewSolveStatus(resp))
	}
}

func (r *replay) progress() Progress {
	p := Progress{Known: len(r.order)}
	for _, v := range r.vertices {
		if v.Started != nil {
			p.Started++
		}
		if v.Completed != nil {
			p.Completed++
		}
		if v.Cached {
			p.Cached++
		}
	}
	return p
}

// inferred reports whether v is CACHED only because something that needs it
// started: BuildKit then gives it no time of its own.
func (v *seenVertex) inferred() bool {
	return v.Cached && v.Started != nil && v.Completed != nil && v.Started.Equal(*v.Completed)
}

// margin is how long after an operation ended, as the builder says, its result may
// still be on the way into the cache.
const margin = 2 * time.Second

// lost returns whether the builder perhaps did not keep what a vertex made, because the
// build ended early: it keeps a result after the operation has returned, and drops what
// returns to a build that is over (BuildKit: solver, edge.execOp; util/flightcontrol).
// What another operation was given had been kept. One that was canceled may have been
// given nothing: it is also told of as started where an input failed it.
func (r *replay) lost() func(*seenVertex) bool {
	var first, last time.Time // when something failed, and when anything ended
	given := map[digest.Digest]bool{}
	for _, v := range r.vertices {
		if v.Started != nil && !v.Cached && !v.canceled() {
			for _, in := range v.Inputs {
				given[in] = true
			}
		}
		if v.Completed == nil {
			continue
		}
		if v.Error != "" && (first.IsZero() || v.Completed.Before(first)) {
			first = *v.Completed
		}
		if v.Completed.After(last) {
			last = *v.Completed
		}
	}
	end := first
	if end.IsZero() {
		end = last
	}
	return func(v *seenVertex) bool {
		return v.Completed != nil && !given[v.Digest] && v.Completed.After(end.Add(-margin))
	}
}

// canceled reports whether v ended because its build did.
func (v *seenVertex) canceled() bool {
	return strings.HasSuffix(v.Error, "context canceled") || strings.HasSuffix(v.Error, "context canceled: context canceled")
}

func (v *seenVertex) seconds() float64 {
	if v.Started == nil || v.Completed == nil || v.Cached {
		return 0
	}
	return v.Completed.Sub(*v.Started).Seconds()
}

// busy returns for how long at least one of the vertices was at work.
func busy(vertices []*seenVertex) float64 {
	type span struct{ from, to time.Time }
	var spans []span
	for _, v := range vertices {
		if v.seconds() > 0 {
			spans = append(spans, span{*v.Started, *v.Completed})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	var total time.Duration
	var end time.Time
	for _, s := range spans {
		if s.from.Before(end) {
			s.from = end
		}
		if s.to.After(s.from) {
			total += s.to.Sub(s.from)
			end = s.to
		}
	}
	return total.Seconds()
}

// A label is what may be known of a vertex by its name: where the step stands,
// and its keyword. The rest of the name carries values of args.
type label struct {
	prefix          string // "[linux/amd64 build 3/7]"
	platform, stage string
	index, total    int
	keyword         string // RUN, COPY, ADD, WORKDIR, or FROM
	onBuild         bool
}

// stepName is the form in which the frontend names steps (BuildKit:
// dockerfile2llb/convert.go, prefixCommand). Stage names cannot hold a slash;
// platforms always do.
var stepName = regexp.MustCompile(`^(\[(?:([\w.()+-]+/[\w./()+-]+(?:->[\w./()+-]+)?) )?(?:([a-zA-Z][\w.-]*) )? *(\d+)/(\d+)\]) (ONBUILD )?(?:LINK )?(RUN|COPY|ADD|WORKDIR|FROM)\b`)

func parseLabel(name string) (label, bool) {
	m := stepName.FindStringSubmatch(name)
	if m == nil {
		return label{}, false
	}
	l := label{prefix: m[1], platform: targetPlatform(m[2]), stage: m[3], onBuild: m[6] != "", keyword: m[7]}
	// What matched is digits; a number too large for int is no step's.
	if _, err := fmt.Sscan(m[4], &l.index); err != nil {
		return label{}, false
	}
	if _, err := fmt.Sscan(m[5], &l.total); err != nil {
		return label{}, false
	}
	return l, true
}

var archVariant = regexp.MustCompile(`^[^/]+/v\d+$`)

// targetPlatform returns the platform that is built for out of the form in
// which names have it: "linux/amd64->arm64" runs on the first for the second.
func targetPlatform(form string) string {
	runsOn, target, cross := strings.Cut(form, "->")
	if !cross {
		return form
	}
	// "arm64" and "arm/v7" are of the same system, "windows/amd64" is not.
	if strings.Contains(target, "/") && !archVariant.MatchString(target) {
		return target
	}
	os, _, _ := strings.Cut(runsOn, "/")
	return os + "/" + target
}

// step reports whether l is a step that BuildKit can execute.
func (l label) step() bool { return l.keyword != "" && l.keyword != "FROM" }
