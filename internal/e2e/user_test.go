package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// patience is how long anything may take to show; a minute is ages on an idle machine.
const patience = 2 * time.Minute

// A user has a home of their own, a builder that nobody else uses, and one repository to work in.
type user struct {
	t      *testing.T
	lab    *lab.Lab // nil while there is no builder
	engine bool     // the builder is a Docker Engine
	old    bool     // which keeps images with a graph driver
	dir    string   // the repository
	env    []string
}

// newUser makes a user whose configuration file holds config.
func newUser(t *testing.T, config string) *user {
	t.Helper()
	lab.For(t) // skips or explains where there can be none
	u := makeUser(t, user{}, config)
	u.env = append(u.env, "BUILDKIT_HOST="+u.lab.Address())
	return u
}

// newEngineUser makes a user of a Docker Engine.
func newEngineUser(t *testing.T, config string) *user {
	t.Helper()
	lab.NeedsEngine(t)
	u := makeUser(t, user{engine: true}, config)
	u.env = append(u.env, "DOCKER_HOST="+u.lab.Engine())
	return u
}

// newOldEngineUser makes a user of an Engine that keeps images as those before Docker 29 do.
func newOldEngineUser(t *testing.T, config string) *user {
	t.Helper()
	lab.NeedsEngine(t)
	u := makeUser(t, user{engine: true, old: true}, config)
	u.env = append(u.env, "DOCKER_HOST="+u.lab.Engine())
	return u
}

func makeUser(t *testing.T, kind user, config string) *user {
	t.Helper()
	home, err := os.MkdirTemp("", "stoker-e2e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	if home, err = filepath.EvalSymlinks(home); err != nil {
		t.Fatal(err)
	}
	u := &kind
	u.t, u.dir = t, filepath.Join(home, "repo")
	u.startLab()
	t.Cleanup(u.stopLab)
	u.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + filepath.Join(home, "run"),
		"XDG_STATE_HOME=" + filepath.Join(home, "state"), "XDG_CONFIG_HOME=" + filepath.Join(home, "config"),
		"DOCKER_CONFIG=" + filepath.Join(home, "docker"),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@shop.example",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@shop.example",
	}
	for _, dir := range []string{"run", "config/stoker", "repo"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(home, "config/stoker/config.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	// The daemon ends before its builder does.
	t.Cleanup(func() {
		if out, status := u.stoker(context.Background(), "down", "--all"); status != 0 {
			t.Errorf("stoker down --all: exit status %d: %s", status, out)
		}
	})
	return u
}

// startLab starts the builder, at the address and with the state that it had before.
func (u *user) startLab() {
	u.t.Helper()
	l, err := lab.Start(u.t.Context(), lab.Options{Dir: filepath.Join(filepath.Dir(u.dir), "lab"), Engine: u.engine, OldStore: u.old})
	if err != nil {
		u.t.Fatal(err)
	}
	u.lab = l
}

// stopLab ends the builder, if there is one. Of a failed test it shows what the builder logged last.
func (u *user) stopLab() {
	u.t.Helper()
	if u.lab == nil {
		return
	}
	if err := u.lab.Close(); err != nil {
		u.t.Error(err)
	}
	u.lab = nil
	if !u.t.Failed() {
		return
	}
	name := "buildkitd"
	if u.engine {
		name = "dockerd"
	}
	log, err := os.ReadFile(filepath.Join(filepath.Dir(u.dir), "lab", name+".log"))
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	u.t.Logf("%s, %v:\n%s", name, err, strings.Join(lines[max(0, len(lines)-30):], "\n"))
}

// command prepares a command of the user's, in the repository.
func (u *user) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = u.dir, u.env
	return cmd
}

