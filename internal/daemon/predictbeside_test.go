package daemon_test

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// A besides is a daemon and others who build on the same builder without the cache.
type besides struct {
	*running
	t       *testing.T
	address string
	nonce   string
	home    string // of the daemon
	dirs    map[string]string
}

// newBesides writes Dockerfiles, in which NONCE stands for what no other test has, each
// into a folder of its own, which is built once and, but for those named in unwatched,
// watched.
func newBesides(t *testing.T, files map[string]string, unwatched ...string) *besides {
	t.Helper()
	b := &besides{t: t, address: lab.Own(t).Address(), nonce: strings.ToLower(rand.Text()), home: t.TempDir(), dirs: map[string]string{}}
	b.running = start(t, b.home, map[string]string{"BUILDKIT_HOST": b.address})
	b.connected()
	for name, text := range files {
		dir := lab.Dir(t)
		b.dirs[name] = dir
		write(t, filepath.Join(dir, "Dockerfile"), strings.ReplaceAll(text, "NONCE", b.nonce))
		write(t, filepath.Join(dir, "src", "a"), b.nonce)
		watched := true
		for _, other := range unwatched {
			watched = watched && name != other
		}
		if watched {
			if _, err := b.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
				t.Fatal(err)
			}
		}
		other := b.walk(name)
		other.build()
		if watched {
			b.recorded(dir, &other)
		}
	}
	return b
}

func (b *besides) walk(name string) walk {
	b.t.Helper()
	return walk{t: b.t, dir: b.dirs[name], builder: dial(b.t, b.address)}
}

// anew builds without the cache, and returns once its RUN that sleeps has begun. What it
// returns tells when it has ended.
func (b *besides) anew(name string, attrs map[string]string) (ended chan error) {
	b.t.Helper()
	begun, ended := make(chan struct{}), make(chan error, 1)
	w := b.walk(name)
	w.begun = begun
	all := map[string]string{"no-cache": ""}
	maps.Copy(all, attrs)
	go func() {
		_, err := w.try(client.SolveOpt{FrontendAttrs: all})
		ended <- err
	}()
	select {
	case <-begun:
	case err := <-ended:
		b.t.Fatalf("%s ran to its end (%v), and its RUN did not begin", name, err)
	}
	return ended
}

// now is what is predicted of a folder's build, in one line.
func (b *besides) now(name string) string {
	b.t.Helper()
	got := runAnew.ReplaceAllString(outlook(b.ask(api.Query{Dir: b.dirs[name]})), "run-anew")
	return strings.ReplaceAll(strings.ReplaceAll(got, "unknown: run-anew", "anew"), "\n", " ")
}

// becomes waits for a prediction, until somebody's build has ended. It is whatever is
// predicted in between that must not be wrong: nothing else than want and what is not known.
func (b *besides) becomes(name, want string, ended chan error) {
	b.t.Helper()
	for {
		got := b.now(name)
		if got == want {
			return
		}
		if strings.Trim(got, "anew ") != "" {
			b.t.Errorf("%s is predicted to %s, want %s", name, got, want)
			return
		}
		select {
		case err := <-ended:
			b.t.Fatalf("the build ran to its end (%v), and %s was predicted to %s", err, name, got)
		default:
		}
	}
}

// hits has a folder built, and holds that nothing runs.
func (b *besides) hits(name string) {
	b.t.Helper()
	w := b.walk(name)
	for step, executed := range w.build() {
		if executed && !strings.Contains(step, "1/") {
			b.t.Errorf("%s was built, and %s ran", name, step)
		}
	}
}

// stillRuns holds that a build has not ended, so that what was tried was tried beside it.
func (b *besides) stillRuns(ended chan error) {
	b.t.Helper()
	select {
	case err := <-ended:
		b.t.Fatalf("the build has ended (%v), and not everything was tried beside it", err)
	default:
	}
}

func (b *besides) wait(ended chan error) {
	b.t.Helper()
	if err := <-ended; err != nil {
		b.t.Fatal(err)
	}
}

