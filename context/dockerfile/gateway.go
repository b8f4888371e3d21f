package dockerfile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/continuity/fs"
	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	apicapspb "github.com/moby/buildkit/util/apicaps/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	fstypes "github.com/tonistiigi/fsutil/types"
)

const (
	localContext    = "context"
	localDockerfile = "dockerfile"
	layoutPrefix    = "oci-layout://"
	layoutStore     = "layout"
)

// layoutDigest is the digest that an OCI layout's address ends with. Without
// one buildx looks into the folder; here any will do, because the image is not
// read and the plan says so.
func layoutDigest(address string) digest.Digest {
	if _, after, ok := strings.Cut(address, "@"); ok && digest.Digest(after).Validate() == nil {
		return digest.Digest(after)
	}
	return digest.FromString(address)
}

// A gateway stands where a builder would be: it answers the frontend's reads of
// local files from disk, and takes its final definitions instead of solving
// them.
type gateway struct {
	opts     client.BuildOpts
	dirs     map[string]string                 // local name -> directory
	text     []byte                            // of the Dockerfile
	read     func(name string) ([]byte, error) // nil for the disk
	inputs   map[string]llb.State              // results of other builds
	resolver Resolver
	external bool // a frontend image reads the Dockerfile
	guard    *guard

	mu      sync.Mutex // guards the fields below; stages resolve at once
	unknown map[string]bool
	partial map[string]bool // looked up in the past
	warned  []Warning
	onBuild map[string][]string // image -> its ONBUILD triggers
	images  map[imageID]Image   // that the resolver knows
	// supposed are variables of images whose environment is not known: see suppose.
	supposed []string
}

// An imageID is what the resolver was asked for.
type imageID struct{ ref, platform string }

var _ client.Client = (*gateway)(nil)

func newGateway(in Input, text []byte, resolver Resolver) (*gateway, error) {
	opts := map[string]string{
		"filename": filepath.Base(in.Dockerfile),
		"target":   in.Target,
		"platform": strings.Join(in.Platforms, ","),
	}
	for name, value := range in.Args {
		opts["build-arg:"+name] = value
	}
	dirs := map[string]string{localContext: in.Context}
	if in.Dockerfile == "" { // text only: nothing lies beside it
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
	_, external := in.syntax(text)
	if in.NoCache {
		opts["no-cache"] = ""
	} else if len(in.NoCacheStages) > 0 {
		opts["no-cache"] = strings.Join(in.NoCacheStages, ",")
	}
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

// native is the platform of what asks for none.
func (g *gateway) native() ocispecs.Platform { return g.opts.Workers[0].Platforms[0] }

// NewWorker returns a builder that builds for platform unless told otherwise and has
// these LLB capabilities, nil for all: the zero Worker for one that converts as that
// does.
func NewWorker(platform string, caps []string) Worker {
	w := Worker{Platform: platform}
	if p, err := platforms.Parse(platform); err != nil || platforms.Format(platforms.Normalize(p)) == platforms.Format(platforms.Normalize(defaultPlatform())) {
		w.Platform = ""
	}
	if caps != nil && slices.ContainsFunc(pb.Caps.All(), func(c *apicapspb.APICap) bool { return !slices.Contains(caps, c.ID) }) {
		w.Caps = caps
	}
	return w
}

// Equal reports whether both convert alike.
func (w Worker) Equal(other Worker) bool {
	return w.Platform == other.Platform && (w.Caps == nil) == (other.Caps == nil) && slices.Equal(w.Caps, other.Caps)
}

func (w Worker) caps() apicaps.CapSet {
	all := pb.Caps.All()
	if w.Caps != nil {
		all = slices.DeleteFunc(all, func(c *apicapspb.APICap) bool { return !slices.Contains(w.Caps, c.ID) })
	}
	return pb.Caps.CapSet(all)
}

// defaultPlatform is what a builder on this machine builds for: images are for
// Linux wherever the client runs.
func defaultPlatform() ocispecs.Platform {
	p := platforms.DefaultSpec()
	if p.OS != "windows" {
		p.OS = "linux"
	}
	return p
}

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

// soleSource returns the source that def consists of, if that is all.
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
		if config, err = withVariables(config, g.supposed); err != nil {
			return "", "", nil, err
		}
	}
	config, err = g.guard.config(config)
	return ref, digest.Digest(image.Digest), config, err
}

