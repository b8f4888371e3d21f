package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/image"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
	"github.com/stokerd/stoker/internal/scan"
	"github.com/stokerd/stoker/internal/smoke"
)

// buildWork is one run of `stoker build`.
type buildWork struct {
	*buildOptions
	query   api.Query
	build   *project.Build
	node    *buildkit.Builder
	request buildkit.Request
}

// do builds the image, examines it, checks the limits, and hands it on only if it keeps
// them. It then writes the report.
func (w *buildWork) do(ctx context.Context) error {
	w.announce()
	dir, err := os.MkdirTemp("", "stoker-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	layout := filepath.Join(dir, "image")
	answer, err := w.solve(ctx, layout)
	if err != nil {
		return err
	}
	built := !failedGate(answer.Gates)
	if built {
		if err := w.look(ctx, layout, &answer); err != nil {
			return err
		}
	}
	w.why(ctx, &answer)
	answer.OK = !failedGate(answer.Gates)
	if answer.OK {
		w.handOn(ctx, &answer)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		answer.OK = !failedGate(answer.Gates)
	} else if built && (w.push || w.load) {
		answer.Notes = append(answer.Notes, "the image was neither pushed nor loaded: it does not keep a limit")
	}
	if err := w.write(answer); err != nil {
		return err
	}
	if !answer.OK {
		return verdict(api.Failed)
	}
	return nil
}

// solve builds the image, writes it to layout as an OCI layout, and reports on the steps.
// That a step failed is in the report and not an error.
func (w *buildWork) solve(ctx context.Context, layout string) (api.BuildReport, error) {
	built, err := w.node.Build(ctx, buildkit.BuildRequest{
		Request: w.request, Output: buildkit.Output{Layout: layout}, Pull: w.pull, Display: w.display(w.build),
	})
	var failure *buildkit.SolveError
	switch {
	case ctx.Err() != nil:
		return api.BuildReport{}, ctx.Err()
	case errors.As(err, &failure) && failure.Unavailable():
		return api.BuildReport{}, &api.Error{Code: api.NoBuilder, Message: "the builder went away: " + failure.Error()}
	case err != nil && failure == nil:
		return api.BuildReport{}, &api.Error{Code: api.BadInput, Message: err.Error()}
	}
	answer := report.Built(w.build.Definition.Name, built.Record, built.Digest)
	answer.Tags = append(answer.Tags, w.tags...)
	if failure != nil {
		answer.Error = failure.Error()
		answer.Gates = append(answer.Gates, api.BuildGate{Gate: "build", Text: failure.Error()})
	}
	return answer, nil
}

// failedGate reports whether any limit was not kept.
func failedGate(gates []api.BuildGate) bool {
	for _, g := range gates {
		if !g.OK {
			return true
		}
	}
	return false
}

// announce prints what will run where.
func (w *buildWork) announce() {
	words := []string{fmt.Sprintf("run up to %s", plural(len(w.build.Selection.Plan.Steps), "step"))}
	if w.smoke {
		words = append(words, "and the image")
	}
	text := strings.Join(words, " ") + " on " + w.node.Info().Name
	if w.sbom == buildkit.DefaultSBOM {
		text += ", which pulls docker/buildkit-syft-scanner for the list of packages"
	}
	if w.push {
		text += "; then push " + strings.Join(w.tags, " and ")
	}
	if w.load {
		text += "; then load " + strings.Join(w.tags, " and ") + " into Docker"
	}
	w.err.line(w.err.bold(visible(w.build.Definition.Name, nil)), visible(text, nil))
}

// look analyses the image, scans it and runs it as the flags say, and judges the limits.
func (w *buildWork) look(ctx context.Context, layout string, answer *api.BuildReport) error {
	img, err := image.Open(ctx, "oci:"+layout, image.OpenOptions{})
	if err != nil {
		return err
	}
	defer img.Close()
	analysis, err := image.Analyse(ctx, img, image.Options{Secrets: image.AppSecrets})
	if err != nil {
		return err
	}
	seen := report.Image(analysis, nil, "")
	seen.Name, seen.From = w.build.Definition.Name, "the builder"
	if len(w.tags) > 0 {
		seen.Name = w.tags[0]
	}
	answer.Image = &seen
	if w.scanners[0] != "off" {
		found, err := scan.Run(ctx, layout, scan.Options{Scanners: w.scanners, Offline: w.offline, Environ: w.Environ})
		if err != nil {
			return err
		}
		answer.Scan = report.Scan(found)
		if w.sarif != "" && found.Scanned() {
			name := w.dockerfile()
			if err := writeFile(w.absolute(w.sarif), func(to io.Writer) error { return scan.WriteSARIF(to, found, name) }); err != nil {
				return err
			}
		}
	}
	if w.smoke {
		if err := w.try(ctx, answer); err != nil {
			return err
		}
	}
	w.advise(ctx, answer)
	w.judge(answer, analysis)
	return nil
}

// dockerfile returns the path of the Dockerfile for SARIF: relative to the current
// folder, or only "Dockerfile" if it is outside of that.
func (w *buildWork) dockerfile() string {
	if rel, err := filepath.Rel(w.Dir, w.build.Definition.Dockerfile); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return "Dockerfile"
}

// try runs the image and adds to answer how that went. If a check fails, it prints the
// end of what the program wrote, which is not part of the report.
func (w *buildWork) try(ctx context.Context, answer *api.BuildReport) error {
	var logs ending16K
	w.err.line(w.err.dim("running the image"))
	request := w.request
	request.NoCache, request.NoCacheStages = false, nil // run what was just built
	result, err := smoke.Run(ctx, w.node, request, w.smokeFlags.options(), &logs)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	answer.Smoke = smokeReport(result, err)
	if lines := logs.lines(); !answer.Smoke.OK && len(lines) > 0 {
		w.err.line("what the program wrote last:")
		for _, line := range lines {
			w.err.line("  " + visible(line, nil))
		}
	}
	return nil
}

func smokeReport(r smoke.Result, err error) *api.BuildSmoke {
	out := &api.BuildSmoke{
		OK: err == nil && r.OK(), How: r.How, Seconds: r.Seconds, Memory: r.Memory, Checks: []api.BuildCheck{}, WrittenCount: r.WrittenCount,
	}
	for _, c := range r.Checks {
		out.Checks = append(out.Checks, api.BuildCheck{Name: c.Name, State: string(c.State), Text: c.Text})
	}
	for _, name := range r.Written {
		out.Written = append(out.Written, strings.ToValidUTF8(name, "�"))
	}
	if err != nil {
		out.Problem = err.Error()
	}
	return out
}

// ending16K is a writer that keeps the last 16 KiB of what is written. It may be used by
// several goroutines.
type ending16K struct {
	mu  sync.Mutex // guards end
	end []byte
}

func (e *ending16K) Write(p []byte) (int, error) {
	const keep = 16 << 10
	e.mu.Lock()
	defer e.mu.Unlock()
	e.end = append(e.end, p...)
	if len(e.end) > keep {
		e.end = append([]byte(nil), e.end[len(e.end)-keep:]...)
	}
	return len(p), nil
}

// lines returns the last 20 lines.
func (e *ending16K) lines() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	text := strings.TrimRight(string(e.end), "\r\n")
	if text == "" {
		return nil
	}
	all := strings.Split(text, "\n")
	for i := range all {
		all[i] = strings.TrimRight(all[i], "\r")
	}
	return all[max(0, len(all)-20):]
}

