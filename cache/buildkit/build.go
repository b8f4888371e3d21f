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

// A BuildRequest describes a build that makes an image. As with a [Request], whoever
// makes one must have the user's consent.
type BuildRequest struct {
	Request
	Output Output
	// Pull has the builder ask registries whether its base images are still current.
	Pull bool
	// SBOM is the image that lists the packages of the result, for an attestation:
	// "" for none, DefaultSBOM for BuildKit's own choice.
	SBOM string
	// Again says that the same build was made a moment ago, so that this one is left
	// out of the builder's history and of all statistics.
	Again   bool
	Display Display
}

// DefaultSBOM stands for docker/buildkit-syft-scanner, which BuildKit chooses.
const DefaultSBOM = "default"

// An Output says where an image goes. One of Layout, Push and Load is set.
type Output struct {
	// Layout is a directory on this machine to which it is written as an OCI layout.
	Layout string
	// Push are the names under which the builder pushes it.
	Push []string
	// Load are the names under which it is loaded into a Docker Engine: that of the
	// builder, or else the one that takes what is written to Archive.
	Load    []string
	Archive func() (io.WriteCloser, error)
}

// export returns the export of BuildKit's client for a builder of this kind.
func (o Output) export(kind string) client.ExportEntry {
	names := func(list []string) map[string]string { return map[string]string{"name": strings.Join(list, ",")} }
	switch {
	case len(o.Push) > 0:
		attrs := names(o.Push)
		attrs["push"] = "true"
		return client.ExportEntry{Type: client.ExporterImage, Attrs: attrs}
	case len(o.Load) > 0 && kind == "docker":
		// This exporter writes into the Engine's image store (buildx: build/opt.go).
		return client.ExportEntry{Type: "moby", Attrs: names(o.Load)}
	case len(o.Load) > 0:
		return client.ExportEntry{
			Type: client.ExporterDocker, Attrs: names(o.Load),
			Output: func(map[string]string) (io.WriteCloser, error) { return o.Archive() },
		}
	}
	return client.ExportEntry{Type: client.ExporterOCI, Attrs: map[string]string{"tar": "false"}, OutputDir: o.Layout}
}

// A Built tells of a build that [Builder.Build] made, successful or not.
type Built struct {
	// Record has the outcomes of the steps.
	Record cache.Record
	// Digest is that of the image, or of its index; "" after a failure, and for an
	// image that an Engine without containerd's image store wrote to a layout.
	Digest string
	// Parts are the operations, as in [Observed]; none if the builder's history does
	// not have the build.
	Parts []Part
}

// Build builds r and puts the image where its output says. If the build fails, the error
// is a [SolveError], and the Built tells of the steps that it came to.
func (b *Builder) Build(ctx context.Context, r BuildRequest) (Built, error) {
	opt, err := b.buildOpt(r)
	if err != nil {
		return Built{}, err
	}
	began := time.Now()
	seen, resp, err := b.solveTo(ctx, r, opt)
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
	if r.Again || !b.readHistory(ctx, &built) {
		o := observation{seen: seen, status: built.Record.Status}
		o.collect()
		built.Record.Steps = o.steps()
	}
	describe(&built, r.Display.Steps)
	return built, err
}

// buildOpt returns the options of BuildKit's client for r.
func (b *Builder) buildOpt(r BuildRequest) (client.SolveOpt, error) {
	opt, err := b.solveOpt(r.Request)
	if err != nil {
		return client.SolveOpt{}, err
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
	return opt, nil
}

// solveTo solves r and puts the image where its output says, if necessary by way of the
// image store of the builder's Engine.
func (b *Builder) solveTo(ctx context.Context, r BuildRequest, opt client.SolveOpt) (*replay, *client.SolveResponse, error) {
	seen, resp, err := b.shown(ctx, r.Display, b.solving(ctx, nil, opt))
	if lacksExporter(err) && r.Output.Layout != "" && b.engine != nil {
		// No step ran, as BuildKit looks for the exporter first (control.Controller.Solve).
		seen, resp, err = b.buildSaved(ctx, opt, r.Display, r.Output.Layout)
	}
	if lacksExporter(err) && len(r.Output.Push) > 0 {
		err = &SolveError{Kind: noPush, cause: err}
	}
	return seen, resp, err
}

// describe gives the steps of built that lack them their instruction and line, by the steps
// of the plan. It then orders the steps by line, if all lines are known.
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

// readHistory sets Record and Parts of built from the builder's history. It reports false,
// and changes nothing, if the history does not have the build or cannot be read.
func (b *Builder) readHistory(ctx context.Context, built *Built) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	stream, err := b.client.ControlClient().ListenBuildHistory(ctx, &controlapi.BuildHistoryRequest{Ref: built.Record.Ref, EarlyExit: true})
	if err != nil {
		return false
	}
	for {
		ev, err := stream.Recv()
		if err != nil {
			return false // io.EOF as well: the build is not there
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

// shown is [Builder.run] for a call that d shows.
func (b *Builder) shown(ctx context.Context, d Display, call solveCall) (*replay, *client.SolveResponse, error) {
	show, wait := d.show(ctx)
	defer wait()
	return b.run(ctx, func(_ *replay, s *client.SolveStatus) { show(s) }, call)
}

// missingExporter reports whether err is the builder's, and says that it cannot export in
// the form asked for. A Docker Engine without containerd's image store exports neither
// archives nor layouts (moby: builder/builder-next/worker).
func missingExporter(err error) bool {
	text := err.Error()
	return strings.Contains(text, "exporter") && strings.Contains(text, "could not be found")
}

// lacksExporter reports whether err is what [Builder.run] makes of a missing exporter.
func lacksExporter(err error) bool {
	var failed *SolveError
	return errors.As(err, &failed) && failed.Kind == noLayouts
}

// gatewayRun calls fn with the builder's gateway, through which it can solve and run
// containers. Nothing is exported.
func (b *Builder) gatewayRun(ctx context.Context, opt client.SolveOpt, d Display, fn gateway.BuildFunc) error {
	_, _, err := b.shown(ctx, d, func(updates chan *client.SolveStatus) (*client.SolveResponse, error) {
		return b.client.Build(ctx, opt, "stoker", fn, updates)
	})
	if err != nil {
		return fmt.Errorf("run the image: %w", err)
	}
	return nil
}
