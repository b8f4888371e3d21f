package daemon_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// outlook writes what is predicted of the next build of a definition.
func outlook(steps []api.StepPrediction) string {
	var list []string
	for _, s := range steps {
		word := s.Outcome
		if s.Outcome == "unknown" {
			word += ": " + s.Cause.Kind + ": " + s.Cause.Text
		}
		list = append(list, word)
	}
	return strings.Join(list, "\n")
}

// TestPredictDownload: what an address gives now is not known before a build asks it,
// and that is what is said, not that a build was missed.
func TestPredictDownload(t *testing.T) {
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": lab.For(t).Address()})
	r.connected()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "one") }))
	defer server.Close()
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	write(t, filepath.Join(dir, "Dockerfile"), "FROM node:20\nWORKDIR /"+nonce+"\nADD "+server.URL+"/"+nonce+" /file\nRUN echo "+nonce+"\n")
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	other := walk{t: t, dir: dir, builder: dial(t, lab.For(t).Address())}
	other.build()
	repo := r.recorded(dir, &other)
	const want = "hit\nunknown: unresolved: it is not known what an image's tag or an address stands for\n" +
		"unknown: unresolved: it is not known what an image's tag or an address stands for"
	if got := outlook(r.foretold(api.Query{Dir: dir, Names: []string{repo.Definitions[0].Name}})); got != want {
		t.Errorf("predicted:\n%s", got)
	}
}

// recorded waits for the last build of another client.
func (r *running) recorded(dir string, other *walk) api.Repository {
	r.t.Helper()
	return r.wait(dir, "the build", func(repo api.Repository) bool {
		for _, d := range repo.Definitions {
			if d.Last != nil && d.Last.Ref == other.last {
				return true
			}
		}
		return false
	})
}

// TestPredictWithheld: an image whose name build args are part of is not looked up in
// a repository that is not allowed, and it is said what mends that.
func TestPredictWithheld(t *testing.T) {
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	r := start(t, t.TempDir(), env, change)
	r.connected()
	nonce := strings.ToLower(rand.Text())
	root := repository(t, map[string]string{
		"Dockerfile": "ARG BASE=node:20\nFROM ${BASE} AS a\nRUN echo " + nonce + "\nFROM busybox\nRUN echo " + nonce + "\nCOPY --from=a /etc /" + nonce + "\n",
	})
	r.up(root, false)
	other := walk{t: t, dir: root, builder: dial(t, lab.For(t).Address())}
	other.build()
	name := r.recorded(root, &other).Definitions[0].Name
	const want = "unknown: unresolved: an image is not looked up until you run: stoker allow\nhit\n" +
		"unknown: unresolved: an image is not looked up until you run: stoker allow"
	if got := outlook(r.foretold(api.Query{Dir: root, Names: []string{name}})); got != want {
		t.Errorf("predicted:\n%s", got)
	}
	if _, err := r.Allow(t.Context(), api.AllowRequest{Dir: root}); err != nil {
		t.Fatal(err)
	}
	if got := outlook(r.foretold(api.Query{Dir: root, Names: []string{name}})); got != "hit\nhit\nhit" {
		t.Errorf("once it is allowed, predicted:\n%s", got)
	}
}

// TestPredictRunAnew: while a build ignores the cache, one that needs what it runs waits
// for that, whatever the builder lists. Nothing is promised to hit until it ends.
func TestPredictRunAnew(t *testing.T) {
	own := lab.Own(t)
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": own.Address()})
	r.connected()
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	write(t, filepath.Join(dir, "Dockerfile"), "FROM node:20\nCOPY src /"+nonce+"/\nRUN echo "+nonce+" && sleep 8\n")
	write(t, filepath.Join(dir, "src", "a"), nonce)
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	other := walk{t: t, dir: dir, builder: dial(t, own.Address())}
	other.build()
	name := r.recorded(dir, &other).Definitions[0].Name
	if got := outlook(r.ask(api.Query{Dir: dir, Names: []string{name}})); got != "hit\nhit" {
		t.Fatalf("as built, predicted:\n%s", got)
	}
	begun, running := make(chan struct{}), make(chan error, 1)
	anew := walk{t: t, dir: dir, builder: dial(t, own.Address()), begun: begun}
	go func() {
		_, err := anew.try(client.SolveOpt{FrontendAttrs: map[string]string{"no-cache": ""}})
		running <- err
	}()
	for outlook(r.ask(api.Query{Dir: dir, Names: []string{name}})) == "hit\nhit" {
		select {
		case err := <-running:
			t.Fatalf("the build ran to its end (%v), and nothing else was predicted meanwhile", err)
		default:
		}
	}
	if got := outlook(r.ask(api.Query{Dir: dir, Names: []string{name}})); !strings.HasPrefix(got, "unknown: run-anew: ") || strings.Count(got, "run-anew") != 2 {
		t.Errorf("while it runs, predicted:\n%s", got)
	}
	third := walk{t: t, dir: dir, builder: dial(t, own.Address())}
	select {
	case <-begun:
	case err := <-running:
		t.Fatalf("the build ran to its end (%v), and its RUN did not begin", err)
	}
	if !third.build()["[3/3]"] {
		t.Error("a build meanwhile did not wait for the run")
	}
	if err := <-running; err != nil {
		t.Fatal(err)
	}
	r.wait(dir, "all builds", func(repo api.Repository) bool { return repo.Definitions[0].Builds == 3 }) // two end at once
	r.predicts(dir, "once it has ended", "hit hit")
}