// mostAdvice is how many suggestions a report has.
const mostAdvice = 5

// advise adds the best suggestions to answer. If they cannot be computed, a note says so.
func (w *buildWork) advise(ctx context.Context, answer *api.BuildReport) {
	given, err := ask(ctx, w.options, w.query.AdHoc != nil, func(s source) (api.Suggest, error) {
		query := w.query
		if query.AdHoc == nil {
			query.Names = []string{w.build.Definition.Name}
		}
		return s.Suggest(ctx, api.SuggestRequest{Query: query})
	})
	if err != nil {
		answer.Notes = append(answer.Notes, "no suggestions: "+explain(err).Message)
		return
	}
	for _, d := range given.Definitions {
		for _, s := range d.Suggestions {
			if len(answer.Suggestions) == mostAdvice {
				answer.Notes = append(answer.Notes, "there are more suggestions: stoker suggest")
				return
			}
			answer.Suggestions = append(answer.Suggestions, api.BuildAdvice{
				Rule: s.Rule, Title: s.Title, File: s.File, Lines: s.Lines, SavesSeconds: s.SavesSeconds, SavesBytes: s.SavesBytes, Costs: s.Costs,
			})
		}
	}
}

// whyWait bounds the wait for the daemon to observe the build, which it does by reading
// the builder's record.
const whyWait = 3 * time.Second