// TestPredictBesideNoCache: what another client's build without cache runs is known by
// what the builder tells of it, whichever version of the frontend reads its Dockerfile.
// What does not need that hits meanwhile.
func TestPredictBesideNoCache(t *testing.T) {
	b := newBesides(t, map[string]string{
		"anew":  "# syntax=docker/dockerfile:1\nFROM node:20\nWORKDIR /app\nCOPY src /src\nRUN echo NONCE && sleep 20\nRUN echo last NONCE\n",
		"same":  "FROM node:20\nWORKDIR /app\nCOPY src /src\nRUN echo NONCE && sleep 20\nRUN echo last NONCE\n",
		"apart": "FROM node:20\nWORKDIR /app\nCOPY src /other\nRUN echo apart NONCE\n",
		// What it begins with is the same, written in another way.
		"alike": "FROM node:20 AS made\nWORKDIR /\nWORKDIR app\nCOPY [\"./src/\", \"/src\"]\nRUN [\"/bin/sh\", \"-c\", \"echo NONCE && sleep 20\"]\n" +
			"FROM node:20\nRUN echo alike NONCE\nCOPY --from=made /app /made\n",
	}, "anew")
	for name, want := range map[string]string{"same": "hit hit hit hit", "apart": "hit hit hit", "alike": "hit hit hit hit hit"} {
		b.becomes(name, want, nil)
	}
	ended := b.anew("anew", nil)
	b.becomes("apart", "hit hit hit", ended)
	b.becomes("same", "hit anew anew anew", ended)
	b.becomes("alike", "hit anew anew hit anew", ended)
	b.hits("apart")
	b.stillRuns(ended)
	w := b.walk("alike")
	if ran := w.build(); !ran["[4/5]"] || ran["[stage-1 2/3]"] {
		t.Errorf("beside it, what is alike did not wait for its RUN alone: %v", ran)
	}
	b.wait(ended)
	b.becomes("apart", "hit hit hit", nil)
	b.becomes("same", "hit hit hit hit", nil)
}

// TestPredictBesideOther: who builds beside a build without cache may keep what that
// made, and what others make of that is found by no key until all those have ended.
func TestPredictBesideOther(t *testing.T) {
	b := newBesides(t, map[string]string{
		"app":   "FROM node:20 AS deps\nRUN echo NONCE && sleep 5\nFROM deps\nRUN echo last NONCE && sleep 30\n",
		"apart": "FROM node:20\nWORKDIR /app\nRUN echo apart NONCE\n",
	})
	b.becomes("app", "hit hit", nil)
	first := b.anew("app", map[string]string{"target": "deps"})
	joined := make(chan error, 1)
	go func() {
		w := b.walk("app")
		_, err := w.try(client.SolveOpt{})
		joined <- err
	}()
	b.wait(first)
	b.becomes("app", "anew anew", joined)
	b.becomes("apart", "hit hit", joined)
	b.end()
	b.running = start(t, b.home, map[string]string{"BUILDKIT_HOST": b.address})
	b.connected()
	b.becomes("app", "anew anew", joined) // a daemon that was not there knows, too
	b.becomes("apart", "hit hit", joined)
	w := b.walk("app")
	if ran := w.build(); !ran["[stage-1 1/1]"] {
		t.Errorf("what was not promised to hit did: %v", ran)
	}
	b.wait(joined)
	b.becomes("app", "hit hit", nil)
}

