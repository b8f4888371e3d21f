package lab_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/internal/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// build runs a Dockerfile build of dir and returns the exported files' directory and the log.
func build(t *testing.T, l *lab.Lab, dir string) (out, log string, err error) {
	t.Helper()
	buildctl, err := lab.Buildctl(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out = t.TempDir()
	cmd := exec.CommandContext(t.Context(), buildctl, "--addr", l.Address(), "build", "--progress", "plain",
		"--frontend", "dockerfile.v0", "--local", "context="+dir, "--local", "dockerfile="+dir,
		"--output", "type=local,dest="+out)
	b, err := cmd.CombinedOutput()
	return out, string(b), err
}

// write puts files, by slash-separated path, into a new directory.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestStandIns is about the stand-ins, so it has a lab of its own where the shared one has real images.
func TestStandIns(t *testing.T) {
	l := lab.For(t)
	if l.Real() {
		var err error
		if l, err = lab.Start(t.Context(), lab.Options{}); err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	buildArchives(t, l, "testdata/standins")
}

// TestRealImages fetches from public package archives.
func TestRealImages(t *testing.T) {
	l := lab.For(t)
	if !l.Real() {
		t.Skip("this lab has stand-ins only: run the tests through `labctl run --real -- go test`")
	}
	buildArchives(t, l, "testdata/real")
}

// buildArchives builds each archive in dir. Files below want/ must be in the output; a file named
// fails holds what a build that must fail says.
func buildArchives(t *testing.T, l *lab.Lab, dir string) {
	archives, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives in %s: %v", dir, err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files, want, fails := map[string]string{}, map[string]string{}, ""
			for _, f := range archive.Files {
				if name, ok := strings.CutPrefix(f.Name, "want/"); ok {
					want[name] = string(f.Data)
				} else if f.Name == "fails" {
					fails = strings.TrimSpace(string(f.Data))
				} else {
					files[f.Name] = string(f.Data)
				}
			}
			if fails == "" && len(want) == 0 {
				t.Fatal("the archive expects nothing")
			}
			out, log, err := build(t, l, write(t, files))
			if fails != "" {
				if err == nil || !strings.Contains(log, fails) {
					t.Fatalf("build: error %v, want one that says %q:\n%s", err, fails, log)
				}
				return
			}
			if err != nil {
				t.Fatalf("build: %v\n%s", err, log)
			}
			for name, content := range want {
				got, err := os.ReadFile(filepath.Join(out, name))
				if err != nil {
					t.Error(err)
				} else if diff := cmp.Diff(content, string(got)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// TestPushMovesTag shows that a FROM follows the tag to another image.
func TestPushMovesTag(t *testing.T) {
	l := lab.For(t)
	base, err := lab.StandIn("busybox:latest")
	if err != nil {
		t.Fatal(err)
	}
	// A name of its own: the registry is shared with the tests that run beside this one.
	name := "moving/" + strings.ToLower(filepath.Base(t.TempDir())) + filepath.Base(filepath.Dir(l.Root())) + ":1"
	dir := write(t, map[string]string{"Dockerfile": "FROM " + strings.ToLower(name) + "\n"})
	digests := map[string]bool{}
	for _, version := range []string{"one", "two"} {
		img, err := lab.WithFiles(base, map[string]string{"/version": version})
		if err != nil {
			t.Fatal(err)
		}
		digest, err := l.Push(t.Context(), strings.ToLower(name), img)
		if err != nil {
			t.Fatal(err)
		}
		digests[digest] = true
		out, log, err := build(t, l, dir)
		if err != nil {
			t.Fatalf("build: %v\n%s", err, log)
		}
		got, err := os.ReadFile(filepath.Join(out, "version"))
		if err != nil || string(got) != version {
			t.Errorf("the image holds version %q, %v; want %q", got, err, version)
		}
	}
	if len(digests) != 2 {
		t.Errorf("two images have the digests %v", digests)
	}
}

// TestStandInDigestsAreStable: a base image whose digest moves would make every hit a miss.
func TestStandInDigestsAreStable(t *testing.T) {
	for _, name := range []string{"node:20", "gcr.io/distroless/static-debian12:latest"} {
		var digests [2]string
		for i := range digests {
			img, err := lab.StandIn(name)
			if err != nil {
				t.Fatal(err)
			}
			d, err := img.Digest()
			if err != nil {
				t.Fatal(err)
			}
			digests[i] = d.String()
		}
		if digests[0] != digests[1] {
			t.Errorf("%s has the digests %v", name, digests)
		}
	}
}

// TestSecondLab: labs run side by side, but not in one directory.
func TestSecondLab(t *testing.T) {
	lab.For(t)
	dir, err := os.MkdirTemp("", "lab") // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(l.CacheDB()); err != nil {
		t.Errorf("buildkitd's cache: %v", err)
	}
	if _, err := lab.Start(t.Context(), lab.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another lab runs") {
		t.Errorf("a second lab in one directory: error %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = lab.Start(t.Context(), lab.Options{Dir: dir}); err != nil {
		t.Fatalf("start again where a lab has run: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestKilledLabLeavesNothing kills labctl with -9 and looks for what survives.
func TestKilledLabLeavesNothing(t *testing.T) {
	lab.For(t)
	dir, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	labctl := filepath.Join(t.TempDir(), "labctl")
	if out, err := exec.Command("go", "build", "-o", labctl, "./labctl").CombinedOutput(); err != nil {
		t.Fatalf("compile labctl: %v\n%s", err, out)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(labctl, "up", "--dir", dir)
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 10)); err != nil { // printed once the lab is up
		t.Fatalf("labctl up: %v\n%s", err, stderr.String())
	}
	conn, err := net.Dial("unix", filepath.Join(dir, "buildkitd.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	// A dying process closes its connections before its socket, or after: each
	// one that is still accepted ends when the other side is dead.
	deadline := time.Now().Add(30 * time.Second)
	for err = nil; err == nil; {
		if time.Now().After(deadline) {
			t.Fatal("buildkitd outlived labctl")
		}
		_ = conn.SetDeadline(deadline)
		_, _ = io.Copy(io.Discard, conn)
		conn.Close()
		conn, err = net.Dial("unix", filepath.Join(dir, "buildkitd.sock"))
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), dir) {
		t.Errorf("mounts outlived labctl:\n%s", mounts)
	}
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir})
	if err != nil {
		t.Fatalf("start again where a lab was killed: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
