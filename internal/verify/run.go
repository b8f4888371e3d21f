package verify

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
)

// mostListed is how many differences a verdict lists at most. It counts all of them.
const mostListed = 1000

// A Job is what [Run] verifies.
type Job struct {
	Builder Builder
	Where   string           // the builder's name, for messages
	Picture *project.Picture // of the repository that the candidates change
	Request api.VerifyRequest
	Tell    func(api.VerifyEvent) // not nil
	Watch   Watch                 // may be nil
}

// A run is the state of [Run].
type run struct {
	Job
	verdicts []*api.Verification // by candidate
	spent    []time.Duration     // by candidate
}

// Run verifies each candidate of the request for all definitions of the picture that it
// concerns. It first tells what will run where, and last a verdict for each candidate.
//
// Definitions are built one after the other: a builder shares steps that run without
// cache at the same time (BuildKit: solver.Solver.loadUnlocked), which would make one
// build of two of the original.
//
// The error is an *api.Error for what the user can mend, the cause of ctx's end, or
// another one of a build. No verdict is told then.
func Run(ctx context.Context, job Job) error {
	r := &run{Job: job, spent: make([]time.Duration, len(job.Request.Candidates))}
	for range job.Request.Candidates {
		r.verdicts = append(r.verdicts, &api.Verification{Outcome: api.VerifiedEqual, Builds: []string{}})
	}
	for _, def := range r.announce() {
		if err := r.verify(ctx, def); err != nil {
			return err
		}
	}
	r.tellVerdicts()
	return nil
}

// tellVerdicts completes the verdicts and tells them. A candidate for which nothing was
// built is not proven equal.
func (r *run) tellVerdicts() {
	for i, v := range r.verdicts {
		v.Seconds = r.spent[i].Seconds()
		if len(v.Builds) == 0 && v.Outcome == api.VerifiedEqual {
			v.Outcome, v.Message = api.VerifiedFailed, "there is no build that could be made"
			if len(v.Skipped) > 0 {
				v.Message = v.Skipped[0]
			}
		}
		r.Tell(api.VerifyEvent{State: api.VerifyDone, Candidate: i, Verification: v})
	}
}

// announce tells what will run, and returns the definitions that will be built. The
// verdicts get the others that are concerned, and why those cannot be built.
func (r *run) announce() []buildctx.Definition {
	var list []buildctx.Definition
	for _, b := range r.Picture.Builds {
		concerned := r.concerned(b)
		if len(concerned) == 0 {
			continue
		}
		if why := unbuildable(b); why != "" {
			for _, i := range concerned {
				r.verdicts[i].Skipped = append(r.verdicts[i].Skipped, b.Definition.Name+": "+why)
			}
			continue
		}
		list = append(list, b.Definition)
		r.Tell(api.VerifyEvent{State: api.VerifyPlan, Definition: b.Definition.Name, Message: planText(r.Where, len(concerned))})
	}
	return list
}

// planText says what will run on the builder named where, to verify that many changed
// versions of one definition.
func planText(where string, versions int) string {
	what := "with the change"
	if versions > 1 {
		what = fmt.Sprintf("with each of %d changes", versions)
	}
	return "run all steps without cache on " + where + ": once as they are, once " + what + ", and again as they are where the images differ"
}

// concerned returns the indexes of the candidates that change the Dockerfile or an
// ignore file of b.
func (r *run) concerned(b *project.Build) []int {
	if b.Definition.Inline != "" {
		return nil
	}
	names := []string{r.Picture.Relative(b.Definition.Dockerfile), r.Picture.Relative(b.Definition.Dockerfile + ".dockerignore")}
	if !b.Definition.Remote() {
		names = append(names, r.Picture.Relative(filepath.Join(b.Definition.Context, ".dockerignore")))
	}
	var list []int
	for i, changes := range r.Request.Candidates {
		if slices.ContainsFunc(changes, func(c api.FileChange) bool { return slices.Contains(names, c.Path) }) {
			list = append(list, i)
		}
	}
	return list
}

// unbuildable says why a definition cannot be built as its users build it; "" if it can.
func unbuildable(b *project.Build) string {
	switch {
	case b.Problem != nil:
		return b.Problem.Text
	case len(b.Definition.UnknownArgs) > 0:
		return "the values of its build args are not known"
	case len(b.Definition.Linked) > 0:
		return "it starts from the result of another build"
	}
	return ""
}

