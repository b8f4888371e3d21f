package image_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stokerd/stoker/internal/image"
	"github.com/stokerd/stoker/internal/lab"
)

// TestEngineStore analyses an image of a real Docker Engine's store: it is what the Engine pushes to a registry.
func TestEngineStore(t *testing.T) {
	l := lab.OwnEngine(t)
	buildx, err := lab.Buildx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "Dockerfile"), []byte(exported))
	ref := l.Registry() + "/test/stored:1"
	for _, to := range []string{"--load", "--push"} {
		cmd := exec.CommandContext(t.Context(), buildx, "build", "--tag", ref, to, dir)
		cmd.Env = append(os.Environ(), "DOCKER_HOST="+l.Engine(), "DOCKER_CONFIG="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	socket := strings.TrimPrefix(l.Engine(), "unix://")
	engine := image.OpenOptions{Engine: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	pushed, err := open(t, "docker://"+ref, engine, options(t, image.NoSecrets))
	if err != nil {
		t.Fatal(err)
	}
	if of(pushed).Hidden != 100_014 {
		t.Errorf("hidden %d, want 100014", of(pushed).Hidden)
	}
	for _, spelt := range []string{ref, "docker-daemon:" + ref} {
		stored, err := open(t, spelt, engine, options(t, image.NoSecrets))
		if err != nil {
			t.Errorf("%s: %v", spelt, err)
			continue
		}
		if stored.From != "the Docker Engine" {
			t.Errorf("%s is from %s", spelt, stored.From)
		}
		if diff := cmp.Diff(pushed, stored, cmpopts.IgnoreFields(image.Analysis{}, "Name", "From", "Pinned"), cmpopts.IgnoreUnexported(image.Analysis{}), cmp.AllowUnexported(image.Config{})); diff != "" {
			t.Errorf("%s (-registry +store):\n%s", spelt, diff)
		}
	}
}
