package scaffold_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/stokerd/stoker/internal/lab"
)

// build builds a Dockerfile of a repository on the lab and returns the image, and
// what the builder says.
func build(t testing.TB, l *lab.Lab, dir, dockerfile string) (v1.Image, string) {
	t.Helper()
	buildctl, err := lab.Buildctl(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), buildctl, "--addr", l.Address(), "build", "--progress", "plain", "--frontend", "dockerfile.v0",
		"--local", "context="+dir, "--local", "dockerfile="+dir, "--opt", "filename="+dockerfile, "--output", "type=oci,tar=false,compression=uncompressed,force-compression=true,dest="+out)
	log, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("build %s: %v\n%s", dockerfile, err, log)
	}
	index, err := layout.ImageIndexFromPath(out)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("the result is not one image: %v", err)
	}
	img, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img, string(log)
}

// size returns how many bytes an image's layers have on the disk.
func size(t testing.TB, img v1.Image) (total int64) {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		n, err := l.Size() // build asks for layers that are not compressed
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return total
}

// A container is an image that runs, by runc and without a network beyond itself.
type container struct {
	t      *testing.T
	id     string
	config v1.Config
	out    bytes.Buffer
	done   chan error
}

// unpack writes an image's files to a folder.
func unpack(t *testing.T, img v1.Image, dir string) {
	t.Helper()
	r := mutate.Extract(img)
	defer r.Close()
	tar := exec.CommandContext(t.Context(), "tar", "-x", "--numeric-owner", "-p", "-C", dir)
	tar.Stdin = r
	if out, err := tar.CombinedOutput(); err != nil {
		t.Fatalf("unpack the image: %v\n%s", err, out)
	}
}

// start runs an image as Docker does: its entrypoint and command, its user, its
// variables; the root's files may be read only.
func start(t *testing.T, img v1.Image) *container {
	t.Helper()
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := &container{t: t, id: fmt.Sprintf("stoker-init-%d-%d", os.Getpid(), time.Now().UnixNano()), config: file.Config, done: make(chan error, 1)}
	bundle := t.TempDir()
	if err := os.Mkdir(filepath.Join(bundle, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	unpack(t, img, filepath.Join(bundle, "rootfs"))
	spec, err := json.Marshal(c.spec())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), spec, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("runc", "run", "--bundle", bundle, c.id)
	cmd.Stdout, cmd.Stderr = &c.out, &c.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.done <- cmd.Wait() }()
	t.Cleanup(func() { _ = exec.Command("runc", "delete", "--force", c.id).Run() })
	return c
}

// spec is the container in the words of the runtime specification.
func (c *container) spec() map[string]any {
	uid, gid, ok := strings.Cut(c.config.User, ":")
	u, err := strconv.Atoi(uid)
	g, err2 := strconv.Atoi(gid)
	if !ok || errors.Join(err, err2) != nil || u == 0 {
		c.t.Fatalf("the user %q is not two numbers other than 0", c.config.User)
	}
	cwd := c.config.WorkingDir
	if cwd == "" {
		cwd = "/"
	}
	mount := func(dir, kind string, options ...string) map[string]any {
		return map[string]any{"destination": dir, "type": kind, "source": kind, "options": options}
	}
	return map[string]any{
		"ociVersion": "1.0.2",
		"process": map[string]any{
			"args": append(append([]string{}, c.config.Entrypoint...), c.config.Cmd...), "env": c.config.Env, "cwd": cwd,
			"user": map[string]any{"uid": u, "gid": g}, "noNewPrivileges": true,
		},
		"root": map[string]any{"path": "rootfs"}, "hostname": "sample",
		"mounts": []any{
			mount("/proc", "proc"), mount("/dev", "tmpfs", "nosuid", "mode=755", "size=65536k"),
			mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"), mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
		},
		"linux": map[string]any{"namespaces": []any{
			map[string]any{"type": "pid"}, map[string]any{"type": "network"}, map[string]any{"type": "ipc"}, map[string]any{"type": "uts"}, map[string]any{"type": "mount"},
		}},
	}
}

// pid is the host's number of the first process; 0 while there is none.
func (c *container) pid() int {
	out, err := exec.Command("runc", "state", c.id).Output()
	var state struct {
		PID    int
		Status string
	}
	if err != nil || json.Unmarshal(out, &state) != nil || state.Status != "running" {
		return 0
	}
	return state.PID
}

// until tries something until it is true, the container ended, or a minute is over.
func (c *container) until(what string, try func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !try() {
		select {
		case err := <-c.done:
			c.t.Fatalf("the container ended (%v) before %s:\n%s", err, what, c.out.String())
		case <-ctx.Done():
			_ = exec.Command("runc", "kill", c.id, "KILL").Run()
			<-c.done
			c.t.Fatalf("not within a minute: %s\n%s", what, c.out.String())
		case <-tick.C:
		}
	}
}

// get asks the container's server, in its network.
func (c *container) get(port int, path string) (string, error) {
	cmd := exec.Command("nsenter", "-t", strconv.Itoa(c.pid()), "-n", "busybox", "wget", "-q", "-O", "-", fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// healthy runs the image's own check inside.
func (c *container) healthy() error {
	check := c.config.Healthcheck.Test
	if len(check) < 2 || check[0] != "CMD" {
		return fmt.Errorf("the check %q is not in the exec form", check)
	}
	if out, err := exec.Command("runc", append([]string{"exec", c.id}, check[1:]...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// users returns the users that its processes run as.
func (c *container) users() map[string]bool {
	c.t.Helper()
	out, err := exec.Command("runc", "ps", "--format", "json", c.id).Output()
	var pids []int
	if err = errors.Join(err, json.Unmarshal(out, &pids)); err != nil {
		c.t.Fatal(err)
	}
	users := map[string]bool{}
	for _, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue // it ended
		}
		for line := range strings.Lines(string(status)) {
			if ids, ok := strings.CutPrefix(line, "Uid:"); ok {
				users[strings.Fields(ids)[0]] = true
			}
		}
	}
	return users
}

// stop sends SIGTERM and returns how long the end took.
func (c *container) stop() time.Duration {
	c.t.Helper()
	began := time.Now()
	if out, err := exec.Command("runc", "kill", c.id, "TERM").CombinedOutput(); err != nil {
		c.t.Fatalf("send SIGTERM: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	select {
	case <-c.done:
	case <-ctx.Done():
		_ = exec.Command("runc", "kill", c.id, "KILL").Run()
		<-c.done
		c.t.Errorf("it does not end within ten seconds of SIGTERM:\n%s", c.out.String())
	}
	return time.Since(began)
}
