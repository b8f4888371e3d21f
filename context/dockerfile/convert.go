package dockerfile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// An Input is a definition as the frontend takes it.
type Input struct {
	// Dockerfile is the path of the file; Text, if not nil, stands in for its
	// content (a proposal, or a definition without a file of its own).
	Dockerfile string
	Text       []byte
	// Read gives the Dockerfile and the ignore files by their absolute paths; nil
	// reads the disk. Of a file that is not there its error wraps os.ErrNotExist.
	Read func(name string) ([]byte, error)
	// Context is the directory of the main context. RemoteContext is set
	// instead where that is an address; then no ignore file applies.
	Context       string
	RemoteContext string
	Target        string
	Args          map[string]string
	Platforms     []string
	// NamedContexts are directories, or addresses as buildx takes them.
	NamedContexts map[string]string
	// Shown is Text before values of the environment were put in, nil if that
	// is the same: steps are named as it has them.
	Shown []byte
	// Linked are the builds that NamedContexts name as target:NAME, by NAME.
	Linked map[string]Input
	// Options are what RUN steps find around them.
	Options Options
	// NoCache builds all stages without looking into the cache (--no-cache),
	// NoCacheStages these (--no-cache-filter).
	NoCache       bool
	NoCacheStages []string
	// Worker is what is to build it.
	Worker Worker
}

// A Worker is what of a builder decides over a conversion, and so over keys. The
// zero value stands for a builder on this machine of the version that is linked
// in.
type Worker struct {
	// Platform is what it builds for unless told otherwise: "linux/arm64".
	Platform string
	// Caps are the ids of the LLB capabilities it has; nil for all.
	Caps []string
}

// Convert returns the plan of a build of in. It reads the Dockerfile and the
// ignore files and nothing else; images are asked of resolver, which
// may be nil. What BuildKit would refuse is an [*Error].
func Convert(ctx context.Context, in Input, resolver Resolver) (*Plan, error) {
	text, err := in.text()
	if err != nil {
		return nil, err
	}
	if err := in.refuseDeep(text); err != nil {
		return nil, err
	}
	gw, err := newGateway(in, text, resolver)
	if err != nil {
		return nil, err
	}
	if err := gw.link(ctx, in); err != nil {
		return nil, err
	}
	results, err := convert(ctx, gw)
	if err != nil && gw.suppose() {
		if again, err2 := convert(ctx, gw); err2 == nil {
			results, err = again, nil
		}
	}
	if err != nil {
		return nil, in.explain(err)
	}
	plan := &Plan{Text: text, Assumed: slices.Sorted(maps.Keys(gw.unknown)), Remembered: slices.Sorted(maps.Keys(gw.partial)), Warnings: gw.warnings()}
	if len(plan.Assumed)+len(plan.Remembered) > 0 {
		// The image may well define them.
		plan.Warnings = slices.DeleteFunc(plan.Warnings, func(w Warning) bool { return w.Rule == linter.RuleUndefinedVar.Name })
	}
	for i := range plan.Warnings {
		plan.Warnings[i].Message = in.redact(plan.Warnings[i].Message)
	}
	plan.Syntax, plan.External = in.syntax(text)
	instructions, err := in.instructions(text)
	if err != nil {
		return nil, in.explain(err)
	}
	asm := newAssembler(plan, instructions, gw)
	for _, platform := range slices.Sorted(maps.Keys(results)) {
		if err := asm.add(ctx, platform, results[platform].definition); err != nil {
			return nil, fmt.Errorf("read the converted build of %s: %w", in.Dockerfile, err)
		}
		config, err := results[platform].config()
		if err != nil {
			return nil, err
		}
		plan.Configs = append(plan.Configs, config)
	}
	asm.finish()
	return plan, nil
}

func (in Input) text() ([]byte, error) {
	if in.Text != nil {
		return in.Text, nil
	}
	return in.readDockerfile()
}

// A result is what the frontend makes of a build for one platform.
type result struct {
	definition *pb.Definition
	image      *dockerspec.DockerOCIImage // its configuration
}

