package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
)

// A ContainerRequest asks for a container that runs the result of a build.
type ContainerRequest struct {
	Request
	// Tool is a static Linux program of this machine, which the container can
	// start beside the image's own.
	Tool string
	// Network gives the container the network that steps have; without, it has
	// one of its own with nothing but itself in it.
	Network bool
	// Output takes what the image's program writes. It is called from several
	// goroutines.
	Output io.Writer
	// Limit is the longest that the container is wanted for. Past it, one that a
	// killed process left in a Docker Engine is removed by the next that runs there.
	Limit time.Duration
}

// toolDir is the folder of the container that the tool is in.
const toolDir = "/.stoker"

// A Container is made and not yet started. It ends with [Builder.Run].
type Container struct {
	// Image is how the image wants its containers run.
	Image dockerspec.DockerOCIImage

	in runner
}

// A runner runs what a container is made of: the builder's gateway or a Docker Engine.
type runner interface {
	// start starts the image's own program.
	start(ctx context.Context) (*Process, error)
	// tool starts the tool as root, with the image's environment.
	tool(ctx context.Context, out io.Writer, args []string) (*Process, error)
}

// A Process runs in a container.
type Process struct {
	// Done is closed when it has ended.
	Done <-chan struct{}

	signal func(context.Context, syscall.Signal) error
	status int // read after Done, as is err
	err    error
}

// process has wait tell the exit status of what was started, or that it could not be
// run.
func process(wait func() (int, error), signal func(context.Context, syscall.Signal) error) *Process {
	done := make(chan struct{})
	p := &Process{Done: done, signal: signal}
	go func() {
		defer close(done)
		p.status, p.err = wait()
	}()
	return p
}

// Run builds r, which after a build of the same is a look into the cache, makes
// a container of the result and calls fn. The container, and what runs in it, is
// gone when Run returns, whatever the reason. fn's error is returned.
//
// Where the builder is a Docker Engine's the container is one of the Engine's, as
// `docker run` makes it, else one of the builder's gateway, as steps run in.
func (b *Builder) Run(ctx context.Context, r ContainerRequest, fn func(context.Context, *Container) error) error {
	tool, err := filepath.EvalSymlinks(r.Tool)
	if err != nil {
		return fmt.Errorf("find the probe: %w", err)
	}
	r.Tool = tool
	if b.engine != nil {
		return b.runInEngine(ctx, r, fn)
	}
	return b.runInGateway(ctx, r, fn)
}

// Start starts the image's own program, as process 1.
func (c *Container) Start(ctx context.Context) (*Process, error) {
	if len(c.Image.Config.Entrypoint)+len(c.Image.Config.Cmd) == 0 {
		return nil, errors.New("the image has no command: neither ENTRYPOINT nor CMD")
	}
	return c.in.start(ctx)
}

// Tool starts the tool, as root of the container, in the folder and with the
// environment of the image's program. What it writes to stdout goes to out.
func (c *Container) Tool(ctx context.Context, out io.Writer, args ...string) (*Process, error) {
	return c.in.tool(ctx, out, args)
}

// Signal sends a signal to the image's program.
func (p *Process) Signal(ctx context.Context, s syscall.Signal) error { return p.signal(ctx, s) }

// Exit waits until the process has ended and returns its exit status, 128 and
// more after a signal. The error says that it could not be run.
func (p *Process) Exit() (int, error) {
	<-p.Done
	return p.status, p.err
}

// notRun says that a program could not be run. Of the builder's own words, which may
// quote the command and with it values of args, only known phrases are taken.
func notRun(err error) error {
	for _, known := range []string{
		"executable file not found in $PATH", "no such file or directory", "permission denied", "exec format error",
		"unable to find user", "no matching entries in passwd file",
	} {
		if strings.Contains(err.Error(), known) {
			return errors.New("it could not be run: " + known)
		}
	}
	return errors.New("it could not be run")
}
