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

// besides has a daemon, and folders that other clients build on the same builder.
type besides struct {
	*running
	t       *testing.T
	address string            // of the builder
	nonce   string            // text that no other test has in its Dockerfiles
	home    string            // of the daemon
	dirs    map[string]string // folders, by name
}

// newBesides makes a folder for each of files, by name, with that text as its Dockerfile, in
// which NONCE stands for the nonce. Each folder is built once, and watched unless it is named
// in unwatched.
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

// walk returns a client that builds the folder of that name.
func (b *besides) walk(name string) walk {
	b.t.Helper()
	return walk{t: b.t, dir: b.dirs[name], builder: dial(b.t, b.address)}
}

// anew begins to build a folder without the cache, and returns when its RUN that sleeps has
// begun. The goroutine that builds ends with a send to ended.
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
		b.t.Fatalf("the build of %s ended (%v) before its RUN that sleeps began", name, err)
	}
	return ended
}

// now returns what is predicted for a folder's build, in one line: a word for each step, as
// "hit", or "anew" if it is unknown because of a build without the cache.
func (b *besides) now(name string) string {
	b.t.Helper()
	got := runAnew.ReplaceAllString(outlook(b.ask(api.Query{Dir: b.dirs[name]})), "run-anew")
	return strings.ReplaceAll(strings.ReplaceAll(got, "unknown: run-anew", "anew"), "\n", " ")
}

// unlisted is what is told of a step while it is not known what the builder holds.
const unlisted = "unknown: liveness: the builder may have dropped the result"

// becomes waits until the prediction for a folder is want. Until then all of it must be
// unknown: anything else fails the test, and so does the end of the build beside. For a
// moment another reason may be told than that build: one that ended may be entered just
// between the builder's list and the prediction.
func (b *besides) becomes(name, want string, ended chan error) {
	b.t.Helper()
	for {
		got := b.now(name)
		if got == want {
			return
		}
		if strings.Trim(strings.ReplaceAll(got, unlisted, "anew"), "anew ") != "" {
			b.t.Errorf("predicted for %s: %q, want %q, or all unknown until then", name, got, want)
			return
		}
		select {
		case err := <-ended:
			b.t.Fatalf("the build beside ended (%v) while the prediction for %s was %q, want %q", err, name, got, want)
		default:
		}
	}
}

// hits builds a folder, and checks that none of its steps runs.
func (b *besides) hits(name string) {
	b.t.Helper()
	w := b.walk(name)
	for step, executed := range w.build() {
		if executed && !strings.Contains(step, "1/") {
			b.t.Errorf("build of %s: %s ran, want a hit", name, step)
		}
	}
}

// stillRuns checks that a build has not ended, so that everything before happened beside it.
func (b *besides) stillRuns(ended chan error) {
	b.t.Helper()
	select {
	case err := <-ended:
		b.t.Fatalf("the build ended (%v) too early: not everything happened beside it", err)
	default:
	}
}

// wait waits for the end of a build, which must succeed.
func (b *besides) wait(ended chan error) {
	b.t.Helper()
	if err := <-ended; err != nil {
		b.t.Fatal(err)
	}
}

// TestPredictBesideNoCache checks that while another client builds without the cache, only
// steps that may be the same as one of its steps are unknown, whichever version of the
// frontend reads its Dockerfile, and that all others hit.
func TestPredictBesideNoCache(t *testing.T) {
	t.Parallel() // its steps sleep
	b := newBesides(t, map[string]string{
		"anew":  "# syntax=docker/dockerfile:1\nFROM node:20\nWORKDIR /app\nCOPY src /src\nRUN echo NONCE && sleep 20\nRUN echo last NONCE\n",
		"same":  "FROM node:20\nWORKDIR /app\nCOPY src /src\nRUN echo NONCE && sleep 20\nRUN echo last NONCE\n",
		"apart": "FROM node:20\nWORKDIR /app\nCOPY src /other\nRUN echo apart NONCE\n",
		// The stage made has the same operations, written in another way.
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

// TestPredictBesideOther checks that the steps of a build without the cache stay unknown
// after its end, until a build has ended that ran together with it: that one may hold its
// operations. A daemon that starts meanwhile must know that, too.
func TestPredictBesideOther(t *testing.T) {
	t.Parallel() // its steps sleep
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
	b.becomes("app", "anew anew", joined) // known from the builder's history
	b.becomes("apart", "hit hit", joined)
	w := b.walk("app")
	if ran := w.build(); !ran["[stage-1 1/1]"] {
		t.Errorf("what was not promised to hit did: %v", ran)
	}
	b.wait(joined)
	b.becomes("app", "hit hit", nil)
}

// TestPredictBesideLate checks that nothing is predicted beside a build without the cache
// whose Dockerfile is not read yet, and that what it goes on with later is noticed.
func TestPredictBesideLate(t *testing.T) {
	t.Parallel() // its steps sleep
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

// gradually makes one build without the cache of several folders, each when its name comes,
// until the name is "".
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

// TestPredictBesideBake checks predictions beside two builds without the cache that one call of
// bake makes at once, of two targets that share a folder.
func TestPredictBesideBake(t *testing.T) {
	t.Parallel() // its steps sleep
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