// why adds to answer why steps ran, which only a daemon knows, because it keeps what
// earlier builds were made of. If it cannot, a note says so.
func (w *buildWork) why(ctx context.Context, answer *api.BuildReport) {
	if answer.Hits == answer.Needed {
		return
	}
	client, err := w.daemon(ctx)
	if err != nil {
		answer.Notes = append(answer.Notes, "why steps ran is told where a daemon watches the repository: stoker up")
		return
	}
	defer client.Close()
	deadline := time.Now().Add(whyWait)
	for {
		told, err := client.Why(ctx, api.WhyRequest{Dir: w.Dir, Build: answer.Ref})
		if err == nil && len(told.Steps) == len(answer.Steps) {
			answer.Steps = told.Steps
			return
		}
		if err == nil || !isNotFound(err) || time.Now().After(deadline) {
			answer.Notes = append(answer.Notes, "why steps ran is not known: the daemon does not watch this repository, or has not seen the build")
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// handOn pushes, signs and loads the image, as the flags say, by repeating the build from
// the cache. A failure stops it, and is in answer as a limit that is not kept.
func (w *buildWork) handOn(ctx context.Context, answer *api.BuildReport) {
	for _, one := range []struct {
		gate string
		want bool
		do   func(context.Context, *api.BuildReport) error
	}{{"push", w.push, w.pushImage}, {"sign", w.sign != "", w.signImage}, {"load", w.load, w.loadImage}} {
		if !one.want {
			continue
		}
		if err := one.do(ctx, answer); err != nil {
			answer.Gates = append(answer.Gates, api.BuildGate{Gate: one.gate, Text: err.Error()})
			return
		}
	}
}

// again returns a request that repeats the build with another output. It uses the cache
// even with --no-cache, so that it hands on the image that was just built.
func (w *buildWork) again(o buildkit.Output, sbom string) buildkit.BuildRequest {
	r := buildkit.BuildRequest{Request: w.request, Output: o, SBOM: sbom, Again: true, Display: w.display(w.build)}
	r.NoCache, r.NoCacheStages = false, nil
	return r
}

func (w *buildWork) pushImage(ctx context.Context, answer *api.BuildReport) error {
	built, err := w.node.Build(ctx, w.again(buildkit.Output{Push: w.tags}, w.sbom))
	switch {
	case err == nil:
		answer.Pushed, answer.Digest = true, built.Digest
	case w.sbom != "":
		return fmt.Errorf("%w; with --sbom the builder also has to be able to pull the image that makes the list of packages", err)
	}
	return err
}

func (w *buildWork) signImage(ctx context.Context, answer *api.BuildReport) error {
	key := w.sign
	if key == keyless {
		key = ""
	} else if !strings.Contains(key, "://") {
		key = w.absolute(key)
	}
	err := scan.Sign(ctx, w.Environ, w.tags[0]+"@"+answer.Digest, key)
	answer.Signed = err == nil
	return err
}

func (w *buildWork) loadImage(ctx context.Context, answer *api.BuildReport) (err error) {
	if w.node.Info().Kind == "docker" {
		_, err = w.node.Build(ctx, w.again(buildkit.Output{Load: w.tags}, ""))
	} else {
		err = w.surroundings().LoadArchive(ctx, func(to io.WriteCloser) error {
			_, err := w.node.Build(ctx, w.again(buildkit.Output{Load: w.tags, Archive: func() (io.WriteCloser, error) { return to, nil }}, ""))
			return err
		})
	}
	answer.Loaded = err == nil
	return err
}
