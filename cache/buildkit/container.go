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
	// Tool is the path of a static Linux program on this machine, which can be run
	// in the container beside the image's own program.
	Tool string
	// Network gives the container the network that RUN steps have. Without it, the
	// container reaches nothing but itself.
	Network bool
	// Output receives what the image's program writes, and what the tool writes to
	// stderr. It must be safe for concurrent use.
	Output io.Writer
	// Limit is how long the container is wanted at most. If this process is killed,
	// the next one to run a container in the same Docker Engine after that time
	// removes this one.
	Limit time.Duration
}

// toolDir is the directory in the container that has the tool.
const toolDir = "/.stoker"

// A Container runs an image. It exists until the function that [Builder.Run] called with
// it returns.
type Container struct {
	// Image is the image's configuration.
	Image dockerspec.DockerOCIImage

	runner runner
}

// A runner runs programs in a container: of the builder's gateway, or of a Docker Engine.
type runner interface {
	// start starts the image's program.
	start(ctx context.Context) (*Process, error)
	// tool starts the tool as root, with the image's environment.
	tool(ctx context.Context, out io.Writer, args []string) (*Process, error)
}

// A Process is a program that was started in a container.
type Process struct {
	// Done is closed when it has ended.
	Done <-chan struct{}

	signal func(context.Context, syscall.Signal) error
	status int // set before Done is closed, as is err
	err    error
}

// newProcess returns the Process that wait waits for. wait returns its exit status, or an
// error if it could not be run.
func newProcess(wait func() (int, error), signal func(context.Context, syscall.Signal) error) *Process {
	done := make(chan struct{})
	p := &Process{Done: done, signal: signal}
	go func() {
		defer close(done)
		p.status, p.err = wait()
	}()
	return p
}

// Run builds r, makes a container of the result, calls fn with it and returns its error.
// The container is removed, with all that runs in it, before Run returns, whatever the
// reason. If r was built before, its steps come from the builder's cache.
//
// In a Docker Engine the container is one as `docker run` makes it; elsewhere it is one of
// the builder's gateway, like those in which RUN steps run.
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

// Start starts the image's program, as process 1.
func (c *Container) Start(ctx context.Context) (*Process, error) {
	if len(c.Image.Config.Entrypoint)+len(c.Image.Config.Cmd) == 0 {
		return nil, errors.New("the image has no command: neither ENTRYPOINT nor CMD")
	}
	return c.runner.start(ctx)
}

// Tool starts the tool as the container's root, in the working directory and with the
// environment of the image's program. out receives what it writes to stdout.
func (c *Container) Tool(ctx context.Context, out io.Writer, args ...string) (*Process, error) {
	return c.runner.tool(ctx, out, args)
}

// Signal sends a signal to the image's program.
func (p *Process) Signal(ctx context.Context, s syscall.Signal) error { return p.signal(ctx, s) }

// Exit waits until the process has ended and returns its exit status, which is 128 or more
// after a signal. An error says that it could not be run.
func (p *Process) Exit() (int, error) {
	<-p.Done
	return p.status, p.err
}

// notRun returns the error of a program that could not be run. The builder's error may
// quote the command, and with it values of args, so that only fixed phrases of it are kept.
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
