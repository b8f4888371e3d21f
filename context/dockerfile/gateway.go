package dockerfile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Names of the main local sources, and addresses of named contexts that are OCI layouts.
const (
	localContext    = "context"
	localDockerfile = "dockerfile"
	layoutPrefix    = "oci-layout://"
	layoutStore     = "layout"
)

// layoutDigest returns the digest at the end of an OCI layout's address. If there is
// none buildx looks it up in the folder; here it is made up, since the image is not
// read, and the plan says that its configuration is assumed.
func layoutDigest(address string) digest.Digest {
	if _, after, ok := strings.Cut(address, "@"); ok && digest.Digest(after).Validate() == nil {
		return digest.Digest(after)
	}
	return digest.FromString(address)
}

// A gateway is what the frontend has in place of a builder. It serves local files from
// disk and configurations of images from a [Resolver], and solves nothing. It is safe for
// concurrent use, as the frontend resolves the images of several stages at once.
type gateway struct {
	opts     client.BuildOpts
	dirs     map[string]string                 // local name -> directory
	text     []byte                            // of the Dockerfile
	read     func(name string) ([]byte, error) // nil for the disk
	inputs   map[string]llb.State              // results of other builds
	resolver Resolver
	external bool // in a build, an image is the frontend
	guard    *guard

	mu        sync.Mutex      // guards the fields that follow
	unknown   map[string]bool // images whose configuration is assumed
	partial   map[string]bool // images whose environment is unknown, see Image.Partial
	warned    []Warning
	onBuild   map[string][]string // image -> its ONBUILD triggers
	images    map[imageID]Image   // that the resolver knows
	supposing bool
	supposed  []string // variables, see suppose
}

// An imageID is what the resolver was asked for.
type imageID struct{ ref, platform string }

var _ client.Client = (*gateway)(nil)

// newGateway returns the gateway for a build of a Dockerfile with this text. It fails if the
// builder's platform is malformed.
func newGateway(in Input, text []byte, resolver Resolver) (*gateway, error) {
	opts, dirs := in.frontendOptions()
	_, external := in.syntax(text)
	platform := defaultPlatform()
	if in.Worker.Platform != "" {
		var err error
		if platform, err = platforms.Parse(in.Worker.Platform); err != nil {
			return nil, fmt.Errorf("platform of the builder: %w", err)
		}
	}
	worker := client.WorkerInfo{Platforms: []ocispecs.Platform{platforms.Normalize(platform)}}
	return &gateway{
		opts: client.BuildOpts{
			Opts:    opts,
			Workers: []client.WorkerInfo{worker},
			LLBCaps: in.Worker.caps(),
			Caps:    gwpb.Caps.CapSet(gwpb.Caps.All()),
		},
		dirs:     dirs,
		text:     text,
		read:     in.Read,
		resolver: resolver,
		external: external,
		guard:    newGuard(in.shownFile(), text),
		inputs:   map[string]llb.State{},
		unknown:  map[string]bool{},
		partial:  map[string]bool{},
		onBuild:  map[string][]string{},
		images:   map[imageID]Image{},
	}, nil
}

// frontendOptions returns the options that tell the frontend what to build, as buildx gives
// them, and the directories of local sources by name.
func (in Input) frontendOptions() (opts, dirs map[string]string) {
	opts = map[string]string{
		"filename": filepath.Base(in.Dockerfile),
		"target":   in.Target,
		"platform": strings.Join(in.Platforms, ","),
	}
	for name, value := range in.Args {
		opts["build-arg:"+name] = value
	}
	dirs = map[string]string{localContext: in.Context}
	if in.Dockerfile == "" { // a text without a file has no directory
		opts["filename"] = "Dockerfile"
	} else {
		dirs[localDockerfile] = filepath.Dir(in.Dockerfile)
	}
	if in.RemoteContext != "" {
		opts["context"] = withoutSSH(in.RemoteContext)
		// buildx sends the Dockerfile beside a remote context only when it is
		// a local file; that is the only case in which it can be read here.
		opts["dockerfilekey"] = localDockerfile
	}
	for name, value := range in.NamedContexts {
		if filepath.IsAbs(value) {
			dirs[name] = value
			value = "local:" + name
		}
		if layout, ok := strings.CutPrefix(value, layoutPrefix); ok {
			value = layoutPrefix + layoutStore + "@" + string(layoutDigest(layout))
		}
		if strings.HasPrefix(value, "git@") { // no other address of a named context is one over ssh
			value = withoutSSH(value)
		}
		if !strings.HasPrefix(value, targetPrefix) { // see link
			opts["context:"+name] = value
		}
	}
	maps.Copy(opts, in.Options.Attrs())
	if in.NoCache {
		opts["no-cache"] = ""
	} else if len(in.NoCacheStages) > 0 {
		opts["no-cache"] = strings.Join(in.NoCacheStages, ",")
	}
	return opts, dirs
}

// native returns the builder's default platform.
func (g *gateway) native() ocispecs.Platform { return g.opts.Workers[0].Platforms[0] }

func (g *gateway) BuildOpts() client.BuildOpts { return g.opts }

func (g *gateway) Inputs(context.Context) (map[string]llb.State, error) { return g.inputs, nil }

