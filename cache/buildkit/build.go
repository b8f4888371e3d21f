package buildkit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/identity"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/dockerfile"
)

// A BuildRequest is a build for its result. As for a [Request], asking for
// consent is the caller's part.
type BuildRequest struct {
	Request
	Output Output
	// Pull has the builder ask the registries for base images that it holds.
	Pull bool
	// SBOM is the image that makes a list of the packages, to be attached to the
	// result: "" for none, DefaultSBOM for BuildKit's own choice.
	SBOM string
	// Again says that the same build was made a moment ago: it is in no history
	// and no statistics.
	Again   bool
	Display Display
}

// DefaultSBOM is the generator that the builder knows, docker/buildkit-syft-scanner.
const DefaultSBOM = "default"

// An Output says where the result of a build goes; one field is set.
type Output struct {
	// Layout is a folder that the image is written to as an OCI layout.
	Layout string
	// Push are names that the builder pushes the image under.
	Push []string
	// Load are names under which an engine takes the image: the builder's own
	// where it is one, else the one that Archive leads to.
	Load    []string
	Archive func() (io.WriteCloser, error)
}

// export returns how BuildKit's client spells the output.
func (o Output) export(kind string) client.ExportEntry {
	names := func(list []string) map[string]string { return map[string]string{"name": strings.Join(list, ",")} }
	switch {
	case len(o.Push) > 0:
		attrs := names(o.Push)
		attrs["push"] = "true"
		return client.ExportEntry{Type: client.ExporterImage, Attrs: attrs}
	case len(o.Load) > 0 && kind == "docker":
		// The engine's own store (buildx: build/opt.go).
		return client.ExportEntry{Type: "moby", Attrs: names(o.Load)}
	case len(o.Load) > 0:
		return client.ExportEntry{
			Type: client.ExporterDocker, Attrs: names(o.Load),
			Output: func(map[string]string) (io.WriteCloser, error) { return o.Archive() },
		}
	}
	return client.ExportEntry{Type: client.ExporterOCI, Attrs: map[string]string{"tar": "false"}, OutputDir: o.Layout}
}

// A Built is a build of ours that came to its end, in success or not.
type Built struct {
	// Record tells of the steps.
	Record cache.Record
	// Digest is that of the image, or of its index.
	Digest string
	// Parts are the operations, as in [Observed].
	Parts []Part
}

// Build builds r and puts the result where its output says. Where the build
// fails the error is a [SolveError], and what was built tells of the steps
// nevertheless.
func (b *Builder) Build(ctx context.Context, r BuildRequest) (Built, error) {
	opt, err := b.solveOpt(r.Request)
	if err != nil {
		return Built{}, err
	}
	opt.Internal, opt.Ref = r.Again, identity.NewID()
	opt.Exports = []client.ExportEntry{r.Output.export(b.info.Kind)}
	if r.Pull {
		opt.FrontendAttrs["image-resolve-mode"] = "pull"
	}
	switch r.SBOM {
	case "":
	case DefaultSBOM:
		opt.FrontendAttrs["attest:sbom"] = ""
	default:
		opt.FrontendAttrs["attest:sbom"] = "generator=" + r.SBOM
	}
	began := time.Now()
	seen, resp, err := b.shown(ctx, r.Display, func(updates chan *client.SolveStatus) (*client.SolveResponse, error) {
		return b.client.Solve(ctx, nil, opt, updates)
	})
	if lacksExporter(err) && r.Output.Layout != "" && b.engine != nil {
		// Nothing was built yet: exporters are looked for first (BuildKit: control.Controller.Solve).
		seen, resp, err = b.buildSaved(ctx, opt, r.Display, r.Output.Layout)
	}
	if lacksExporter(err) && len(r.Output.Push) > 0 {
		err = &SolveError{Kind: noPush, cause: err}
	}
	if ctx.Err() != nil {
		return Built{}, context.Cause(ctx)
	}
	built := Built{Record: cache.Record{
		Builder: b.info.Name, Ref: opt.Ref, Status: cache.Completed, Created: began, Completed: time.Now(),
	}}
	if resp != nil {
		built.Digest = resp.ExporterResponse["containerimage.digest"]
	}
	if err != nil {
		built.Record.Status, built.Record.Error = cache.Broken, err.Error()
	}
	if r.Again || !b.complete(ctx, &built) {
		o := observation{seen: seen, status: built.Record.Status}
		o.collect()
		built.Record.Steps = o.steps()
	}
	describe(&built, r.Display.Steps)
	return built, err
}

// describe names steps of which the builder tells the keyword only, by the plan.
func describe(built *Built, steps []dockerfile.Step) {
	o := Observed{Record: built.Record}
	known := newShownNames(steps)
	o.Describe(func(s cache.Step) (string, int, bool) {
		step, ok := known[stepKey(s.Stage, s.Index)]
		_, rest, _ := strings.Cut(s.Name, "] ")
		keyword, _, _ := strings.Cut(rest, " ")
		return step.Instruction, step.Lines.From, ok && step.Keyword == keyword
	})
	built.Record = o.Record
	all := built.Record.Steps
	if !slices.ContainsFunc(all, func(s cache.Step) bool { return s.Line == 0 }) {
		slices.SortStableFunc(all, func(a, b cache.Step) int { return cmp.Compare(a.Line, b.Line) })
	}
}

// complete reads what the builder's history has of the build, and reports
// whether it has it.
func (b *Builder) complete(ctx context.Context, built *Built) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	stream, err := b.client.ControlClient().ListenBuildHistory(ctx, &controlapi.BuildHistoryRequest{Ref: built.Record.Ref, EarlyExit: true})
	if err != nil {
		return false
	}
	for {
		ev, err := stream.Recv()
		if err != nil {
			return false // the end too: it was not there
		}
		if ev.Record == nil || ev.Record.Ref != built.Record.Ref {
			continue
		}
		if e := newEvent(ev); e.Type == Complete {
			o, err := b.Observe(ctx, e)
			if err != nil {
				return false
			}
			built.Record, built.Parts = o.Record, o.Parts
			return true
		}
	}
}

// shown is run for a build that is shown.
func (b *Builder) shown(ctx context.Context, d Display, call func(chan *client.SolveStatus) (*client.SolveResponse, error)) (*replay, *client.SolveResponse, error) {
	show, wait := d.show(ctx)
	defer wait()
	return b.run(ctx, func(_ *replay, s *client.SolveStatus) { show(s) }, call)
}

// missingExporter reports whether the builder says that it cannot give the result in
// the form asked for: an engine that keeps images the old way has neither archives nor
// layouts (moby: builder/builder-next/worker).
func missingExporter(err error) bool {
	text := err.Error()
	return strings.Contains(text, "exporter") && strings.Contains(text, "could not be found")
}

// lacksExporter reports whether that is what ended a build.
func lacksExporter(err error) bool {
	var failed *SolveError
	return errors.As(err, &failed) && failed.Kind == noLayouts
}

// gatewayRun has fn solve and run through the builder's gateway, without a result.
func (b *Builder) gatewayRun(ctx context.Context, opt client.SolveOpt, d Display, fn gateway.BuildFunc) error {
	_, _, err := b.shown(ctx, d, func(updates chan *client.SolveStatus) (*client.SolveResponse, error) {
		return b.client.Build(ctx, opt, "stoker", fn, updates)
	})
	if err != nil {
		return fmt.Errorf("run the image: %w", err)
	}
	return nil
}
