package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/client"
	"github.com/stokerd/stoker/internal/daemon"
	"github.com/stokerd/stoker/internal/ipc"
	"github.com/stokerd/stoker/internal/lab"
)

// A running is a daemon in the test's own process, and a client of it.
type running struct {
	*client.Client
	t     *testing.T
	paths ipc.Paths
	end   func() // stops the daemon and waits for it; may be called again
}

// start runs a daemon until the test ends or end is called. The user's folders are in home,
// so a second daemon with the same home goes on from the first. Its environment is env
// alone, so that it finds no builder but one that is named there. The functions in change
// may change its options.
func start(t *testing.T, home string, env map[string]string, change ...func(*daemon.Options)) *running {
	t.Helper()
	getenv := func(name string) string {
		if v, ok := env[name]; ok {
			return v
		}
		switch name {
		case "XDG_RUNTIME_DIR":
			return filepath.Join(home, "run")
		case "XDG_STATE_HOME":
			return filepath.Join(home, "state")
		case "HOME":
			return home
		}
		return ""
	}
	if err := os.MkdirAll(filepath.Join(home, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	paths, err := ipc.Locate(getenv)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	version := api.Version{Version: "test", Build: "test", PID: os.Getpid(), Level: api.Level}
	options := daemon.Options{
		Paths: paths, Version: version, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
		// On Windows there are no usual places for sockets, so none of this machine's
		// builders is found.
		Builder: buildkit.Env{Getenv: getenv, Home: home, OS: "windows", UID: os.Getuid()},
		Ready:   func() { close(ready) },
	}
	for _, f := range change {
		f(&options)
	}
	go func() { ended <- daemon.Run(ctx, options) }()
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	c, err := client.Connect(t.Context(), paths, version)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	r := &running{Client: c, t: t, paths: paths}
	var done bool
	r.end = func() {
		if done {
			return
		}
		done = true
		c.Close()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the daemon ended with %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("the daemon did not end within 10 seconds")
		}
	}
	t.Cleanup(r.end)
	return r
}

// startOn runs a daemon, as start does with a new home, that uses the builder at address. It
// returns once they are connected.
func startOn(t *testing.T, address string) *running {
	t.Helper()
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": address})
	r.connected()
	return r
}

// A testWriter writes to the test's log, and nothing once the test has ended.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(strings.TrimRight(string(p), "\n"))
	}
	return len(p), nil
}

// wait waits until the status of the repository at root meets cond, and returns it. what says
// what is waited for.
func (r *running) wait(root, what string, cond func(api.Repository) bool) api.Repository {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	found := errors.New("found")
	var last, match api.Repository
	err := r.Watch(ctx, func(s api.Status) error {
		for _, repo := range s.Repositories {
			if repo.Root == root {
				if last = repo; cond(repo) {
					match = repo
					return found
				}
			}
		}
		return nil
	})
	if !errors.Is(err, found) {
		r.t.Fatalf("waited for %s: %v; the last status was %+v", what, err, last)
	}
	return match
}

// connected waits until the daemon is connected to its builder and has read the builds in its
// history, so that it sees those that begin from now on.
func (r *running) connected() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	found := errors.New("found")
	err := r.Watch(ctx, func(s api.Status) error {
		if s.Builder.Connected && s.Builder.Unread == 0 {
			return found
		}
		return nil
	})
	if !errors.Is(err, found) {
		r.t.Fatalf("waited for the builder: %v", err)
	}
}

// up has the daemon watch dir, the root of a repository, and returns its first status.
func (r *running) up(dir string, allow bool) api.Repository {
	r.t.Helper()
	s, err := r.Up(r.t.Context(), api.UpRequest{Dir: dir, Allow: allow})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, repo := range s.Repositories {
		if repo.Root == dir {
			return repo
		}
	}
	r.t.Fatalf("%s is not in the answer: %+v", dir, s)
	return api.Repository{}
}

// repository writes files, by path, into a new folder, and returns its path without links.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(lab.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		write(t, filepath.Join(root, name), content)
	}
	return root
}

