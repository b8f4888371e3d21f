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

// untilLabel is on every container that stoker makes: the Unix time after which nobody
// needs it.
const untilLabel = "com.github.stokerd.stoker.until"

// cleaning bounds how long an Engine may take to remove what was made in it.
const cleaning = 30 * time.Second

// runInEngine runs the result as `docker run` does. The image comes into the Engine's
// store without a name, and goes again unless it was there before.
func (b *Builder) runInEngine(ctx context.Context, r ContainerRequest, fn func(context.Context, *Container) error) (err error) {
	api, err := moby.New(moby.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) { return b.engine(ctx) }))
	if err != nil {
		return fmt.Errorf("speak with the Docker Engine: %w", err)
	}
	defer func() { _ = api.Close() }() // what is open there has ended
	e := inEngine{api: api, request: r}
	e.sweep(ctx)
	before, err := api.ImageList(ctx, moby.ImageListOptions{All: true})
	if err != nil {
		return fmt.Errorf("list the Docker Engine's images: %w", err)
	}
	built, err := b.intoEngine(ctx, api, r.Request)
	if err != nil {
		return err
	}
	e.image = built.ID
	isNew := !slices.ContainsFunc(before.Items, func(known image.Summary) bool { return known.ID == built.ID })
	// What was made is removed also where the user ended the run.
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
		defer cancel()
		if left := e.clean(ctx, isNew); left != nil && err == nil {
			err = left
		}
	}()
	c := &Container{in: &e}
	if built.Config != nil {
		c.Image.Config = *built.Config
	}
	e.config = c.Image.Config
	return fn(ctx, c)
}

// intoEngine builds for the builder's own platform, into its Engine's store.
func (b *Builder) intoEngine(ctx context.Context, api *moby.Client, r Request) (moby.ImageInspectResult, error) {
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
	_, resp, err := b.shown(ctx, Display{}, func(updates chan *client.SolveStatus) (*client.SolveResponse, error) {
		return b.client.Solve(ctx, nil, opt, updates)
	})
	if err != nil {
		return none, fmt.Errorf("run the image: %w", err)
	}
	// With containerd's image store an image's ID is its manifest's digest, else that of
	// its configuration.
	for _, key := range []string{"containerimage.digest", "containerimage.config.digest"} {
		if built, err := api.ImageInspect(ctx, resp.ExporterResponse[key]); err == nil {
			return built, nil
		}
	}
	return none, errors.New("the Docker Engine has no image of what was built")
}

func (b *Builder) errPlatform() error {
	return fmt.Errorf("the image is for another platform than the builder's %s", b.platform())
}

// inEngine is a container of a Docker Engine.
type inEngine struct {
	api     *moby.Client
	request ContainerRequest
	image   string
	config  dockerspec.DockerOCIImageConfig
	id      string         // once it is made
	streams sync.WaitGroup // what reads from the Engine
}

