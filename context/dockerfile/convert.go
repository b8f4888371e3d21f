package dockerfile

import (
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
	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// An Input is a build whose Dockerfile is to be converted.
type Input struct {
	// Dockerfile is the path of the file. Text, if not nil, replaces its content: for
	// a proposed edit, or a Dockerfile that is in no file.
	Dockerfile string
	Text       []byte
	// Read reads the Dockerfile and the ignore files, by absolute path; nil reads them
	// from disk. Its error wraps os.ErrNotExist if there is no such file.
	Read func(name string) ([]byte, error)
	// Context is the directory of the main context. If that is at an address instead,
	// RemoteContext is set, and no ignore file applies.
	Context       string
	RemoteContext string
	Target        string
	Args          map[string]string
	Platforms     []string
	// NamedContexts are absolute directories, or addresses as buildx takes them.
	NamedContexts map[string]string
	// Shown is Text before values of the environment were put into it; nil if none
	// were. Steps are named by the instructions in Shown.
	Shown []byte
	// Linked are the builds that NamedContexts refer to as target:NAME, by NAME.
	Linked map[string]Input
	// Options are settings for RUN, such as the network.
	Options Options
	// NoCache makes all stages ignore the cache (--no-cache), NoCacheStages makes
	// these (--no-cache-filter).
	NoCache       bool
	NoCacheStages []string
	// Worker is the one that the build would run on.
	Worker Worker
}

// Convert returns the plan of the build in. It reads nothing but the Dockerfile and the
// ignore files. The configurations of images come from resolver; of one that it does
// not know, and of all if it is nil, a configuration is assumed, and the plan says so.
// The error is an [*Error] if BuildKit would refuse the build.
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
	plan := &Plan{Text: text, Assumed: slices.Sorted(maps.Keys(gw.unknown)), Remembered: slices.Sorted(maps.Keys(gw.partial))}
	plan.Warnings = in.shownWarnings(text, gw)
	plan.Syntax, plan.External = in.syntax(text)
	if err := in.assemble(ctx, plan, gw, results); err != nil {
		return nil, err
	}
	return plan, nil
}

// shownWarnings returns the warnings of the frontend that are not in doubt, without
// values of args. If an image's environment is not known, a variable that the Dockerfile
// does not define may be defined there, and one that an ARG defines be another: a WORKDIR
// that names one may well be absolute. One with the letter of a drive is meant for Windows, where it
// is absolute: whatever the build converts it for, it is not relative by mistake.
func (in Input) shownWarnings(text []byte, gw *gateway) []Warning {
	lines := strings.Split(string(text), "\n")
	assumed := len(gw.unknown)+len(gw.partial) > 0
	list := slices.DeleteFunc(gw.warnings(), func(w Warning) bool {
		if w.Rule == linter.RuleWorkdirRelativePath.Name && w.Line >= 1 && w.Line <= len(lines) {
			line := lines[w.Line-1]
			return onDrive.MatchString(line) || assumed && strings.Contains(line, "$")
		}
		return assumed && w.Rule == linter.RuleUndefinedVar.Name
	})
	for i := range list {
		list[i].Message = in.redact(list[i].Message)
	}
	return list
}

// onDrive matches a WORKDIR with a path of Windows, from its drive on.
var onDrive = regexp.MustCompile(`^(?i)\s*WORKDIR\s+["']?[a-z]:[/\\]`)

// assemble sets the steps, operations and configurations of plan by the results of
// converting plan.Text, which are by platform.
func (in Input) assemble(ctx context.Context, plan *Plan, gw *gateway, results map[string]result) error {
	instructions, err := in.instructions(plan.Text)
	if err != nil {
		return in.explain(err)
	}
	asm := newAssembler(plan, instructions, gw)
	for _, platform := range slices.Sorted(maps.Keys(results)) {
		if err := asm.add(ctx, platform, results[platform].definition); err != nil {
			return fmt.Errorf("read the converted build of %s: %w", in.Dockerfile, err)
		}
		config, err := results[platform].config()
		if err != nil {
			return err
		}
		plan.Configs = append(plan.Configs, config)
	}
	asm.finish()
	return nil
}

// text returns the text of the Dockerfile.
func (in Input) text() ([]byte, error) {
	if in.Text != nil {
		return in.Text, nil
	}
	return in.readDockerfile()
}

// A result is what the frontend returns for one platform.
type result struct {
	definition *pb.Definition
	image      *dockerspec.DockerOCIImage // nil if there is none
}

// config returns the digest of the configuration for containers of the image, "" without
// an image.
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

// convert runs the frontend and returns its results by platform, with the key "" if the
// build is for one platform or names none. It does what BuildKit's builder.Build does,
// without solving, and without its cache of resolved images, which has a data race when
// several stages resolve images.
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
		opt.Warn = nil // the other platforms give the same warnings
	}
	return results, nil
}

// convertFor runs the frontend for the platform in opt, until no run makes known further
// values of variables in the sources of ADD (see guard).
func convertFor(ctx context.Context, gw *gateway, text []byte, opt dockerfile2llb.ConvertOpt) (result, error) {
	args := opt.BuildArgs
	clear(gw.guard.sources) // their values depend on the platform
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

// syntax reports whether a build has an image as its frontend, as a # syntax line or an
// arg says, and which (BuildKit: frontend/dockerfile/builder). shown is "" if that is
// the newest release of the frontend that is linked in here.
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

// readDockerfile reads the Dockerfile from its file.
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