// run runs a program that must succeed, and returns its output.
func (u *user) run(name string, args ...string) string {
	u.t.Helper()
	out, err := u.command(u.t.Context(), name, args...).CombinedOutput()
	if err != nil {
		u.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// stoker runs a command and returns its result, with what it said beside it if it failed, and its
// exit status.
func (u *user) stoker(ctx context.Context, args ...string) (string, int) {
	u.t.Helper()
	cmd := u.command(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return stdout.String() + stderr.String(), exit.ExitCode()
	case err != nil:
		u.t.Fatalf("stoker %s: %v", strings.Join(args, " "), err)
	}
	return stdout.String(), 0
}

// must runs a stoker command that must succeed, and returns its result.
func (u *user) must(args ...string) string {
	u.t.Helper()
	out, status := u.stoker(u.t.Context(), args...)
	if status != 0 {
		u.t.Fatalf("stoker %s: exit status %d\n%s", strings.Join(args, " "), status, out)
	}
	return out
}

// read runs a stoker command with --json and decodes its result.
func read[T any](u *user, args ...string) T {
	u.t.Helper()
	var v T
	out := u.must(append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		u.t.Fatalf("stoker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return v
}

// await returns the first status of the repository for which missing has nothing to say.
func (u *user) await(missing func(api.Repository) string) api.Repository {
	u.t.Helper()
	var found api.Repository
	u.awaitStatus(func(s api.Status) string {
		for _, r := range s.Repositories {
			if r.Root == u.dir {
				found = r
				return missing(r)
			}
		}
		return "the repository"
	})
	return found
}

// awaitStatus returns the first status for which missing has nothing to say.
func (u *user) awaitStatus(missing func(api.Status) string) api.Status {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), patience)
	defer cancel()
	cmd := u.command(ctx, program, "status", "--watch", "--json")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		u.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // killed once enough was seen
	}()
	why := "a status"
	for dec := json.NewDecoder(stdout); ; {
		var s api.Status
		if err := dec.Decode(&s); err != nil {
			u.t.Fatalf("waited in vain for %s: %v\n%s", why, err, stderr.String())
		}
		if why = missing(s); why == "" {
			return s
		}
	}
}

// write puts a file into the repository.
func (u *user) write(name, content string) {
	u.t.Helper()
	path := filepath.Join(u.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		u.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		u.t.Fatal(err)
	}
}

// steps are the steps that BuildKit can execute by name, and whether they were taken from the cache.
type steps map[string]bool

// hits counts those from the cache.
func (s steps) hits() int {
	n := 0
	for _, cached := range s {
		if cached {
			n++
		}
	}
	return n
}

// executable is the form of a step's name; FROM is a source and no step.
var executable = regexp.MustCompile(`^\[(\S+ )?\d+/\d+\] (RUN|COPY|ADD|WORKDIR)\b`)

// build builds a folder of the repository with a client that knows nothing of stoker, and returns
// what BuildKit itself says of the steps.
func (u *user) build(dir string) steps {
	u.t.Helper()
	out := u.otherClient(dir)
	seen := steps{}
	for line := range strings.Lines(out) {
		var status struct {
			Vertexes []struct {
				Name      string
				Cached    bool
				Completed *time.Time
			}
		}
		if json.Unmarshal([]byte(line), &status) != nil {
			continue // buildx warns in plain text
		}
		for _, v := range status.Vertexes {
			if executable.MatchString(v.Name) && v.Completed != nil {
				seen[v.Name] = v.Cached
			}
		}
	}
	if len(seen) == 0 {
		u.t.Fatalf("the client told of no step:\n%s", out)
	}
	return seen
}

// otherClient builds a folder, and returns what the client says with --progress rawjson. On an Engine it is what
// `docker build` runs.
func (u *user) otherClient(dir string, args ...string) string {
	u.t.Helper()
	find, command := lab.Buildctl, []string{"build", "--frontend", "dockerfile.v0", "--local", "context=" + dir, "--local", "dockerfile=" + dir}
	if u.engine {
		find, command = lab.Buildx, []string{"build", dir}
	}
	client, err := find(u.t.Context())
	if err != nil {
		u.t.Fatal(err)
	}
	return u.run(client, append(append(command, "--progress", "rawjson"), args...)...)
}

// engineAPI asks the user's Docker Engine for what stoker has no command for.
func (u *user) engineAPI(method, path string) {
	u.t.Helper()
	c := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(u.lab.Engine(), "unix://"))
		},
	}}
	req, err := http.NewRequestWithContext(u.t.Context(), method, "http://docker"+path, nil)
	if err != nil {
		u.t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		u.t.Fatalf("%s %s: %s %s, %v", method, path, resp.Status, text, err)
	}
}

// definition returns the definition with this name.
func definition(t *testing.T, r api.Repository, name string) api.Definition {
	t.Helper()
	for _, d := range r.Definitions {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("no definition %s in %+v", name, r.Definitions)
	return api.Definition{}
}
