package buildkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
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

// toolContext is the name of the local source from which the builder gets the tool.
const toolContext = "stoker-tool"

// runInGateway runs the result in a container of the builder's gateway. The tool is mounted
// read-only; what the container writes, and the mount point, is not in the image.
func (b *Builder) runInGateway(ctx context.Context, r ContainerRequest, fn func(context.Context, *Container) error) error {
	opt, err := b.solveOpt(r.Request)
	if err != nil {
		return err
	}
	dir, err := fsutil.NewFS(filepath.Dir(r.Tool))
	if err != nil {
		return fmt.Errorf("open the probe's folder: %w", err)
	}
	opt.LocalMounts[toolContext] = dir
	attrs := opt.FrontendAttrs
	opt.FrontendAttrs = nil
	var failed error // an error returned through the gateway would lose its text and type
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
		ctr, err := r.container(ctx, c, ref)
		if err != nil {
			return nil, err
		}
		// Release waits for what still runs. If it fails, the end of the build stops that.
		defer func() { _ = ctr.Release(context.WithoutCancel(ctx)) }()
		failed = fn(ctx, &Container{Image: image, runner: gatewayContainer{r, image.Config, ctr}})
		return gateway.NewResult(), nil
	})
	if failed != nil {
		return failed
	}
	return err
}

// pick returns the result for the builder's own platform, and the image's configuration.
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
	return nil, image, b.errPlatform()
}

// runs reports whether the builder's default worker runs programs for p without emulation,
// under which the time that a program takes to start would say nothing.
func (b *Builder) runs(p ocispec.Platform) bool {
	own, err := platforms.Parse(b.platform())
	if err != nil {
		return true // the builder does not name its platform
	}
	return platforms.NewMatcher(own).Match(p)
}

// container makes a container with these files and the tool.
func (r ContainerRequest) container(ctx context.Context, c gateway.Client, root gateway.Reference) (gateway.Container, error) {
	def, err := llb.Local(toolContext, llb.IncludePatterns([]string{filepath.Base(r.Tool)}), llb.SharedKeyHint(toolContext)).Marshal(ctx)
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

// A gatewayContainer runs programs in a container of a builder's gateway.
type gatewayContainer struct {
	request ContainerRequest
	config  dockerspec.DockerOCIImageConfig
	ctr     gateway.Container
}

// start implements runner.
func (g gatewayContainer) start(ctx context.Context) (*Process, error) {
	out := shared{g.request.Output}
	return g.run(ctx, gateway.StartRequest{
		Args: slices.Concat(g.config.Entrypoint, g.config.Cmd),
		Env:  g.config.Env, User: g.config.User, Cwd: g.config.WorkingDir, Stdout: out, Stderr: out,
	})
}

// tool implements runner.
func (g gatewayContainer) tool(ctx context.Context, out io.Writer, args []string) (*Process, error) {
	return g.run(ctx, gateway.StartRequest{
		Args: append([]string{path.Join(toolDir, filepath.Base(g.request.Tool))}, args...),
		Env:  g.config.Env, User: "0:0", Cwd: g.config.WorkingDir, Stdout: shared{out}, Stderr: shared{g.request.Output},
	})
}

// run starts a program.
func (g gatewayContainer) run(ctx context.Context, r gateway.StartRequest) (*Process, error) {
	proc, err := g.ctr.Start(ctx, r)
	if err != nil {
		return nil, err
	}
	wait := func() (int, error) {
		err := proc.Wait()
		var exit *gwpb.ExitError
		switch {
		case err == nil:
			return 0, nil
		case errors.As(err, &exit) && exit.ExitCode != gwpb.UnknownExitStatus:
			return int(exit.ExitCode), nil
		}
		return 0, notRun(err)
	}
	return newProcess(wait, func(ctx context.Context, s syscall.Signal) error { return proc.Signal(ctx, s) }), nil
}

// shared is a writer whose Close leaves it open: the gateway closes what it is given, but
// several programs write to one writer.
type shared struct{ io.Writer }

// Close implements [io.Closer].
func (s shared) Close() error { return nil }