// config returns a digest of what the image is run with.
func (r result) config() (string, error) {
	if r.image == nil {
		return "", nil
	}
	text, err := json.Marshal(r.image.Config)
	if err != nil {
		return "", fmt.Errorf("encode the image configuration: %w", err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(text)), nil
}

// convert runs the frontend and returns its results by platform, "" for a
// build that asked for none or one. It is what builder.Build does, without
// solving and without its cache of resolved images, which races when stages
// resolve at once.
func convert(ctx context.Context, gw *gateway) (map[string]result, error) {
	frontend, err := dockerui.NewClient(gw)
	if err != nil {
		return nil, err
	}
	src, err := frontend.ReadEntrypoint(ctx, "Dockerfile")
	if err != nil {
		return nil, err
	}
	opt := dockerfile2llb.ConvertOpt{
		Config: frontend.Config, Client: frontend, SourceMap: src.SourceMap, MetaResolver: gw, Warn: gw.lint,
	}
	targets := []*ocispecs.Platform{nil}
	if len(frontend.TargetPlatforms) > 0 {
		targets = targets[:0]
		for _, p := range frontend.TargetPlatforms {
			targets = append(targets, &p)
		}
	}
	results := make(map[string]result, len(targets))
	for _, target := range targets {
		opt.TargetPlatform = target
		key := ""
		if frontend.MultiPlatformRequested && target != nil {
			key = platforms.FormatAll(platforms.Normalize(*target))
		}
		if results[key], err = convertFor(ctx, gw, src.Data, opt); err != nil {
			return nil, err
		}
		opt.Warn = nil // once is enough
	}
	return results, nil
}

// convertFor runs the frontend for the platform that opt has, and again as long as
// that tells what sources of the Dockerfile stand for.
func convertFor(ctx context.Context, gw *gateway, text []byte, opt dockerfile2llb.ConvertOpt) (result, error) {
	args := opt.BuildArgs
	clear(gw.guard.sources) // they differ by platform
	for {
		safe, err := gw.guard.rewrite(text)
		if err != nil {
			return result{}, err
		}
		opt.BuildArgs = maps.Clone(args)
		res, err := dockerfile2llb.Dockerfile2LLB(ctx, safe, opt)
		if err != nil {
			return result{}, err
		}
		def, err := res.State.Marshal(ctx)
		if err != nil {
			return result{}, err
		}
		more, err := gw.guard.learn(def.ToPB())
		if err != nil || !more {
			return result{def.ToPB(), res.Image}, err
		}
	}
}

// syntax returns the external frontend that reads the Dockerfile in a build,
// unless it is the newest release of the very one that is linked in, and whether
// there is one at all (BuildKit: frontend/dockerfile/builder).
func (in Input) syntax(text []byte) (shown string, external bool) {
	const arg, builtIn = "BUILDKIT_SYNTAX", "dockerfile.v0"
	ref, _, _, _ := parser.DetectSyntax(text)
	shown = ref
	if value := in.Args[arg]; value != "" {
		ref, shown = value, "${"+arg+"}"
	}
	if ref == "" || ref == builtIn {
		return "", false
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(ref, "docker.io/"), "@")
	switch name {
	case "docker/dockerfile", "docker/dockerfile:1", "docker/dockerfile:latest":
		return "", true
	}
	return shown, true
}

func (in Input) readDockerfile() ([]byte, error) {
	name, read := in.Dockerfile, in.Read
	if read == nil {
		read = os.ReadFile
	}
	text, err := read(name)
	if errors.Is(err, os.ErrNotExist) && filepath.Base(name) == "Dockerfile" {
		// BuildKit also takes the lower case name (dockerui.ReadEntrypoint).
		if lower, err2 := read(filepath.Join(filepath.Dir(name), "dockerfile")); err2 == nil {
			return lower, nil
		}
	}
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, &Error{File: name, Err: err, Hint: "name the Dockerfile with -f, or in stoker.yaml"}
	}
	return text, nil
}

// explain gives a frontend's error its file and line, and leaves out the
// wrapping that says nothing to the user.
func (in Input) explain(err error) error {
	e := &Error{File: in.shownFile(), Err: err}
	var already *Error
	if errors.As(err, &already) {
		return already
	}
	var located *parser.LocationError
	if errors.As(err, &located) {
		if len(located.Locations) > 0 && len(located.Locations[0]) > 0 {
			e.Line = located.Locations[0][0].Start.Line
		}
	}
	if e.Line == 0 {
		for _, src := range errdefs.Sources(err) {
			if len(src.Ranges) > 0 && src.Ranges[0].Start != nil {
				e.Line = int(src.Ranges[0].Start.Line)
			}
		}
	}
	e.Err = errors.New(in.redact(plainMessage(err)))
	if lacksValue.MatchString(err.Error()) {
		e.Hint = "give its ARG a default, or the build a value: args of `builds` in stoker.yaml, or --build-arg"
	}
	if strings.Contains(err.Error(), "failed to parse target platform ") {
		e.Hint = "write a platform as in linux/amd64 or linux/arm/v7"
	}
	if in.Target != "" && strings.HasPrefix(plainMessage(err), "target stage ") {
		e.Hint = in.targets()
	}
	return e
}

// targets names the stages that may be built.
func (in Input) targets() string {
	text := in.Shown
	if text == nil {
		text, _ = in.text() // it was read before, else the error would be another one
	}
	f, err := Parse(in.Dockerfile, text)
	if err != nil {
		return ""
	}
	var names []string
	for _, s := range f.Stages {
		if s.Name != "" && !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return "no stage of it has a name: FROM … AS NAME gives one, or leave the target out"
	}
	return "there are: " + strings.Join(names, ", ")
}

// lacksValue matches what BuildKit says of a FROM of which a variable has no value:
// FROM $NAME, FROM node:$TAG, FROM node@$DIGEST (BuildKit: dockerfile2llb).
var lacksValue = regexp.MustCompile(`should not be blank|failed to parse stage name "[^"]*([:@/]"|:@|/:|/@|//)`)

func (in Input) shownFile() string { return cmp.Or(in.Dockerfile, "inline Dockerfile") }

// plainMessage strips the prefixes under which the frontend wraps its errors.
func plainMessage(err error) string {
	msg := probe.ReplaceAllString(err.Error(), "")
	for _, prefix := range []string{"failed to solve: ", "dockerfile parse error on ", "failed to read dockerfile: "} {
		msg = strings.TrimPrefix(msg, prefix)
	}
	if rest, ok := strings.CutPrefix(msg, "line "); ok {
		// The line is told apart from the message.
		if _, after, ok := strings.Cut(rest, ": "); ok {
			msg = after
		}
	}
	return msg
}
