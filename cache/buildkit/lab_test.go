package buildkit_test

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// emptyEnv is a machine where nobody has configured anything.
func emptyEnv(t *testing.T) buildkit.Env {
	return buildkit.Env{Getenv: func(string) string { return "" }, Home: t.TempDir(), OS: "linux", UID: -1}
}

// connect returns the builder under test, connected to the lab.
func connect(t *testing.T) *buildkit.Builder {
	t.Helper()
	return connectAs(t, emptyEnv(t))
}

func connectAs(t *testing.T, env buildkit.Env) *buildkit.Builder {
	t.Helper()
	b, err := buildkit.Connect(t.Context(), env, lab.For(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// otherClient is BuildKit's own client: somebody else who builds.
func otherClient(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(t.Context(), lab.For(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// build builds dir as another client would and returns the build's ref. The
// error is the build's own.
func build(ctx context.Context, t *testing.T, c *client.Client, dir string, attrs map[string]string, status chan *client.SolveStatus) (string, error) {
	t.Helper()
	fs, err := fsutil.NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"filename": "Dockerfile"}
	maps.Copy(all, attrs)
	ref := "test" + rand.Text()
	_, err = c.Solve(ctx, nil, client.SolveOpt{
		Ref: ref, Frontend: "dockerfile.v0", FrontendAttrs: all, SharedKey: dir,
		LocalMounts: map[string]fsutil.FS{"context": fs, "dockerfile": fs},
	}, status)
	return ref, err
}

var errFound = errors.New("found")

// completion waits until the builder reports the build complete.
func completion(t *testing.T, b *buildkit.Builder, ref string) buildkit.Event {
	t.Helper()
	var found buildkit.Event
	err := b.Watch(t.Context(), func(ev buildkit.Event) error {
		if ev.Ref == ref && ev.Type == buildkit.Complete {
			found = ev
			return errFound
		}
		return nil
	})
	if !errors.Is(err, errFound) {
		t.Fatalf("watch: %v", err)
	}
	return found
}

// observe waits for the build and reads it.
func observe(t *testing.T, b *buildkit.Builder, ref string) buildkit.Observed {
	t.Helper()
	o, err := b.Observe(t.Context(), completion(t, b, ref))
	if err != nil {
		t.Fatal(err)
	}
	return o
}
