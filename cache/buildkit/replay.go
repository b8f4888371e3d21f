package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
)

// A replay collects what the status stream of a build says of each vertex. A vertex
// can start several times; what is said last counts.
type replay struct {
	order    []string               // digests, by first appearance
	vertices map[string]*seenVertex // by digest
	inline   []Run                  // when a cache within an image was made
}

// A seenVertex is a vertex as the builder last described it.
type seenVertex struct {
	client.Vertex            // as it was told of last
	began         *time.Time // when it started first: what it made may be read again, which counts as a start
	pulled        bool       // layers were fetched or unpacked for it
	pulls         []Run      // when these were, as far as it is known to have ended
	logged        bool       // a process ran for it and wrote something
	sent          int64      // bytes that the client transferred for it
}

func newReplay() *replay { return &replay{vertices: map[string]*seenVertex{}} }

// vertex returns the vertex with a digest, and adds it if it is new.
func (r *replay) vertex(digest string) *seenVertex {
	v := r.vertices[digest]
	if v == nil {
		v = &seenVertex{}
		r.vertices[digest] = v
		r.order = append(r.order, digest)
	}
	return v
}

// add adds one message of the stream.
func (r *replay) add(s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		seen := r.vertex(v.Digest.String())
		if seen.Vertex = *v; v.Started != nil && (seen.began == nil || v.Started.Before(*seen.began)) {
			seen.began = v.Started
		}
	}
	for _, st := range s.Statuses {
		v := r.vertex(st.Vertex.String())
		switch {
		case strings.HasPrefix(st.ID, "sha256:"), strings.HasPrefix(st.ID, "extracting sha256:"):
			v.pulled = true
			v.pulls = append(v.pulls, ended(st)...)
		case st.ID == inlineStatus:
			r.inline = append(r.inline, ended(st)...)
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

// readStatus calls add for each message of a build's status stream. If the build is
// running, it returns when the build ends.
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

// progress counts the vertices.
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

// inferred reports whether BuildKit calls v cached only because a vertex that needs it
// has started. Such a vertex starts and completes at the same moment.
func (v *seenVertex) inferred() bool {
	return v.Cached && v.Started != nil && v.Completed != nil && v.Started.Equal(*v.Completed)
}

// saveTime is how long after an operation completed, by the builder's clock, its result
// may not be in the cache yet.
const saveTime = 2 * time.Second

// lost returns a function for a build that ended early. It reports whether the builder
// may not have kept the result of a vertex: BuildKit saves a result after the operation
// has returned, and drops it if the build is over by then (BuildKit: solver,
// edge.execOp; util/flightcontrol).
//
// A result that another vertex started with had been saved. A canceled vertex proves
// nothing: it is reported as started even if one of its inputs failed.
func (r *replay) lost() func(*seenVertex) bool {
	var firstFailure, last time.Time // of the times at which vertices completed
	saved := map[digest.Digest]bool{}
	for _, v := range r.vertices {
		if v.Started != nil && !v.Cached && !v.canceled() {
			for _, in := range v.Inputs {
				saved[in] = true
			}
		}
		if v.Completed == nil {
			continue
		}
		if v.Error != "" && (firstFailure.IsZero() || v.Completed.Before(firstFailure)) {
			firstFailure = *v.Completed
		}
		if v.Completed.After(last) {
			last = *v.Completed
		}
	}
	end := firstFailure
	if end.IsZero() {
		end = last
	}
	return func(v *seenVertex) bool {
		return v.Completed != nil && !saved[v.Digest] && v.Completed.After(end.Add(-saveTime))
	}
}

// canceled reports whether v ended because its build did.
func (v *seenVertex) canceled() bool { return strings.HasSuffix(v.Error, "context canceled") }

// seconds returns how long v ran, 0 if it did not.
func (v *seenVertex) seconds() float64 {
	if v.Started == nil || v.Completed == nil || v.Cached {
		return 0
	}
	return v.Completed.Sub(*v.Started).Seconds()
}

// runs returns when v was running, or nothing if it did not.
func (v *seenVertex) runs() []Run {
	if v.seconds() <= 0 {
		return nil
	}
	return []Run{{*v.Started, *v.Completed}}
}

// covered returns the seconds that are in at least one of the runs. It sorts them.
func covered(list []Run) float64 {
	slices.SortFunc(list, func(a, b Run) int { return a.Started.Compare(b.Started) })
	var total time.Duration
	var end time.Time
	for _, s := range list {
		if s.Started.Before(end) {
			s.Started = end
		}
		if s.Completed.After(s.Started) {
			total += s.Completed.Sub(s.Started)
			end = s.Completed
		}
	}
	return total.Seconds()
}
