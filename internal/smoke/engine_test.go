package smoke_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/lab"
	"github.com/stokerd/stoker/internal/smoke"
)

// docker is a client of the Engine's API.
func docker(t *testing.T, l *lab.Lab) *client.Client {
	t.Helper()
	c, err := client.New(client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(l.Engine(), "unix://"))
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// holds lists an Engine's images, containers and volumes.
func holds(t *testing.T, c *client.Client) []string {
	t.Helper()
	var all []string
	images, err := c.ImageList(t.Context(), client.ImageListOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range images.Items {
		all = append(all, fmt.Sprint("image ", i.ID, i.RepoTags))
	}
	containers, err := c.ContainerList(t.Context(), client.ContainerListOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range containers.Items {
		all = append(all, fmt.Sprint("container ", one.ID, one.Names))
	}
	volumes, err := c.VolumeList(t.Context(), client.VolumeListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range volumes.Items {
		all = append(all, "volume "+v.Name)
	}
	slices.Sort(all)
	return all
}

// TestEngineIsLeftAsItWas: nothing that a run made stays in an Engine, and nothing goes that was
// there before.
func TestEngineIsLeftAsItWas(t *testing.T) { leftAsItWas(t, lab.OwnEngine(t)) }

// TestOldEngineIsLeftAsItWas is that on one that keeps images as those before Docker 29 do.
func TestOldEngineIsLeftAsItWas(t *testing.T) { leftAsItWas(t, lab.OwnOldEngine(t)) }

func leftAsItWas(t *testing.T, l *lab.Lab) {
	b, c := connectEngine(t, l), docker(t, l)
	program, err := tool()
	if err != nil {
		t.Fatal(err)
	}
	try := func(build buildkit.Request) {
		t.Helper()
		var out logs
		o := smoke.Options{Tool: program, Timeout: 30 * time.Second, Grace: time.Second, Log: "up"}
		got, err := smoke.Run(t.Context(), b, build, o, &out)
		if err != nil || len(got.Checks) == 0 || got.Checks[0].State != smoke.Passed {
			t.Fatalf("%+v, %v\n%s", got, err, out.String())
		}
	}
	build := image(t, "FROM busybox\nVOLUME /vol\nUSER nobody\nCMD [\"sh\", \"-c\", \"echo up; exec sleep 60\"]\n")
	before := holds(t, c)
	try(build)
	if after := holds(t, c); !slices.Equal(before, after) {
		t.Errorf("the Engine held %q, and then %q", before, after)
	}

	if _, err := b.Build(t.Context(), buildkit.BuildRequest{Request: build, Output: buildkit.Output{Load: []string{"kept:1"}}}); err != nil {
		t.Fatal(err)
	}
	before = holds(t, c)
	try(build)
	if after := holds(t, c); !slices.Equal(before, after) {
		t.Errorf("with the image built, the Engine held %q, and then %q", before, after)
	}
}

// TestEngineIsSwept: a container whose stoker was killed goes with the next one's run.
func TestEngineIsSwept(t *testing.T) {
	b := connectEngine(t, lab.OwnEngine(t))
	program, err := tool()
	if err != nil {
		t.Fatal(err)
	}
	request := buildkit.ContainerRequest{
		Request: image(t, "FROM busybox\nCMD [\"sleep\", \"600\"]\n"), Tool: program, Output: &logs{}, Limit: -time.Minute,
	}
	err = b.Run(t.Context(), request, func(ctx context.Context, c *buildkit.Container) error {
		forgotten, err := c.Start(ctx)
		if err != nil {
			return err
		}
		request.Limit = time.Minute
		return b.Run(ctx, request, func(ctx context.Context, c *buildkit.Container) error {
			select {
			case <-forgotten.Done:
			case <-time.After(time.Minute):
				t.Error("the forgotten container still runs")
			}
			wanted, err := c.Start(ctx)
			if err != nil {
				return err
			}
			err = b.Run(ctx, request, func(context.Context, *buildkit.Container) error { return nil })
			select {
			case <-wanted.Done:
				t.Error("a container that is wanted was removed")
			default:
			}
			return err
		})
	})
	if err != nil {
		t.Error(err)
	}
}