var runAnew = regexp.MustCompile("run-anew: .*")

// TestPredictBesideVerification: a verification runs without cache, and what it runs is
// known. What does not need that hits meanwhile, in another repository, too.
func TestPredictBesideVerification(t *testing.T) {
	own := lab.Own(t)
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": own.Address()})
	r.connected()
	nonce := strings.ToLower(rand.Text())
	repos := map[string]string{
		"verified": "FROM node:20\nWORKDIR /app\nRUN echo " + nonce + "\nRUN echo last " + nonce + " && sleep 8\n",
		"apart":    "FROM node:20\nWORKDIR /app\nCOPY src /src\nRUN echo apart " + nonce + "\n",
		// It begins as the one that is verified, and what is made of that is needed again.
		"alike": "FROM node:20 AS made\nWORKDIR /app\nRUN echo " + nonce + "\nFROM node:20\nRUN echo alike " + nonce + "\nCOPY --from=made /app /made\n",
	}
	for name, text := range repos {
		dir := lab.Dir(t)
		repos[name] = dir
		write(t, filepath.Join(dir, "Dockerfile"), text)
		write(t, filepath.Join(dir, "src", "a"), nonce)
		if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		other := walk{t: t, dir: dir, builder: dial(t, own.Address())}
		other.build()
		r.recorded(dir, &other)
	}
	r.predicts(repos["apart"], "before", "hit hit hit")
	r.predicts(repos["alike"], "before", "hit hit hit hit")
	text := "FROM node:20\nWORKDIR /app\nRUN echo " + nonce + "\nRUN echo last " + nonce + " && sleep 8\n"
	begun, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		began := false
		ended <- r.Verify(t.Context(), api.VerifyRequest{
			Query:      api.Query{Dir: repos["verified"]},
			Candidates: [][]api.FileChange{{{Path: "Dockerfile", Old: []byte(text), New: []byte("# " + nonce + "\n" + text)}}},
		}, func(e api.VerifyEvent) {
			if e.State == api.VerifyBuild && !began {
				began = true
				close(begun)
			}
		})
	}()
	select {
	case <-begun:
	case err := <-ended:
		t.Fatalf("the verification ended before it built: %v", err)
	}
	for name, want := range map[string]string{
		"verified": "unknown: run-anew\nunknown: run-anew", "apart": "hit\nhit\nhit", "alike": "hit\nunknown: run-anew\nhit\nunknown: run-anew",
	} {
		got := outlook(r.ask(api.Query{Dir: repos[name]}))
		if name == "verified" { // its WORKDIR asks the cache
			want = "hit\n" + want
		}
		if got = runAnew.ReplaceAllString(got, "run-anew"); got != want {
			t.Errorf("%s, predicted:\n%s\nwant:\n%s", name, got, want)
		}
	}
	other := walk{t: t, dir: repos["apart"], builder: dial(t, own.Address())}
	for step, executed := range other.build() {
		if executed && step != "[1/4]" {
			t.Errorf("beside the verification %s ran", step)
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("the verification has ended (%v), and nothing was tried beside it", err)
	default:
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// TestPredictAbsent: of a path that is missing, or ignored, it is said that the build fails
// on it, at which step, and nothing of steps apart from it changes. A wildcard that matches
// nothing beside one that does fails no build.
func TestPredictAbsent(t *testing.T) {
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": lab.For(t).Address()})
	r.connected()
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	write(t, filepath.Join(dir, "Dockerfile"), "FROM busybox AS other\nCOPY src /"+nonce+"\nFROM busybox\nCOPY src/a nothing* /a"+nonce+"/\nCOPY src/b /b"+nonce+"\nRUN echo "+nonce+
		"\nCOPY --from=other /"+nonce+" /o"+nonce+"\n")
	write(t, filepath.Join(dir, "src", "a"), nonce)
	write(t, filepath.Join(dir, "src", "b"), nonce)
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	other := walk{t: t, dir: dir, builder: dial(t, lab.For(t).Address())}
	other.build()
	name := r.recorded(dir, &other).Definitions[0].Name
	write(t, filepath.Join(dir, ".dockerignore"), "src/b\n")
	const before = "unknown: absent: the build fails before it: another step takes a path that is not in its context"
	const want = "miss\nhit\nunknown: absent: the build fails when it comes to this step: a path that it takes is not in its context\n" + before + "\n" + before
	if got := outlook(r.foretold(api.Query{Dir: dir, Names: []string{name}})); got != want {
		t.Errorf("predicted:\n%s", got)
	}
	if err := build(t, dir, "", nil); err == nil || !strings.Contains(err.Error(), `"/src/b": not found`) {
		t.Errorf("the build ended with %v", err)
	}
}