// write writes a file, and makes the folders that it is in.
func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// git runs git in root.
func git(t *testing.T, root string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"}, args...)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// shop has the files of a small repository: one of them is sent.
var shop = map[string]string{
	"Dockerfile":    "FROM scratch\nCOPY src /src\n",
	"src/main.js":   "hello",
	"notes.md":      "not sent",
	".dockerignore": "*.log\n",
}

// TestFollowsChanges checks that the picture follows the disk: the status after a while, and
// answers to requests at once.
func TestFollowsChanges(t *testing.T) {
	root := repository(t, shop)
	r := start(t, t.TempDir(), nil)
	first := r.up(root, false)
	def := first.Definitions[0]
	if def.Context.Files != 4 || def.Sent.Files != 1 || def.Sent.Bytes != 5 || def.Steps != 1 {
		t.Errorf("first picture: %+v; want 4 files, of which 1 with 5 bytes is sent, and 1 step", def)
	}

	write(t, filepath.Join(root, "src/lib/util.js"), "12345")
	r.wait(root, "a new file in a new folder", func(repo api.Repository) bool {
		return len(repo.Definitions) == 1 && repo.Definitions[0].Sent == api.Size{Files: 2, Bytes: 10}
	})
	// An answer has everything that was written before the request.
	for i := range 20 {
		write(t, filepath.Join(root, "src/lib", fmt.Sprint(i)), "x")
		answer, err := r.Context(t.Context(), api.ContextRequest{Query: api.Query{Dir: root}})
		if err != nil {
			t.Fatal(err)
		}
		if answer.Sent.Files != 3+i {
			t.Fatalf("after write %d the sent set has %d files, want %d", i, answer.Sent.Files, 3+i)
		}
	}
	write(t, filepath.Join(root, ".dockerignore"), "src/lib\n")
	r.wait(root, "a new ignore file", func(repo api.Repository) bool {
		return len(repo.Definitions) == 1 && repo.Definitions[0].Sent.Files == 1
	})
}

// TestRecovers breaks one file after the other and mends it. The problem must be told with
// its place, and be gone without a command.
func TestRecovers(t *testing.T) {
	tests := []struct {
		name, file, broken, want string
	}{
		{"Dockerfile", "Dockerfile", "FROM scratch\nCOPPY a b\n", "Dockerfile:2: "},
		{"ignore file, bang alone", ".dockerignore", "a\n!\n", ".dockerignore:2: "},
		{"ignore file, open bracket", ".dockerignore", "a[\n", ".dockerignore:1: "},
		{"stoker.yaml", "stoker.yaml", "budget: {contxt: 5MB}\n", "stoker.yaml:1:10: "},
	}
	root := repository(t, shop)
	r := start(t, t.TempDir(), nil)
	r.up(root, false)
	for _, tt := range tests {
		name := filepath.Join(root, tt.file)
		good, err := os.ReadFile(name)
		if err != nil {
			good = nil
		}
		write(t, name, tt.broken)
		repo := r.wait(root, tt.name+" broken", func(repo api.Repository) bool { return problem(repo) != "" })
		if got := problem(repo); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: problem %q does not start with %q", tt.name, got, tt.want)
		}
		if good == nil {
			err = os.Remove(name)
		} else {
			err = os.WriteFile(name, good, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		r.wait(root, tt.name+" mended", func(repo api.Repository) bool {
			return problem(repo) == "" && len(repo.Definitions) == 1 && repo.Definitions[0].Sent.Files == 1
		})
	}
}

// problem returns the first problem of a repository, "" if there is none.
func problem(repo api.Repository) string {
	for _, d := range repo.Definitions {
		if d.Problem != "" {
			return d.Problem
		}
	}
	return repo.Problem
}

// TestDownWhereALinkTookThePlace stops watching a folder by its old name, which is that of a
// link now.
func TestDownWhereALinkTookThePlace(t *testing.T) {
	root := repository(t, shop)
	r := start(t, t.TempDir(), nil)
	r.up(root, false)
	if err := errors.Join(os.Rename(root, root+".away"), os.Symlink(root+".away/Dockerfile", root)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Down(t.Context(), api.DownRequest{Dir: root}); err != nil {
		t.Error(err)
	}
}

// TestFolderGoneAndBack moves the folder of a repository away and back. Both must show in its
// status.
func TestFolderGoneAndBack(t *testing.T) {
	root := repository(t, shop)
	r := start(t, t.TempDir(), nil)
	r.up(root, false)
	away := root + ".away"
	if err := os.Rename(root, away); err != nil {
		t.Fatal(err)
	}
	// There is no event in a folder that is itself renamed, but requests notice it.
	if _, err := r.Check(t.Context(), api.CheckRequest{Query: api.Query{Dir: away}}); err == nil {
		t.Error("Check of a folder that is not watched succeeds, want an error")
	}
	r.wait(root, "the folder being gone", func(repo api.Repository) bool { return strings.Contains(repo.Problem, "gone") })
	if err := os.Rename(away, root); err != nil {
		t.Fatal(err)
	}
	r.wait(root, "the folder being back", func(repo api.Repository) bool {
		return repo.Problem == "" && len(repo.Definitions) == 1
	})
}

// TestSeveralRepositories checks that of two repositories the one that is still watched when
// the daemon ends is watched by the next daemon.
func TestSeveralRepositories(t *testing.T) {
	home := t.TempDir()
	a, b := repository(t, shop), repository(t, shop)
	r := start(t, home, nil)
	r.up(a, false)
	r.up(b, false)
	r.up(b, false) // again is harmless
	s, err := r.Status(t.Context())
	if err != nil || len(s.Repositories) != 2 {
		t.Fatalf("status has %d repositories, %v; want 2", len(s.Repositories), err)
	}
	if _, err := r.Down(t.Context(), api.DownRequest{Dir: a}); err != nil {
		t.Fatal(err)
	}
	r.end()

	// The time after which a repository is forgotten runs while nobody watches it.
	kept, err := store.Open(r.paths.Store)
	if err != nil {
		t.Fatal(err)
	}
	for root, watched := range map[string]bool{a: false, b: true} {
		if rec, ok, err := kept.Repository(root); !ok || err != nil || rec.Watched != watched || rec.Left.IsZero() != watched {
			t.Errorf("the store has of %s: %+v, %v; want Watched = %v, and Left only if that is false", root, rec, err, watched)
		}
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}

	// The next daemon goes on where this one ended.
	again := start(t, home, nil)
	again.wait(b, "the watched repository", func(repo api.Repository) bool { return len(repo.Definitions) == 1 })
	s, err = again.Status(t.Context())
	if err != nil || len(s.Repositories) != 1 {
		t.Fatalf("after a restart status has %d repositories, %v; want 1", len(s.Repositories), err)
	}
}

// TestSecondDaemonIsRefused starts a second daemon with the folders of the first.
func TestSecondDaemonIsRefused(t *testing.T) {
	r := start(t, t.TempDir(), nil)
	err := daemon.Run(t.Context(), daemon.Options{Paths: r.paths, Log: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, ipc.ErrRunning) {
		t.Errorf("a second daemon: %v, want ErrRunning", err)
	}
}
