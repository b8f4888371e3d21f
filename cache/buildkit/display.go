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

// A Display shows a build while it runs, as buildx does: it redraws on a
// terminal, else it writes lines. Names are shown as the Dockerfile writes them,
// because BuildKit's own hold values of args.
type Display struct {
	// W is where to; nil shows nothing.
	W io.Writer
	// Steps are those of the plan.
	Steps []dockerfile.Step
}

// show returns a function that takes each status, and one that waits for the
// end. Both are called from one goroutine.
func (d Display) show(ctx context.Context) (update func(*client.SolveStatus), wait func()) {
	if d.W == nil {
		return func(*client.SolveStatus) {}, func() {}
	}
	ui, err := progressui.NewDisplay(d.W, progressui.AutoMode)
	if err != nil { // for modes that nobody asks for
		return func(*client.SolveStatus) {}, func() {}
	}
	names := newShownNames(d.Steps)
	updates, done := make(chan *client.SolveStatus), make(chan struct{})
	go func() {
		defer close(done)
		// The display ends with its channel: what was cancelled is shown too.
		_, _ = ui.UpdateFrom(context.WithoutCancel(ctx), updates)
	}()
	return func(s *client.SolveStatus) { updates <- names.status(s) }, func() { close(updates); <-done }
}

// shownNames are the names of steps by their places.
type shownNames map[string]dockerfile.Step

func newShownNames(steps []dockerfile.Step) shownNames {
	names := shownNames{}
	for _, s := range steps {
		names[stepKey(s.Stage, s.Index)] = s
	}
	return names
}

func stepKey(stage string, index int) string { return fmt.Sprintf("%s %d", stage, index) }

// status returns what of a status may be shown. Warnings are left out: they
// quote expanded instructions.
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
			shown.ID = "resolve image" // a name that args are put into
		}
		if shown.Name != "" {
			shown.Name = shown.ID
		}
		out.Statuses = append(out.Statuses, &shown)
	}
	return out
}

// ownVertices are BuildKit's own vertices that are known by how their names
// begin; nothing of the rest is shown.
var ownVertices = []string{
	"[internal] load build definition", "[internal] load metadata", "[internal] load .dockerignore",
	"[internal] load build context", "[auth]", "importing cache manifest", "exporting to oci image format",
	"exporting to docker image format", "exporting to image", "exporting layers", "exporting cache",
	"resolve image config", "sending tarball", "generating sbom",
}

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
