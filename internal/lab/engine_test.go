package lab_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/lab"
)

// TestEngine builds on a Docker Engine as `docker build` does, without a network and with the Engine's own, and looks for
// what it leaves on this machine.
func TestEngine(t *testing.T) {
	lab.NeedsEngine(t)
	dir, err := os.MkdirTemp("", "lab") // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Engine: true})
	if err != nil {
		t.Fatal(err)
	}
	buildx, err := lab.Buildx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	context := write(t, map[string]string{"Dockerfile": "FROM node:20\nRUN ip link | grep -q eth0\nRUN --network=none ! ip link | grep -q eth0\nRUN node --version >/version\n" +
		"FROM scratch\nCOPY --from=0 /version /\n"})
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), buildx, "build", "--output", out, context)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+l.Engine(), "DOCKER_CONFIG="+t.TempDir())
	if log, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
	if got, err := os.ReadFile(filepath.Join(out, "version")); err != nil || !strings.HasPrefix(string(got), "v20") {
		t.Errorf("the build gave %q, %v", got, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("%v, mounts:\n%s", err, mounts)
	}
	if conn, err := net.Dial("unix", strings.TrimPrefix(l.Engine(), "unix://")); err == nil {
		conn.Close()
		t.Error("the Engine outlived the lab")
	}
	if l, err = lab.Start(t.Context(), lab.Options{Dir: dir, Engine: true}); err != nil {
		t.Fatalf("start again where a lab has run: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