// sweep removes containers that nobody wants any more. What cannot be removed now is
// left to the next.
func (e *inEngine) sweep(ctx context.Context) {
	list, err := e.api.ContainerList(ctx, moby.ContainerListOptions{All: true, Filters: moby.Filters{}.Add("label", untilLabel)})
	if err != nil {
		return
	}
	for _, c := range list.Items {
		if until, err := strconv.ParseInt(c.Labels[untilLabel], 10, 64); err == nil && time.Now().Unix() > until {
			_, _ = e.api.ContainerRemove(ctx, c.ID, moby.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		}
	}
}

// clean removes the container and, with imageToo, the image. It waits for what
// reads from them.
func (e *inEngine) clean(ctx context.Context, imageToo bool) error {
	defer e.streams.Wait()
	if e.id != "" {
		_, err := e.api.ContainerRemove(ctx, e.id, moby.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		if err != nil && !cerrdefs.IsNotFound(err) {
			return fmt.Errorf("remove the container %s: %w", e.id[:min(12, len(e.id))], err)
		}
	}
	if !imageToo {
		return nil
	}
	// By now it may have a name, or another container.
	if is, err := e.api.ImageInspect(ctx, e.image); err == nil && len(is.RepoTags) == 0 {
		_, _ = e.api.ImageRemove(ctx, e.image, moby.ImageRemoveOptions{PruneChildren: true})
	}
	return nil
}

func (e *inEngine) start(ctx context.Context) (*Process, error) {
	host := &container.HostConfig{
		NetworkMode: "none",
		LogConfig:   container.LogConfig{Type: "none"}, // what it writes is kept nowhere
	}
	if e.request.Network {
		host.NetworkMode = "default"
	}
	made, err := e.api.ContainerCreate(ctx, moby.ContainerCreateOptions{
		Name: "stoker-smoke-" + strings.ToLower(rand.Text()[:10]),
		Config: &container.Config{
			Image:  e.image,
			Labels: map[string]string{untilLabel: strconv.FormatInt(time.Now().Add(e.request.Limit).Unix(), 10)},
			// The probe runs the image's own check, more often than the image says.
			Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		},
		HostConfig: host,
	})
	if err != nil {
		return nil, notRun(err)
	}
	e.id = made.ID
	if err := e.bring(ctx); err != nil {
		return nil, fmt.Errorf("bring the probe into the container: %w", err)
	}
	seen, err := e.api.ContainerAttach(ctx, e.id, moby.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, fmt.Errorf("attach to the container: %w", err)
	}
	ends := e.api.ContainerWait(ctx, e.id, moby.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := e.api.ContainerStart(ctx, e.id, moby.ContainerStartOptions{}); err != nil {
		seen.Close()
		e.streams.Go(func() {
			select { // it waits until the container goes
			case <-ends.Result:
			case <-ends.Error: //nolint:errcheck // why it does not run is known
			}
		})
		return nil, notRun(err)
	}
	written := e.read(ctx, seen.HijackedResponse, e.request.Output, e.request.Output)
	return e.process(func() (int, error) {
		select {
		case is := <-ends.Result:
			<-written
			return int(is.StatusCode), nil
		case err := <-ends.Error:
			return 0, notRun(err)
		}
	}, func(ctx context.Context, s syscall.Signal) error {
		_, err := e.api.ContainerKill(ctx, e.id, moby.ContainerKillOptions{Signal: strconv.Itoa(int(s))})
		return err
	}), nil
}

// bring copies the tool into the container, before its program starts.
func (e *inEngine) bring(ctx context.Context) error {
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
	e.streams.Go(func() {
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

// toolPath is where the tool lies that was copied.
var toolPath = path.Join(toolDir, "stoker")

func (e *inEngine) tool(ctx context.Context, out io.Writer, args []string) (*Process, error) {
	made, err := e.api.ExecCreate(ctx, e.id, moby.ExecCreateOptions{
		User: "0:0", Cmd: append([]string{toolPath}, args...), WorkingDir: e.config.WorkingDir, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return nil, err
	}
	seen, err := e.api.ExecAttach(ctx, made.ID, moby.ExecAttachOptions{})
	if err != nil {
		return nil, err
	}
	written := e.read(ctx, seen.HijackedResponse, out, e.request.Output)
	return e.process(func() (int, error) {
		<-written
		is, err := e.api.ExecInspect(ctx, made.ID, moby.ExecInspectOptions{})
		if err != nil || is.Running {
			return 0, errors.Join(errors.New("it was cut off"), err)
		}
		return is.ExitCode, nil
	}, func(context.Context, syscall.Signal) error { return errors.ErrUnsupported }), nil
}

// read hands on what a process writes until it ends, or ctx does.
func (e *inEngine) read(ctx context.Context, from moby.HijackedResponse, out, problems io.Writer) (done <-chan struct{}) {
	read := make(chan struct{})
	stop := context.AfterFunc(ctx, from.Close)
	e.streams.Go(func() {
		defer close(read)
		defer from.Close()
		defer stop()
		_, _ = stdcopy.StdCopy(out, problems, from.Reader) // cut off by ctx, or by the end of the container
	})
	return read
}

// process is one that clean waits for.
func (e *inEngine) process(wait func() (int, error), signal func(context.Context, syscall.Signal) error) *Process {
	e.streams.Add(1)
	return process(func() (int, error) {
		defer e.streams.Done()
		return wait()
	}, signal)
}
