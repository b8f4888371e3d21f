package buildkit

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	moby "github.com/moby/moby/client"
)

// untilLabel is the label of every container that stoker makes in a Docker Engine. Its
// value is the Unix time after which nobody needs the container.
const untilLabel = "com.github.stokerd.stoker.until"

// removalTimeout bounds how long the Engine may take to remove a container and its image.
const removalTimeout = 30 * time.Second

// runInEngine runs the result as `docker run` does. The image is built into the Engine's
// store without a name, and removed afterwards unless it was there before.
func (b *Builder) runInEngine(ctx context.Context, r ContainerRequest, fn func(context.Context, *Container) error) (err error) {
	api, err := moby.New(moby.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) { return b.engine(ctx) }))
	if err != nil {
		return fmt.Errorf("speak with the Docker Engine: %w", err)
	}
	defer func() { _ = api.Close() }() // all calls have ended
	removeExpired(ctx, api)
	before, err := api.ImageList(ctx, moby.ImageListOptions{All: true})
	if err != nil {
		return fmt.Errorf("list the Docker Engine's images: %w", err)
	}
	built, err := b.buildIntoEngine(ctx, api, r.Request)
	if err != nil {
		return err
	}
	e := &engineContainer{api: api, request: r, image: built.ID}
	isNew := !slices.ContainsFunc(before.Items, func(known image.Summary) bool { return known.ID == built.ID })
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		// The container and the image are removed even if the caller's ctx has ended.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removalTimeout)
		defer cancel()
		if removeErr := e.remove(ctx, isNew); removeErr != nil && err == nil {
			err = removeErr
		}
	}()
	c := &Container{runner: e}
	if built.Config != nil {
		c.Image.Config = *built.Config
	}
	e.config = c.Image.Config
	return fn(ctx, c)
}

// removeExpired removes containers of earlier runs that nobody needs any more. The next
// run tries again to remove what cannot be removed now.
func removeExpired(ctx context.Context, api *moby.Client) {
	list, err := api.ContainerList(ctx, moby.ContainerListOptions{All: true, Filters: moby.Filters{}.Add("label", untilLabel)})
	if err != nil {
		return
	}
	for _, c := range list.Items {
		if until, err := strconv.ParseInt(c.Labels[untilLabel], 10, 64); err == nil && time.Now().Unix() > until {
			_, _ = api.ContainerRemove(ctx, c.ID, moby.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		}
	}
}

// buildIntoEngine builds r for the builder's own platform and returns the image, which is
// in the Engine's store.
func (b *Builder) buildIntoEngine(ctx context.Context, api *moby.Client, r Request) (moby.ImageInspectResult, error) {
	var none moby.ImageInspectResult
	opt, err := b.solveOpt(r)
	if err != nil {
		return none, err
	}
	if all := r.Definition.Platforms; len(all) > 0 {
		own := ""
		for _, name := range all {
			if p, err := platforms.Parse(name); err == nil && b.runs(p) {
				own = name
			}
		}
		if own == "" {
			return none, b.errPlatform()
		}
		opt.FrontendAttrs["platform"] = own
	}
	opt.Exports = []client.ExportEntry{{Type: "moby"}}
	_, resp, err := b.shown(ctx, Display{}, b.solving(ctx, nil, opt))
	if err != nil {
		return none, fmt.Errorf("run the image: %w", err)
	}
	// The ID of an image is the digest of its manifest in containerd's image store, and that
	// of its configuration elsewhere.
	for _, key := range []string{"containerimage.digest", "containerimage.config.digest"} {
		if built, err := api.ImageInspect(ctx, resp.ExporterResponse[key]); err == nil {
			return built, nil
		}
	}
	return none, errors.New("the Docker Engine has no image of what was built")
}

// errPlatform returns the error for an image that has no variant for the builder's platform.
func (b *Builder) errPlatform() error {
	return fmt.Errorf("the image is for another platform than the builder's %s", b.platform())
}

// An engineContainer runs programs in a container of a Docker Engine.
type engineContainer struct {
	api     *moby.Client
	request ContainerRequest
	image   string // its ID
	config  dockerspec.DockerOCIImageConfig
	id      string         // of the container; "" until start has made it
	pending sync.WaitGroup // goroutines that wait for the Engine
}

// remove removes the container and, if imageToo is true and nobody else uses it by now, the
// image. It returns when no goroutine waits for the Engine any more.
func (e *engineContainer) remove(ctx context.Context, imageToo bool) error {
	defer e.pending.Wait()
	if e.id != "" {
		_, err := e.api.ContainerRemove(ctx, e.id, moby.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		if err != nil && !cerrdefs.IsNotFound(err) {
			return fmt.Errorf("remove the container %s: %w", e.id[:min(12, len(e.id))], err)
		}
	}
	if !imageToo {
		return nil
	}
	// If somebody gave it a name it stays, as it does if another container uses it, which
	// the Engine itself sees to.
	if is, err := e.api.ImageInspect(ctx, e.image); err == nil && len(is.RepoTags) == 0 {
		_, _ = e.api.ImageRemove(ctx, e.image, moby.ImageRemoveOptions{PruneChildren: true})
	}
	return nil
}

// start makes the container with the tool in it, and starts the image's program.
func (e *engineContainer) start(ctx context.Context) (*Process, error) {
	if err := e.create(ctx); err != nil {
		return nil, err
	}
	if err := e.copyTool(ctx); err != nil {
		return nil, fmt.Errorf("bring the probe into the container: %w", err)
	}
	attached, err := e.api.ContainerAttach(ctx, e.id, moby.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, fmt.Errorf("attach to the container: %w", err)
	}
	exited := e.api.ContainerWait(ctx, e.id, moby.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := e.api.ContainerStart(ctx, e.id, moby.ContainerStartOptions{}); err != nil {
		attached.Close()
		e.pending.Go(func() {
			select { // one of them comes when the container is removed
			case <-exited.Result:
			case <-exited.Error: //nolint:errcheck // why it does not run is known
			}
		})
		return nil, notRun(err)
	}
	copied := e.copyOutput(ctx, attached.HijackedResponse, e.request.Output, e.request.Output)
	return e.process(func() (int, error) {
		select {
		case is := <-exited.Result:
			<-copied
			return int(is.StatusCode), nil
		case err := <-exited.Error:
			return 0, notRun(err)
		}
	}, func(ctx context.Context, s syscall.Signal) error {
		_, err := e.api.ContainerKill(ctx, e.id, moby.ContainerKillOptions{Signal: strconv.Itoa(int(s))})
		return err
	}), nil
}

// create makes the container.
func (e *engineContainer) create(ctx context.Context) error {
	host := &container.HostConfig{
		NetworkMode: "none",
		LogConfig:   container.LogConfig{Type: "none"}, // the Engine does not store its output
	}
	if e.request.Network {
		host.NetworkMode = "default"
	}
	made, err := e.api.ContainerCreate(ctx, moby.ContainerCreateOptions{
		Name: "stoker-smoke-" + strings.ToLower(rand.Text()[:10]),
		Config: &container.Config{
			Image:  e.image,
			Labels: map[string]string{untilLabel: strconv.FormatInt(time.Now().Add(e.request.Limit).Unix(), 10)},
			// The tool runs the image's health check, more often than the image says.
			Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		},
		HostConfig: host,
	})
	if err != nil {
		return notRun(err)
	}
	e.id = made.ID
	return nil
}

// copyTool copies the tool into the container, before the image's program starts.
func (e *engineContainer) copyTool(ctx context.Context) error {
	f, err := os.Open(e.request.Tool)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	pr, pw := io.Pipe()
	e.pending.Go(func() {
		w := tar.NewWriter(pw)
		err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(toolDir, "/"), Mode: 0o755, ModTime: info.ModTime()})
		if err == nil {
			err = w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(toolPath, "/"), Mode: 0o755, Size: info.Size(), ModTime: info.ModTime()})
		}
		if err == nil {
			_, err = io.Copy(w, f)
		}
		pw.CloseWithError(errors.Join(err, w.Close()))
	})
	_, err = e.api.CopyToContainer(ctx, e.id, moby.CopyToContainerOptions{DestinationPath: "/", Content: pr})
	pr.CloseWithError(io.ErrClosedPipe)
	return err
}

