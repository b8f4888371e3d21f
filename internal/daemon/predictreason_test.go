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

// outlook returns a line for each predicted step: its outcome and, if that is unknown, why.
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

// TestPredictDownload: nobody knows what a URL gives before a build asks for it, so the
// outcome of an ADD is unknown for that reason, and not because a build was missed.
func TestPredictDownload(t *testing.T) {
	r := startOn(t, lab.For(t).Address())
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

// TestPredictAboveDownload: a build that was seen tells all that can lead to what it made of a
// download but the download itself. So a change above the ADD is a miss of all from there on,
// also after the daemon was off.
func TestPredictAboveDownload(t *testing.T) {
	r, other := startOwn(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "one") }))
	defer server.Close()
	nonce := strings.ToLower(rand.Text())
	w := &walk{t: t, dir: t.TempDir(), daemon: r, builder: other, nonce: nonce}
	w.write("Dockerfile", "FROM busybox\nCOPY src /"+nonce+"\nADD "+server.URL+"/"+nonce+" /file\nRUN echo "+nonce+"\n")
	w.write("src/a", nonce)
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: w.dir}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", "miss miss miss", "hit unknown unknown", "miss miss miss", "miss miss miss"} {
		if i == 1 || i == 3 || i == 4 {
			waitForClock(t)
			w.write("src/a", fmt.Sprint(nonce, i))
		}
		if i == 4 {
			r.stop(false)
			r.start()
		}
		if got := outcomes(w.resolvedImages()); want != "" && got != want {
			t.Errorf("before build %d, predicted %s, want %s", i, got, want)
		}
		ran := w.build()
		for step, place := range []string{"[2/4]", "[3/4]", "[4/4]"} {
			if missed := want != "hit unknown unknown"; ran[place] != missed {
				t.Errorf("build %d: step %d ran: %t, want %t", i, step, ran[place], missed)
			}
		}
		w.seen(fmt.Sprint("build ", i))
	}
}

// resolvedImages is resolved for a definition of which a download never is.
func (w *walk) resolvedImages() (p api.Prediction) {
	w.t.Helper()
	for range 3 {
		if p = w.predict(); p.Steps[0].Outcome != "unknown" {
			break
		}
	}
	return p
}

// recorded waits until the daemon has recorded the last build of another client.
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

// TestPredictWithheld: without the user's consent, an image is not looked up if its name has
// the value of a build arg. The prediction says so, and how to give consent.
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

