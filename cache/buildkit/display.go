package buildkit

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/progress/progressui"
	"google.golang.org/grpc/codes"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A Display shows a build while it runs, as buildx does: it redraws a terminal, and writes
// lines to anything else. Steps are named as the Dockerfile writes them, because BuildKit's
// names hold values of args.
type Display struct {
	// W is written to; nil shows nothing.
	W io.Writer
	// Steps are those of the build's plan.
	Steps []dockerfile.Step
}

// show returns a function that shows a status, and one that waits until all is shown, after
// which update must not be called any more. Both must be called from one goroutine.
func (d Display) show(ctx context.Context) (update func(*client.SolveStatus), wait func()) {
	if d.W == nil {
		return func(*client.SolveStatus) {}, func() {}
	}
	ui, err := progressui.NewDisplay(d.W, progressui.AutoMode)
	if err != nil { // AutoMode does not fail
		return func(*client.SolveStatus) {}, func() {}
	}
	names := newShownNames(d.Steps)
	updates, done := make(chan *client.SolveStatus), make(chan struct{})
	go func() {
		defer close(done)
		// The display ends when updates is closed, so that a build that was cancelled is
		// shown up to its end.
		_, _ = ui.UpdateFrom(context.WithoutCancel(ctx), updates)
	}()
	return func(s *client.SolveStatus) { updates <- names.status(s) }, func() { close(updates); <-done }
}

// shownNames are the steps that may be shown, by stepKey.
type shownNames map[string]dockerfile.Step

// newShownNames returns the steps by stepKey.
func newShownNames(steps []dockerfile.Step) shownNames {
	names := shownNames{}
	for _, s := range steps {
		names[stepKey(s.Stage, s.Index)] = s
	}
	return names
}

// stepKey identifies a step by its stage and its number there.
func stepKey(stage string, index int) string { return fmt.Sprintf("%s %d", stage, index) }

// status returns the part of s that may be shown. Warnings may not, as they quote
// instructions with variables expanded.
func (n shownNames) status(s *client.SolveStatus) *client.SolveStatus {
	out := &client.SolveStatus{Logs: s.Logs}
	for _, v := range s.Vertexes {
		shown := *v
		shown.Name = n.name(v.Name)
		if v.Error != "" {
			shown.Error = strings.TrimPrefix(kindOf(v.Error, codes.Unknown), ", ")
			if shown.Error == "" {
				shown.Error = "failed"
			}
			if canceled := (&seenVertex{Vertex: *v}).canceled(); canceled {
				shown.Error = v.Error[len(v.Error)-len("context canceled"):]
			}
		}
		if v.ProgressGroup != nil {
			shown.ProgressGroup = &pb.ProgressGroup{Id: v.ProgressGroup.Id, Name: n.name(v.ProgressGroup.Name), Weak: v.ProgressGroup.Weak}
		}
		out.Vertexes = append(out.Vertexes, &shown)
	}
	for _, st := range s.Statuses {
		shown := *st
		if strings.HasPrefix(shown.ID, "resolve ") {
			shown.ID = "resolve image" // the name of the image may hold values of args
		}
		if shown.Name != "" {
			shown.Name = shown.ID
		}
		out.Statuses = append(out.Statuses, &shown)
	}
	return out
}

// ownVertices are the fixed beginnings of names of BuildKit's own vertices. Only they are
// shown of such names.
var ownVertices = []string{
	"[internal] load build definition", "[internal] load metadata", "[internal] load .dockerignore",
	"[internal] load build context", "[auth]", "importing cache manifest", "exporting to oci image format",
	"exporting to docker image format", "exporting to image", "exporting layers", "exporting cache",
	"resolve image config", "sending tarball", "generating sbom",
}

// name returns the name to show for a vertex with this name.
func (n shownNames) name(name string) string {
	l, ok := parseLabel(name)
	if !ok {
		for _, own := range ownVertices {
			if strings.HasPrefix(name, own) {
				return own
			}
		}
		return "[internal] load a source"
	}
	if s, ok := n[stepKey(l.stage, l.index)]; ok && s.Keyword == l.keyword {
		return l.prefix + " " + s.Instruction
	}
	return l.prefix + " " + l.keyword
}