// suppose has images whose environment is not known set what the Dockerfile uses and
// does not set itself, and reports whether that can help a conversion which failed:
// `VOLUME $DATA` is an error where DATA is empty.
func (g *gateway) suppose() bool {
	if len(g.unknown)+len(g.partial) == 0 {
		return false
	}
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
	return len(g.supposed) > 0
}

var variableUse = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`)

// withVariables gives an image's configuration variables. "1" is a folder, a port, a
// user and a signal.
func withVariables(config []byte, names []string) ([]byte, error) {
	if len(names) == 0 {
		return config, nil
	}
	var image dockerspec.DockerOCIImage
	if err := json.Unmarshal(config, &image); err != nil {
		return nil, err
	}
	for _, name := range names {
		image.Config.Env = append(image.Config.Env, name+"=1")
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

// Warn is for clients of the gateway; the frontend's own checks go to lint.
func (g *gateway) Warn(context.Context, digest.Digest, string, client.WarnOpts) error { return nil }

// lint takes a finding of BuildKit's Dockerfile checks (linter.LintWarnFunc).
func (g *gateway) lint(rule, _, url, message string, location []parser.Range) {
	w := Warning{Rule: rule, URL: url}
	if len(location) > 0 {
		w.Line = location[0].Start.Line
	}
	w.Message = linter.LintFormatShort(rule, message, w.Line)
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Contains(g.warned, w) { // from an earlier run, see convertFor
		g.warned = append(g.warned, w)
	}
}

func (g *gateway) warnings() []Warning {
	slices.SortStableFunc(g.warned, func(a, b Warning) int { return a.Line - b.Line })
	return g.warned
}

// A reference is a solved definition to the frontend, and files on disk to us.
type reference struct {
	def     *pb.Definition
	gateway *gateway
	local   string // set where the definition is one local source
	dir     string
	fetched bool // one file behind an address
}

var _ client.Reference = (*reference)(nil)

func (r *reference) ToState() (llb.State, error) {
	op, err := llb.NewDefinitionOp(r.def)
	if err != nil {
		return llb.State{}, err
	}
	return llb.NewState(op), nil
}

func (r *reference) Evaluate(context.Context) error { return nil }

func (r *reference) ReadFile(_ context.Context, req client.ReadRequest) ([]byte, error) {
	if r.isDockerfile(req.Filename) {
		return r.gateway.text, nil
	}
	if r.fetched {
		// A context behind an address is an archive, or else a Dockerfile
		// alone, and then there is nothing that this build could be told of.
		return []byte(gzipMagic), nil
	}
	text, err := r.read(req.Filename)
	if len(text) == 0 && r.gateway.external {
		// An empty file does not get through to a frontend image: it counts as
		// none (BuildKit: frontend/gateway/grpcclient).
		return nil, err
	}
	return text, err
}

const gzipMagic = "\x1f\x8b\x08"

func (r *reference) StatFile(_ context.Context, req client.StatRequest) (*fstypes.Stat, error) {
	if r.isDockerfile(req.Path) {
		return &fstypes.Stat{Path: req.Path, Mode: 0o644, Size: int64(len(r.gateway.text))}, nil
	}
	if r.gateway.read != nil {
		text, err := r.read(req.Path)
		return &fstypes.Stat{Path: req.Path, Mode: 0o644, Size: int64(len(text))}, err
	}
	name, err := r.resolve(req.Path)
	if err != nil {
		return nil, err
	}
	fi, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	return &fstypes.Stat{Path: req.Path, Mode: uint32(fi.Mode()), Size: fi.Size()}, nil
}

func (r *reference) ReadDir(context.Context, client.ReadDirRequest) ([]*fstypes.Stat, error) {
	return nil, errors.New("directories need a builder")
}

func (r *reference) isDockerfile(name string) bool {
	return r.local == localDockerfile && path.Clean(name) == r.gateway.opts.Opts["filename"]
}

// read reads a file of the local.
func (r *reference) read(name string) ([]byte, error) {
	if r.gateway.read != nil && r.dir != "" {
		return r.gateway.read(filepath.Join(r.dir, filepath.FromSlash(path.Clean("/"+name))))
	}
	name, err := r.resolve(name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}

// resolve maps a path within the local to the disk as BuildKit does within its
// snapshot: links are followed and cannot lead out of the root.
func (r *reference) resolve(name string) (string, error) {
	if r.dir == "" {
		return "", &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	}
	return fs.RootPath(r.dir, filepath.FromSlash(name))
}