// TestPredictBesideLate: what a build without cache runs is not known before its
// Dockerfile is read, nor what it goes on with before that comes.
func TestPredictBesideLate(t *testing.T) {
	b := newBesides(t, map[string]string{
		"first":  "FROM node:20\nRUN echo first NONCE\n",
		"second": "FROM node:20\nRUN echo second NONCE && sleep 15\n",
		"apart":  "FROM node:20\nRUN echo apart NONCE\n",
	})
	for name := range b.dirs {
		b.becomes(name, "hit", nil)
	}
	next, ended := make(chan string), make(chan error, 1)
	t.Cleanup(func() { close(next) })
	go func() { ended <- b.gradually(next) }()
	for b.now("apart") != "anew" { // it has begun
		b.stillRuns(ended)
	}
	for range 3 {
		if got := b.now("apart"); got != "anew" {
			t.Errorf("beside a build of which nothing is known, predicted: %s", got)
		}
	}
	next <- "first"
	b.becomes("apart", "hit", ended)
	b.becomes("first", "anew", ended)
	next <- "second"
	for b.now("second") != "anew" {
		b.stillRuns(ended)
	}
	b.becomes("apart", "hit", ended)
	b.hits("apart")
	b.stillRuns(ended)
	next <- ""
	b.wait(ended)
	for name := range b.dirs {
		b.becomes(name, "hit", nil)
	}
}

// gradually is one build of several folders, without cache, each once its name comes. It
// ends with one of no name.
func (b *besides) gradually(next <-chan string) error {
	mounts := map[string]fsutil.FS{}
	for name, dir := range b.dirs {
		fs, err := fsutil.NewFS(dir)
		if err != nil {
			return err
		}
		mounts[name] = fs
	}
	opt := client.SolveOpt{FrontendAttrs: map[string]string{"no-cache": ""}, LocalMounts: mounts}
	status := make(chan *client.SolveStatus)
	go func() {
		for range status { // nobody else reads it
		}
	}()
	_, err := dial(b.t, b.address).Build(b.t.Context(), opt, "", func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
		var last *gateway.Result
		for name := range next {
			if name == "" {
				return last, nil
			}
			res, err := c.Solve(ctx, gateway.SolveRequest{Frontend: "dockerfile.v0", Evaluate: name == "first", FrontendOpt: map[string]string{
				"no-cache": "", "contextkey": name, "dockerfilekey": name,
			}})
			if err != nil {
				return nil, err
			}
			if last = res; name != "first" {
				go func() { _ = res.Ref.Evaluate(ctx) }() // it is asked for again in the end
			}
		}
		return nil, errors.New("nothing more")
	}, status)
	return err
}

// TestPredictBesideBake: one call builds two targets of one folder without cache, at once.
func TestPredictBesideBake(t *testing.T) {
	b := newBesides(t, map[string]string{
		"bake": "FROM node:20 AS one\nCOPY src /src\nRUN echo one NONCE && sleep 20\nFROM node:20 AS two\nCOPY src /src\nRUN echo two NONCE && sleep 20\n" +
			"FROM one\nCOPY --from=two /src /twice\n",
		"one":   "FROM node:20\nCOPY src /src\nRUN echo one NONCE && sleep 20\n",
		"two":   "FROM node:20\nCOPY src /src\nRUN echo two NONCE && sleep 20\n",
		"apart": "FROM node:20\nCOPY src /apart\nRUN echo apart NONCE\n",
	})
	for _, name := range []string{"one", "two", "apart"} {
		b.becomes(name, "hit hit", nil)
	}
	x := newBuildx(t, t.TempDir(), b.address)
	file := filepath.Join(b.dirs["bake"], "docker-bake.hcl")
	write(t, file, "group \"default\" { targets = [\"one\", \"two\"] }\ntarget \"one\" { target = \"one\" }\ntarget \"two\" { target = \"two\" }\n")
	ended := make(chan error, 1)
	go func() {
		said, err := x.runIn(b.dirs["bake"], "bake", "--no-cache", "--progress", "plain")
		if err != nil {
			err = errors.New(string(said))
		}
		ended <- err
	}()
	for b.now("apart") == "hit hit" {
		b.stillRuns(ended)
	}
	b.becomes("apart", "hit hit", ended)
	b.becomes("one", "anew anew", ended)
	b.becomes("two", "anew anew", ended)
	b.hits("apart")
	b.stillRuns(ended)
	b.wait(ended)
	for _, name := range []string{"one", "two", "apart"} {
		b.becomes(name, "hit hit", nil)
	}
}