// verify verifies, for one definition, the candidates that concern it, except for those
// that are known to differ for another one. The time of the original's build is split
// evenly among them.
func (r *run) verify(ctx context.Context, def buildctx.Definition) error {
	b, ok := r.Picture.Find(def.Name)
	if !ok {
		return nil
	}
	open := slices.DeleteFunc(r.concerned(b), func(i int) bool { return r.verdicts[i].Outcome != api.VerifiedEqual })
	if len(open) == 0 {
		return nil
	}
	version := "" // which of several is being built, for Tell
	opt := Options{
		Offer: buildkit.Offer{Secrets: r.Request.Secrets, SSH: r.Request.SSH},
		Watch: r.Watch,
		Tell: func(phase Phase, p buildkit.Progress) {
			if p == (buildkit.Progress{}) { // the build begins
				r.Tell(api.VerifyEvent{State: api.VerifyBuild, Definition: def.Name, Message: string(phase) + version})
			}
		},
	}
	began := time.Now()
	o, err := Open(ctx, r.Builder, def, opt)
	if err != nil {
		return r.unproven(ctx, open, def, err)
	}
	shared := time.Since(began) / time.Duration(len(open))
	for n, i := range open {
		version = ""
		if len(open) > 1 {
			version = fmt.Sprintf(" (%d of %d)", n+1, len(open))
		}
		began := time.Now()
		result, err := o.Check(ctx, r.changes(i))
		r.spent[i] += shared + time.Since(began)
		if err != nil {
			if err := r.unproven(ctx, []int{i}, def, err); err != nil {
				return err
			}
			continue
		}
		addResult(r.verdicts[i], def.Name, result)
	}
	return nil
}

// changes returns the changes of a candidate, with absolute paths.
func (r *run) changes(candidate int) []Change {
	var list []Change
	for _, c := range r.Request.Candidates[candidate] {
		list = append(list, Change{Path: filepath.Join(r.Picture.Root, filepath.FromSlash(c.Path)), Old: c.Old, New: c.New})
	}
	return list
}

// addResult adds to a verdict what was found for the definition name.
func addResult(v *api.Verification, name string, result Result) {
	v.Builds = append(v.Builds, name)
	v.Images += result.Images
	v.Files += result.Files
	v.Differing += len(result.Differences)
	v.NotCovered += len(result.Uncovered)
	v.Differences = appendWire(v.Differences, name, result.Differences)
	v.Varying = appendWire(v.Varying, name, result.Uncovered)
	for _, p := range result.Edited {
		v.Edited = append(v.Edited, wire(name, Difference{Path: p, Aspect: "edited"}))
	}
	if !result.Equal() {
		v.Outcome = api.VerifiedDiffers
	}
	if result.Failure != "" {
		v.Message = "with the change, " + name + " does not build: " + result.Failure
	}
}

// unproven handles an error of [Open] or [Original.Check]. If it means that the original
// does not build, the verdicts of the candidates say so, and unproven returns nil. All
// other errors end the run, and are returned.
func (r *run) unproven(ctx context.Context, candidates []int, def buildctx.Definition, err error) error {
	var build *BuildError
	var solve *buildkit.SolveError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &build):
		for _, i := range candidates {
			v := r.verdicts[i]
			v.Outcome, v.Message, v.Hint = api.VerifiedFailed, def.Name+": "+build.Error(), r.hint(def)
		}
		return nil
	case errors.Is(err, buildkit.ErrNoExport):
		return &api.Error{
			Code: api.NoBuilder, Message: err.Error() + ", so they cannot be compared",
			Hint: "turn on Docker's containerd image store, or use a builder of docker buildx",
		}
	case errors.Is(err, ErrChanged):
		return &api.Error{Code: api.BadInput, Message: err.Error()}
	case errors.As(err, &solve):
		return &api.Error{Code: api.NoBuilder, Message: "the builder went away: " + solve.Error()}
	}
	return fmt.Errorf("verify %s: %w", def.Name, err)
}

// hint says what to do if def does not build: to offer a secret or an SSH agent, if a
// step mounts one and none was offered, else to make it build.
func (r *run) hint(def buildctx.Definition) string {
	text, err := def.DockerfileText()
	if err != nil {
		return ""
	}
	f, err := dockerfile.Parse(def.Dockerfile, text)
	if err != nil {
		return ""
	}
	for _, st := range f.Stages {
		for _, ins := range st.Instructions {
			if ins.Run == nil {
				continue
			}
			for _, m := range ins.Run.Mounts {
				if m.Type == "secret" && len(r.Request.Secrets) == 0 || m.Type == "ssh" && len(r.Request.SSH) == 0 {
					return fmt.Sprintf("line %d mounts a %s: offer it as for docker build, with --%s", ins.Lines.From, m.Type, m.Type)
				}
			}
		}
	}
	return "a build without cache has to succeed as it is before a change can be compared"
}

// appendWire appends differences of the definition name to a list, up to [mostListed].
func appendWire(list []api.ImageDifference, name string, more []Difference) []api.ImageDifference {
	for _, d := range more {
		if len(list) == mostListed {
			break
		}
		list = append(list, wire(name, d))
	}
	return list
}

// wire returns d for JSON. A path that is not UTF-8 is there twice: as text, with
// replacement characters, and as bytes.
func wire(name string, d Difference) api.ImageDifference {
	w := api.ImageDifference{
		Definition: name, Platform: d.Platform, What: string(d.Aspect),
		Path: strings.ToValidUTF8(d.Path, "\uFFFD"), Detail: strings.ToValidUTF8(d.Detail, "\uFFFD"),
	}
	if !utf8.ValidString(d.Path) {
		w.PathBytes = []byte(d.Path)
	}
	return w
}