// toolPath is the path to which copyTool copies the tool.
var toolPath = path.Join(toolDir, "stoker")

// tool implements runner. It must follow start.
func (e *engineContainer) tool(ctx context.Context, out io.Writer, args []string) (*Process, error) {
	made, err := e.api.ExecCreate(ctx, e.id, moby.ExecCreateOptions{
		User: "0:0", Cmd: append([]string{toolPath}, args...), WorkingDir: e.config.WorkingDir, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return nil, err
	}
	attached, err := e.api.ExecAttach(ctx, made.ID, moby.ExecAttachOptions{})
	if err != nil {
		return nil, err
	}
	copied := e.copyOutput(ctx, attached.HijackedResponse, out, e.request.Output)
	return e.process(func() (int, error) {
		<-copied
		is, err := e.api.ExecInspect(ctx, made.ID, moby.ExecInspectOptions{})
		if err != nil || is.Running {
			return 0, errors.Join(errors.New("it was cut off"), err)
		}
		return is.ExitCode, nil
	}, func(context.Context, syscall.Signal) error { return errors.ErrUnsupported }), nil
}

// copyOutput begins to copy what a process writes to stdout and stderr, until it ends or
// ctx does. The channel is closed at the end.
func (e *engineContainer) copyOutput(ctx context.Context, from moby.HijackedResponse, stdout, stderr io.Writer) <-chan struct{} {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, from.Close)
	e.pending.Go(func() {
		defer close(done)
		defer from.Close()
		defer stop()
		// It fails if ctx or the container ends, which whoever waits for the process hears of.
		_, _ = stdcopy.StdCopy(stdout, stderr, from.Reader)
	})
	return done
}

// process returns a Process whose end remove waits for.
func (e *engineContainer) process(wait func() (int, error), signal func(context.Context, syscall.Signal) error) *Process {
	e.pending.Add(1)
	return newProcess(func() (int, error) {
		defer e.pending.Done()
		return wait()
	}, signal)
}