func (g *gateway) Solve(_ context.Context, req client.SolveRequest) (*client.Result, error) {
	if req.Definition == nil {
		return nil, fmt.Errorf("frontend %q cannot be run without a builder", req.Frontend)
	}
	source := soleSource(req.Definition)
	ref := &reference{def: req.Definition, gateway: g, fetched: strings.HasPrefix(source, "http")}
	if local, ok := strings.CutPrefix(source, "local://"); ok {
		dir, known := g.dirs[local]
		if !known && local != localDockerfile {
			return nil, fmt.Errorf("the build has no context named %q", local)
		}
		ref.local, ref.dir = local, dir
	}
	res := client.NewResult()
	res.SetRef(ref)
	return res, nil
}

// soleSource returns the identifier of the source if def consists of one only, else "".
func soleSource(def *pb.Definition) string {
	if len(def.Def) != 2 { // the source, and the vertex that returns it
		return ""
	}
	for _, dt := range def.Def {
		var op pb.Op
		if err := op.UnmarshalVT(dt); err != nil {
			return ""
		}
		if src := op.GetSource(); src != nil {
			return src.Identifier
		}
	}
	return ""
}

func (g *gateway) ResolveImageConfig(ctx context.Context, ref string, opt sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	platform := g.native()
	if opt.OCILayoutOpt != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		name, _, _ := strings.Cut(strings.TrimPrefix(ref, "docker.io/library/"), "@")
		g.unknown[layoutPrefix+name] = true
		return ref, "", emptyConfig(platform), nil
	}
	if opt.ImageOpt != nil && opt.ImageOpt.Platform != nil {
		platform = *opt.ImageOpt.Platform
	}
	image, err := resolve(ctx, g.resolver, ref, platforms.FormatAll(platform))
	if err != nil {
		return "", "", nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if image.Config == nil {
		g.unknown[ref] = true
		image.Config = emptyConfig(platform)
	} else {
		g.images[imageID{ref, formatPlatform(platforms.Normalize(platform))}] = image
	}
	if image.Partial {
		g.partial[ref] = true
	}
	if triggers := image.Keep().OnBuild; len(triggers) > 0 {
		g.onBuild[ref] = triggers
	}
	config := image.Config
	if g.unknown[ref] || g.partial[ref] {
		if config, err = g.withSupposed(config, g.unknown[ref]); err != nil {
			return "", "", nil, err
		}
	}
	config, err = g.guard.config(config)
	return ref, digest.Digest(image.Digest), config, err
}

// suppose gives images whose environment is unknown the variables that the Dockerfile
// uses and does not set itself, and those of which nothing is known a working folder. It
// reports whether there are any, which may let a conversion succeed that failed: `VOLUME $DATA`
// is an error if DATA is empty, and a mount with the target "." is one in the root folder.
func (g *gateway) suppose() bool {
	if len(g.unknown)+len(g.partial) == 0 {
		return false
	}
	g.supposing = true
	f, err := Parse("Dockerfile", g.text)
	if err != nil {
		return false
	}
	set := map[string]bool{}
	for _, st := range f.Stages {
		for _, in := range st.Instructions {
			for _, v := range in.Vars {
				set[v.Name] = true
			}
		}
	}
	for _, use := range variableUse.FindAllStringSubmatch(string(g.text), -1) {
		if name := use[1]; !set[name] && !slices.Contains(g.supposed, name) {
			g.supposed = append(g.supposed, name)
		}
	}
	return true
}

// variableUse matches $NAME and ${NAME.
var variableUse = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`)

// withSupposed adds to an image's configuration what suppose gives it. The value of a variable is
// "1", which is valid as a folder, a port, a user and a signal.
func (g *gateway) withSupposed(config []byte, unknown bool) ([]byte, error) {
	if !g.supposing {
		return config, nil
	}
	var image dockerspec.DockerOCIImage
	if err := json.Unmarshal(config, &image); err != nil {
		return nil, err
	}
	for _, name := range g.supposed {
		image.Config.Env = append(image.Config.Env, name+"=1")
	}
	if unknown {
		image.Config.WorkingDir = "/workdir"
	}
	return json.Marshal(image)
}

func (g *gateway) ResolveSourceMetadata(ctx context.Context, op *pb.SourceOp, opt sourceresolver.Opt) (*sourceresolver.MetaResponse, error) {
	name, ok := strings.CutPrefix(op.Identifier, "docker-image://")
	if !ok {
		return nil, fmt.Errorf("%s cannot be looked up without a builder", op.Identifier)
	}
	_, dgst, config, err := g.ResolveImageConfig(ctx, name, opt)
	if err != nil {
		return nil, err
	}
	return &sourceresolver.MetaResponse{Op: op, Image: &sourceresolver.ResolveImageResponse{Digest: dgst, Config: config}}, nil
}

func (g *gateway) NewContainer(context.Context, client.NewContainerRequest) (client.Container, error) {
	return nil, errors.New("containers need a builder")
}

// Warn does nothing: the frontend's checks of the Dockerfile go to lint.
func (g *gateway) Warn(context.Context, digest.Digest, string, client.WarnOpts) error { return nil }

// lint adds a finding of BuildKit's checks of the Dockerfile. It is a
// linter.LintWarnFunc.
func (g *gateway) lint(rule, _, url, message string, location []parser.Range) {
	w := Warning{Rule: rule, URL: url}
	if len(location) > 0 {
		w.Line = location[0].Start.Line
	}
	w.Message = linter.LintFormatShort(rule, message, w.Line)
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Contains(g.warned, w) { // convertFor can run the frontend several times
		g.warned = append(g.warned, w)
	}
}

// warnings returns the findings, ordered by line.
func (g *gateway) warnings() []Warning {
	slices.SortStableFunc(g.warned, func(a, b Warning) int { return a.Line - b.Line })
	return g.warned
}
