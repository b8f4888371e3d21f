package daemon_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/daemon"
	"github.com/stokerd/stoker/internal/lab"
)

func TestMain(m *testing.M) {
	if home := os.Getenv(envHome); home != "" {
		if err := runProcess(home); err != nil {
			log.Fatal(err)
		}
		return
	}
	lab.Main(m)
}

// canary is the value of a build arg. Nothing but memory and the builder may hold it.
const canary = "canary0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3"

// A logbook is a log that can be read while it is written.
type logbook struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// text returns what was written so far.
func (l *logbook) text() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.buf.Bytes())
}

// onLab returns what start needs for a daemon on the lab's builder, with userFile as the
// user's configuration, the canary in its environment and its log, at level debug, in book.
func onLab(t *testing.T, userFile string, book *logbook) (env map[string]string, change func(*daemon.Options)) {
	t.Helper()
	user, err := config.ParseUser("config.yaml", []byte(userFile))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"BUILDKIT_HOST": lab.For(t).Address()}, func(o *daemon.Options) {
		o.User, o.Env = user, map[string]string{"TOKEN": canary}
		log := io.MultiWriter(book, testWriter{t})
		o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

// build builds dir as a plain BuildKit client does or, if state is the folder that buildx
// keeps its state in, as buildx does.
func build(t *testing.T, dir, state string, attrs map[string]string) error {
	t.Helper()
	return buildUntil(t.Context(), t, dir, state, attrs)
}

// buildUntil is build, interrupted when ctx ends.
func buildUntil(ctx context.Context, t *testing.T, dir, state string, attrs map[string]string) error {
	t.Helper()
	c, err := client.New(t.Context(), lab.For(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fs, err := fsutil.NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"filename": "Dockerfile"}
	maps.Copy(all, attrs)
	ref := "test" + rand.Text()
	if state != "" {
		// Buildx writes the folder of a build there, before it builds.
		write(t, filepath.Join(state, "refs", "b", "n", ref), `{"LocalPath": "`+dir+`"}`)
	}
	_, err = c.Solve(ctx, nil, client.SolveOpt{
		Ref: ref, Frontend: "dockerfile.v0", FrontendAttrs: all,
		LocalMounts: map[string]fsutil.FS{"context": fs, "dockerfile": fs},
	}, nil)
	return err
}

// warmth returns a condition for wait: all definitions, at least one, have the state.
func warmth(state string) func(api.Repository) bool {
	return func(repo api.Repository) bool {
		for _, d := range repo.Definitions {
			if d.Warm.State != state {
				return false
			}
		}
		return len(repo.Definitions) > 0
	}
}

// noCanary checks that the canary is nowhere in the log, the store, answers and events.
func (r *running) noCanary(book *logbook, events []api.WarmEvent) {
	r.t.Helper()
	status, err := r.Status(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	stats, err := r.Stats(r.t.Context(), api.StatsRequest{Since: 3600})
	if err != nil {
		r.t.Fatal(err)
	}
	kept, err := os.ReadFile(r.paths.Store)
	if err != nil {
		r.t.Fatal(err)
	}
	said, err := json.Marshal([]any{status, stats, events})
	if err != nil {
		r.t.Fatal(err)
	}
	for what, text := range map[string][]byte{"the log": book.text(), "the store": kept, "status, stats or warm events": said} {
		if at := bytes.Index(text, []byte(canary)); at >= 0 {
			r.t.Errorf("%s holds the value of an arg: …%s", what, text[max(0, at-200):at+20])
		}
	}
}

// TestLoop goes once around on a real builder: watch, warm, build and see the hit. One of the
// args has the canary as its value.
func TestLoop(t *testing.T) {
	// Builds by a client that says nothing of itself are told by their Dockerfile.
	unique := "# " + rand.Text() + "\n"
	root := repository(t, map[string]string{
		"compose.yaml": "services: {app: {build: {context: ., args: {TOKEN: \"${TOKEN}\"}}}}\n",
		"Dockerfile":   unique + "FROM busybox\nARG TOKEN\nCOPY src /src\nRUN cat /src/main.js && echo \"$TOKEN\"\n",
		"src/main.js":  t.Name() + time.Now().String(),
	})
	var book logbook
	env, change := onLab(t, "prewarm: {level: all, quiet: 10ms}\n", &book)
	home := t.TempDir()
	r := start(t, home, env, change)
	r.up(root, true)
	arg := map[string]string{"build-arg:TOKEN": canary}

	r.wait(root, "everything being warm", warmth("ready"))
	if err := build(t, root, "", arg); err != nil {
		t.Fatal(err)
	}
	last := func(hits int) func(api.Repository) bool {
		return func(repo api.Repository) bool {
			d := repo.Definitions[0]
			return d.Last != nil && d.Last.Hits == hits && d.Last.Steps == 2
		}
	}
	r.wait(root, "a build of hits only", last(2))

	write(t, filepath.Join(root, "src/main.js"), t.Name()+time.Now().String())
	// Once the change is seen what was warmed no longer counts.
	if _, err := r.Check(t.Context(), api.CheckRequest{Query: api.Query{Dir: root}}); err != nil {
		t.Fatal(err)
	}
	repo := r.wait(root, "the change to be warmed", warmth("ready"))
	if err := build(t, root, "", arg); err != nil {
		t.Fatal(err)
	}
	r.wait(root, "another build of hits only", func(now api.Repository) bool {
		return last(2)(now) && now.Definitions[0].Builds == repo.Definitions[0].Builds+1
	})
	var events []api.WarmEvent
	tell := func(e api.WarmEvent) { events = append(events, e) }
	if err := r.Warm(t.Context(), api.WarmRequest{Query: api.Query{Dir: root}, Level: "all"}, tell); err != nil {
		t.Error(err)
	}
	for _, broken := range []string{
		"FROM busybox\nARG TOKEN\nRUN echo \"$TOKEN\"; exit 3\n",
		"ARG TOKEN\nFROM 127.0.0.1:1/$TOKEN\nRUN true\n",
	} {
		write(t, filepath.Join(root, "Dockerfile"), unique+broken)
		r.wait(root, "a warm-up that fails", warmth("failed"))
		if err := r.Warm(t.Context(), api.WarmRequest{Query: api.Query{Dir: root}, Level: "all"}, tell); err == nil {
			t.Error("a build that fails was warmed")
		}
		if err := build(t, root, filepath.Join(home, ".docker", "buildx"), arg); err == nil {
			t.Error("a build that fails did not")
		}
		write(t, filepath.Join(root, "Dockerfile"), unique+"FROM busybox\nRUN true\n")
		r.wait(root, "the mend", warmth("ready"))
	}
	r.wait(root, "the failed builds", func(repo api.Repository) bool { return repo.Definitions[0].Builds == 4 })
	r.noCanary(&book, events)
}

// A listener notes what is asked of it, as a registry that somebody else reads.
func listener(t *testing.T) (address string, asked func() string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var book logbook
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.WriteString(&book, req.URL.String()+"\n")
		http.NotFound(w, req)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-done })
	return l.Addr().String(), func() string { return string(book.text()) }
}

// TestEnvironmentStaysHere puts a variable of the user's into image names, in
// every way that a repository has. Until it is allowed nobody is asked for them.
func TestEnvironmentStaysHere(t *testing.T) {
	address, asked := listener(t)
	digest := canary[len(canary)-64:]
	digest = strings.Map(func(c rune) rune {
		if strings.ContainsRune("0123456789abcdef", c) {
			return c
		}
		return '0'
	}, digest)
	root := repository(t, map[string]string{
		"compose.yaml": `services:
  inline: {build: {context: ., dockerfile_inline: "FROM ` + address + `/inline/${TOKEN}\nRUN true"}}
  arg: {build: {context: ., dockerfile: arg.Dockerfile, args: {NAME: "${TOKEN}"}}}
  digest: {build: {context: ., dockerfile: digest.Dockerfile, args: {DIGEST: "${HEX}"}}}
  named: {build: {context: ., dockerfile: named.Dockerfile, additional_contexts: {base: "docker-image://` + address + `/named/${TOKEN}"}}}
`,
		"arg.Dockerfile":    "ARG NAME\nFROM " + address + "/arg/$NAME\nRUN true\n",
		"digest.Dockerfile": "ARG DIGEST\nFROM " + address + "/digest@sha256:$DIGEST\nRUN true\n",
		"named.Dockerfile":  "FROM base\nRUN true\n",
		"plain.Dockerfile":  "FROM " + address + "/plain\nRUN true\n",
	})
	var book logbook
	env, change := onLab(t, "prewarm: {level: all, quiet: 10ms}\n", &book)
	r := start(t, t.TempDir(), env, change, func(o *daemon.Options) { o.Env["HEX"] = digest })
	r.up(root, false)
	warmed := func(since time.Time) func(api.Repository) bool {
		return func(repo api.Repository) bool {
			for _, d := range repo.Definitions {
				if d.Warm.At.Before(since) || d.Warm.State == "warming" {
					return false
				}
			}
			return len(repo.Definitions) == 5
		}
	}
	r.wait(root, "what is warmed without consent", warmed(time.Unix(1, 0)))
	now := time.Now()
	write(t, filepath.Join(root, "more"), "x") // the look-ups of before have ended when this is warmed
	r.wait(root, "it to be warmed again", warmed(now))
	if got := asked(); !strings.Contains(got, "/plain/") {
		t.Errorf("an image that is named outright was not asked for: the test shows nothing; asked:\n%s", got)
	} else if strings.Contains(got, "inline") || strings.Contains(got, "/arg/") || strings.Contains(got, "digest") || strings.Contains(got, "named") {
		t.Errorf("a repository that is not allowed sent the environment to a registry:\n%s", got)
	}
	now = time.Now()
	if _, err := r.Allow(t.Context(), api.AllowRequest{Dir: root}); err != nil {
		t.Fatal(err)
	}
	r.wait(root, "everything to be tried", warmed(now))
	for _, name := range []string{"/inline/", "/arg/", "/digest/", "/named/"} {
		if !strings.Contains(asked(), name) {
			t.Errorf("%s was not asked for by an allowed repository either: the test shows nothing", name)
		}
	}
	r.noCanary(&book, nil)
}

// TestRepositoryChoosesBuilder: with several that name one, the first counts,
// once it is allowed and until it is not.
func TestRepositoryChoosesBuilder(t *testing.T) {
	files := maps.Clone(shop)
	files["stoker.yaml"] = "builder: unix:///nowhere/first.sock\n"
	first := repository(t, files)
	files["stoker.yaml"] = "builder: unix:///nowhere/second.sock\n"
	second := repository(t, files)
	var book logbook
	env, change := onLab(t, "builder: "+lab.For(t).Address()+"\n", &book)
	delete(env, "BUILDKIT_HOST")
	r := start(t, t.TempDir(), env, change)
	r.up(first, false)
	r.up(second, true)
	r.builder("unix:///nowhere/second.sock")
	for _, step := range []struct {
		dir    string
		revoke bool
		want   string
	}{
		{first, false, "unix:///nowhere/first.sock"}, {first, true, "unix:///nowhere/second.sock"}, {second, true, lab.For(t).Address()},
	} {
		if _, err := r.Allow(t.Context(), api.AllowRequest{Dir: step.dir, Revoke: step.revoke}); err != nil {
			t.Fatal(err)
		}
		r.builder(step.want)
	}
}

// builder waits until the builder at address was tried or is connected.
func (r *running) builder(address string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	var last api.Builder
	err := r.Watch(ctx, func(s api.Status) error {
		if last = s.Builder; last.Connected && last.Address == address || strings.Contains(last.Problem, address) {
			return io.EOF
		}
		return nil
	})
	if err == nil || ctx.Err() != nil {
		r.t.Fatalf("waited for builder %s: %v; it is %+v", address, err, last)
	}
}
