package buildkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"
)

// A ContainerRequest is a container of a build's result, on the builder.
type ContainerRequest struct {
	Request
	// Tool is a static Linux program of this machine, which the container can
	// start beside the image's own. It is mounted read-only.
	Tool string
	// Network gives the container the network that steps have; without, it has
	// one of its own with nothing but itself in it.
	Network bool
	// Output takes what the image's program writes. It is called from several
	// goroutines.
	Output io.Writer
}

// toolDir is where the tool is mounted. Mount points in the image are removed
// with the container.
const toolDir = "/.stoker"

// toolContext is the name under which the tool is sent.
const toolContext = "stoker-tool"

// A Container is made and not yet started. It ends with [Builder.Run].
type Container struct {
	// Image is how the image wants its containers run.
	Image dockerspec.DockerOCIImage

	ctr    gateway.Container
	tool   string
	output io.Writer
}

// A Process runs in a container.
type Process struct {
	// Done is closed when it has ended.
	Done <-chan struct{}

	proc gateway.ContainerProcess
	err  error // read after Done
}

// Run builds r, which after a build of the same is a look into the cache, makes
// a container of the result and calls fn. The container, and what runs in it, is
// gone when Run returns, whatever the reason. fn's error is returned.
func (b *Builder) Run(ctx context.Context, r ContainerRequest, fn func(context.Context, *Container) error) error {
	opt, err := b.solveOpt(r.Request)
	if err != nil {
		return err
	}
	tool, err := filepath.EvalSymlinks(r.Tool)
	if err != nil {
		return fmt.Errorf("find the probe: %w", err)
	}
	dir, err := fsutil.NewFS(filepath.Dir(tool))
	if err != nil {
		return fmt.Errorf("open the probe's folder: %w", err)
	}
	opt.LocalMounts[toolContext] = dir
	attrs := opt.FrontendAttrs
	opt.FrontendAttrs = nil
	var failed error // in our own words, which the way through the gateway would lose
	err = b.gatewayRun(ctx, opt, Display{}, func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
		result, err := c.Solve(ctx, gateway.SolveRequest{Frontend: opt.Frontend, FrontendOpt: attrs, Evaluate: true})
		if err != nil {
			return nil, err
		}
		ref, image, err := b.pick(result)
		if err != nil {
			failed = err
			return gateway.NewResult(), nil
		}
		ctr, err := r.container(ctx, c, ref, filepath.Base(tool))
		if err != nil {
			return nil, err
		}
		// Release waits for what runs; the build's end stops that where it fails.
		defer func() { _ = ctr.Release(context.WithoutCancel(ctx)) }()
		failed = fn(ctx, &Container{Image: image, ctr: ctr, tool: path.Join(toolDir, filepath.Base(tool)), output: r.Output})
		return gateway.NewResult(), nil
	})
	if failed != nil {
		return failed
	}
	return err
}

// pick returns the result for the builder's own platform, and how it wants to
// be run.
func (b *Builder) pick(result *gateway.Result) (gateway.Reference, dockerspec.DockerOCIImage, error) {
	var image dockerspec.DockerOCIImage
	list, err := exptypes.ParsePlatforms(result.Metadata)
	if err != nil {
		return nil, image, err
	}
	for _, p := range list.Platforms {
		if !b.runs(p.Platform) {
			continue
		}
		ref, ok := result.FindRef(p.ID)
		config := exptypes.ParseKey(result.Metadata, exptypes.ExporterImageConfigKey, &p)
		if !ok || ref == nil {
			return nil, image, errors.New("the image is empty")
		}
		if err := json.Unmarshal(config, &image); err != nil {
			return nil, image, fmt.Errorf("read the image's configuration: %w", err)
		}
		return ref, image, nil
	}
	return nil, image, fmt.Errorf("the image is for another platform than the builder's %s", b.platform())
}

// runs reports whether the builder's default worker runs programs of a platform
// without emulation, which tells nothing of start-up time.
func (b *Builder) runs(p ocispec.Platform) bool {
	own, err := platforms.Parse(b.platform())
	if err != nil {
		return true // the builder does not tell
	}
	return platforms.NewMatcher(own).Match(p)
}

func (r ContainerRequest) container(ctx context.Context, c gateway.Client, root gateway.Reference, tool string) (gateway.Container, error) {
	def, err := llb.Local(toolContext, llb.IncludePatterns([]string{tool}), llb.SharedKeyHint(toolContext)).Marshal(ctx)
	if err != nil {
		return nil, err
	}
	sent, err := c.Solve(ctx, gateway.SolveRequest{Definition: def.ToPB(), Evaluate: true})
	if err != nil {
		return nil, fmt.Errorf("send the probe: %w", err)
	}
	ref, err := sent.SingleRef()
	if err != nil {
		return nil, err
	}
	mode := pb.NetMode_NONE
	if r.Network {
		mode = pb.NetMode_UNSET
	}
	return c.NewContainer(ctx, gateway.NewContainerRequest{
		NetMode: mode,
		Mounts: []gateway.Mount{
			{Dest: pb.RootMount, Ref: root, MountType: pb.MountType_BIND},
			{Dest: toolDir, Ref: ref, MountType: pb.MountType_BIND, Readonly: true},
		},
	})
}

// Start starts the image's own program, as process 1.
func (c *Container) Start(ctx context.Context) (*Process, error) {
	config := c.Image.Config
	args := append(append([]string{}, config.Entrypoint...), config.Cmd...)
	if len(args) == 0 {
		return nil, errors.New("the image has no command: neither ENTRYPOINT nor CMD")
	}
	return c.start(ctx, gateway.StartRequest{
		Args: args, Env: config.Env, User: config.User, Cwd: config.WorkingDir,
		Stdout: shared{c.output}, Stderr: shared{c.output},
	})
}

// Tool starts the tool, as root of the container and with the environment of the
// image's program. What it writes to stdout goes to out.
func (c *Container) Tool(ctx context.Context, out io.Writer, args ...string) (*Process, error) {
	return c.start(ctx, gateway.StartRequest{
		Args: append([]string{c.tool}, args...), Env: c.Image.Config.Env, User: "0:0", Cwd: "/",
		Stdout: shared{out}, Stderr: shared{c.output},
	})
}

func (c *Container) start(ctx context.Context, r gateway.StartRequest) (*Process, error) {
	proc, err := c.ctr.Start(ctx, r)
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	p := &Process{Done: done, proc: proc}
	go func() {
		defer close(done)
		p.err = proc.Wait()
	}()
	return p, nil
}

// Signal sends a signal.
func (p *Process) Signal(ctx context.Context, s syscall.Signal) error { return p.proc.Signal(ctx, s) }

// Exit waits until the process has ended and returns its exit status, 128 and
// more after a signal. The error says that it could not be run.
func (p *Process) Exit() (int, error) {
	<-p.Done
	var exit *gwpb.ExitError
	switch {
	case p.err == nil:
		return 0, nil
	case errors.As(p.err, &exit) && exit.ExitCode != gwpb.UnknownExitStatus:
		return int(exit.ExitCode), nil
	}
	// The builder's words may hold the command, and so values of args.
	return 0, errors.New("it could not be run" + startProblem(p.err))
}

// startProblem takes what is known out of runc's text.
func startProblem(err error) string {
	for _, known := range []string{"executable file not found in $PATH", "no such file or directory", "permission denied", "exec format error", "unable to find user", "no matching entries in passwd file"} {
		if strings.Contains(err.Error(), known) {
			return ": " + known
		}
	}
	return ""
}

// shared is a writer that nobody closes.
type shared struct{ io.Writer }

func (s shared) Close() error { return nil }