// TestPredictRunAnew: BuildKit has a build that needs a step wait for another one that runs
// the step without cache, even if there is a result. So as long as that runs, no hit is
// predicted.
func TestPredictRunAnew(t *testing.T) {
	own := lab.Own(t)
	r := startOn(t, own.Address())
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	write(t, filepath.Join(dir, "Dockerfile"), "FROM node:20\nCOPY src /"+nonce+"/\nRUN echo "+nonce+" && sleep 8\n")
	write(t, filepath.Join(dir, "src", "a"), nonce)
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	first := walk{t: t, dir: dir, builder: dial(t, own.Address())}
	first.build()
	query := api.Query{Dir: dir, Names: []string{r.recorded(dir, &first).Definitions[0].Name}}
	if got := outlook(r.ask(query)); got != "hit\nhit" {
		t.Fatalf("as built, predicted:\n%s", got)
	}
	begun, ended := make(chan struct{}), make(chan error, 1)
	uncached := walk{t: t, dir: dir, builder: dial(t, own.Address()), begun: begun}
	go func() {
		_, err := uncached.try(client.SolveOpt{FrontendAttrs: map[string]string{"no-cache": ""}})
		ended <- err
	}()
	for outlook(r.ask(query)) == "hit\nhit" {
		select {
		case err := <-ended:
			t.Fatalf("the build without cache has ended (%v), and hits were predicted all the time", err)
		default:
		}
	}
	if got := outlook(r.ask(query)); !strings.HasPrefix(got, "unknown: run-anew: ") || strings.Count(got, "run-anew") != 2 {
		t.Errorf("during the build without cache, predicted:\n%s\nwant run-anew for both steps", got)
	}
	third := walk{t: t, dir: dir, builder: dial(t, own.Address())}
	select {
	case <-begun:
	case err := <-ended:
		t.Fatalf("the build without cache has ended (%v), and its RUN did not begin", err)
	}
	if !third.build()["[3/3]"] {
		t.Error("a build during the one without cache reused a result, want that it waits for the RUN")
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	r.wait(dir, "all builds", func(repo api.Repository) bool { return repo.Definitions[0].Builds == 3 }) // two end together
	r.predicts(dir, "after the build without cache", "hit hit")
}

// runAnew matches the reason run-anew in an outlook, with its text.
var runAnew = regexp.MustCompile("run-anew: .*")

// TestPredictBesideVerification: a verification builds without cache, and it is known which
// steps it runs. While it does, steps of other repositories are predicted to hit unless they
// need one of those.
func TestPredictBesideVerification(t *testing.T) {
	own := lab.Own(t)
	r := startOn(t, own.Address())
	nonce := strings.ToLower(rand.Text())
	verified := "FROM node:20\nWORKDIR /app\nRUN echo " + nonce + "\nRUN echo last " + nonce + " && sleep 8\n"
	repos := map[string]string{} // directories by name
	for name, text := range map[string]string{
		"verified": verified,
		"apart":    "FROM node:20\nWORKDIR /app\nCOPY src /src\nRUN echo apart " + nonce + "\n",
		// A stage begins as the build that is verified, and a step copies from it.
		"alike": "FROM node:20 AS made\nWORKDIR /app\nRUN echo " + nonce + "\nFROM node:20\nRUN echo alike " + nonce + "\nCOPY --from=made /app /made\n",
	} {
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
	ended := r.beginVerification(repos["verified"], verified, "# "+nonce+"\n"+verified)
	for name, want := range map[string]string{
		"verified": "hit\nunknown: run-anew\nunknown: run-anew", // WORKDIR uses the cache even there
		"apart":    "hit\nhit\nhit",
		"alike":    "hit\nunknown: run-anew\nhit\nunknown: run-anew",
	} {
		got := runAnew.ReplaceAllString(outlook(r.ask(api.Query{Dir: repos[name]})), "run-anew")
		if got != want {
			t.Errorf("%s, predicted:\n%s\nwant:\n%s", name, got, want)
		}
	}
	other := walk{t: t, dir: repos["apart"], builder: dial(t, own.Address())}
	for step, executed := range other.build() {
		if executed && step != "[1/4]" {
			t.Errorf("during the verification, a build of another repository ran %s", step)
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("the verification has ended (%v) too early for this test", err)
	default:
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// beginVerification has the daemon verify a change of dir's Dockerfile, and returns once it
// builds. The channel receives its error at the end.
func (r *running) beginVerification(dir, before, after string) <-chan error {
	r.t.Helper()
	builds, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		told := false
		ended <- r.Verify(r.t.Context(), api.VerifyRequest{
			Query:      api.Query{Dir: dir},
			Candidates: [][]api.FileChange{{{Path: "Dockerfile", Old: []byte(before), New: []byte(after)}}},
		}, func(e api.VerifyEvent) {
			if e.State == api.VerifyBuild && !told {
				told = true
				close(builds)
			}
		})
	}()
	select {
	case <-builds:
	case err := <-ended:
		r.t.Fatalf("the verification ended before it built: %v", err)
	}
	return ended
}

// TestPredictAbsent: if a path that a step takes is missing or ignored, the prediction says that
// the build fails at this step, and nothing of steps that do not depend on it changes. A
// wildcard that matches nothing, beside a path that does, fails no build.
func TestPredictAbsent(t *testing.T) {
	r := startOn(t, lab.For(t).Address())
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
		t.Errorf("predicted:\n%s\nwant:\n%s", got, want)
	}
	if err := build(t, dir, "", nil); err == nil || !strings.Contains(err.Error(), `"/src/b": not found`) {
		t.Errorf("the build ended with %v, want that src/b is not found", err)
	}
}

// TestPredictExternalFrontend: an image that reads the Dockerfile may read it in another way, so
// of its steps nothing is promised.
func TestPredictExternalFrontend(t *testing.T) {
	r := startOn(t, lab.For(t).Address())
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	for _, tt := range []struct{ syntax, want string }{
		{"", "miss"},
		{"# syntax=docker/dockerfile:1\n", "unknown: external-frontend: "},
		{"# syntax=stokertest/frontend:1\n", "unknown: external-frontend: "},
	} {
		write(t, filepath.Join(dir, "Dockerfile"), tt.syntax+"FROM busybox\nRUN echo "+nonce+"\n")
		if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		if got := outlook(r.foretold(api.Query{Dir: dir})); !strings.HasPrefix(got, tt.want) {
			t.Errorf("with %q, predicted:\n%s\nwant %s", tt.syntax, got, tt.want)
		}
	}
}
