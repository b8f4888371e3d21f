package daemon_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// startOwn starts a builder that no other test uses and a daemon on it, and returns the
// daemon and another client of the builder.
func startOwn(t *testing.T) (*process, *client.Client) {
	t.Helper()
	address := lab.Own(t).Address()
	return startProcess(t, address), dial(t, address)
}

// dial returns a client of a builder, which is closed when the test ends.
func dial(t *testing.T, address string) *client.Client {
	t.Helper()
	c, err := client.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A walk is a random sequence of changes to a repository and builds of it, drawn from a seed.
// Before each build the daemon predicts it; afterwards the two are compared.
type walk struct {
	*mathrand.Rand
	t          *testing.T
	seed       uint64
	dir, nonce string
	dockerfile string
	daemon     *process
	builder    *client.Client
	buildx     *buildx                   // builds in place of the plain client, if there is one
	engine     func(testing.TB) *lab.Lab // starts the Docker Engine that is the builder, if it is one
	last       string                    // the ref of the last build
	missed     bool                      // there was a build that the daemon may not have seen
	blind      bool                      // some changes are such that the builder does not see them
	imports    bool                      // some builds import caches from registry
	registry   string                    // a registry for caches, if imports
	kept       []string                  // the caches that it has of this walk
	begun      chan struct{}             // closed when a RUN that sleeps has begun, if it is not nil
	trail      []string                  // what was done, in a form for reading after a failure
	args       map[string]string         // the build args that the definition declares
	causes     *excuses                  // what may make outcomes unknown

	steps   int // steps that were predicted
	unknown int // of these, unknown ones without an excuse
}

// step makes build n: it changes the repository, predicts the build, makes it and compares the
// two. In between it may do what also happens to people: see disturb.
func (w *walk) step(n int) {
	w.t.Helper()
	defer func() {
		if w.t.Failed() {
			w.t.Logf("seed %d, what was done:\n%s", w.seed, strings.Join(w.trail, "\n"))
		}
	}()
	what := "start"
	if n > 0 {
		what = w.alter()
	}
	event := w.drawEvent()
	what += w.disturb(event)
	predicted := w.resolved()
	w.note("build %d after %s; the builder lists\n%s", n, what, w.listed())
	var killed chan struct{}
	if event.kind == killDuring {
		// The moment may be anywhere from before the build begins to after it is recorded.
		killed, w.missed, w.causes.unseen = make(chan struct{}), true, true
		time.AfterFunc(time.Duration(w.IntN(1500))*time.Millisecond, func() { w.daemon.cmd.Process.Kill(); close(killed) })
	}
	ran := w.build()
	w.t.Logf("seed %d, build %d after %s, killed while it runs: %v", w.seed, n, what, killed != nil)
	w.judgeUnknown(predicted, fmt.Sprintf("seed %d, build %d after %s", w.seed, n, what))
	w.causes.moment = excusesOfNow{beside: w.causes.moment.uncached}
	pruned := strings.Contains(what, "prune") // what the builder still has may be unknown
	w.compare(predicted, ran, fmt.Sprintf("seed %d, build %d after %s", w.seed, n, what), pruned)
	if killed != nil {
		<-killed
		w.daemon.stop(true)
		w.daemon.start()
		w.causes.moment.started = true
		return
	}
	w.seen("the build")
	if diff := cmp.Diff(placesOf(predicted.Steps, func(s api.StepPrediction) string { return fmt.Sprint(s.Stage, s.Index, " ", s.Name) }), w.built()); diff != "" {
		w.t.Errorf("seed %d, build %d after %s: the steps that were predicted (-) and built (+):\n%s\n%s", w.seed, n, what, diff, w.dockerfile)
	}
	if w.imports && (n == 0 || w.IntN(3) == 0) {
		w.export()
	}
}

// compare checks the steps that ran against those predicted, and counts them. when begins the
// messages of failures. If excused is true, unknown outcomes do not count.
func (w *walk) compare(predicted api.Prediction, ran map[string]bool, when string, excused bool) {
	w.t.Helper()
	for _, s := range predicted.Steps {
		prefix, _, _ := strings.Cut(s.Name, "] ")
		executed, told := ran[prefix+"]"]
		w.steps++
		switch {
		case s.Outcome == "unknown" && s.Cause.Kind == "stale-stat" && !w.blind && !w.missed:
			w.t.Errorf("%s: %s is told to depend on a change that the builder does not notice, but there was none", when, s.Name)
		case s.Outcome == "unknown":
			if !excused && !w.missed && !w.blind {
				w.unknown++
			}
		case s.Outcome == "hit" && executed, s.Outcome == "miss" && told && !executed:
			var all []string
			for _, s := range predicted.Steps {
				all = append(all, fmt.Sprintf("%s %v: %s", s.Outcome, s.Cause, s.Name))
			}
			w.t.Errorf("%s: %s was predicted to be a %s (%v), and executed: %v\n%s\npredicted was:\n%s", when, s.Name, s.Outcome, s.Cause, executed, w.dockerfile, strings.Join(all, "\n"))
		}
	}
}

// seen waits until the daemon has recorded the last build.
func (w *walk) seen(what string) {
	w.t.Helper()
	w.daemon.wait(w.dir, what, func(repo api.Repository) bool {
		return len(repo.Definitions) == 1 && repo.Definitions[0].Last != nil && repo.Definitions[0].Last.Ref == w.last
	})
}

// built returns the places of the last build's steps, as the daemon recorded them.
func (w *walk) built() []string {
	w.t.Helper()
	why, err := w.daemon.Why(w.t.Context(), api.WhyRequest{Dir: w.dir, Build: w.last})
	if err != nil {
		w.t.Fatal(err)
	}
	return placesOf(why.Steps, func(s api.WhyStep) string { return fmt.Sprint(s.Stage, s.Index, " ", s.Name) })
}

// placesOf returns place of each of steps.
func placesOf[S any](steps []S, place func(S) string) []string {
	var list []string
	for _, s := range steps {
		list = append(list, place(s))
	}
	return list
}

// write writes a file of the repository.
func (w *walk) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// pruneSome removes random results from the builder's cache, as its garbage collection does,
// and returns how many. Of several that are listed alike, some may stay.
func (w *walk) pruneSome() int {
	w.t.Helper()
	// A source of its own, because how much is drawn from it depends on the builder's
	// list: the rest of the walk must follow from the seed alone.
	draw := mathrand.New(mathrand.NewPCG(w.Uint64(), 8))
	w.causes.pruned = true
	usage := w.usage()
	var filters []string
	for _, u := range usage {
		if draw.IntN(4) == 0 {
			filters = append(filters, "id=="+u.ID)
		}
	}
	if len(filters) == 0 {
		return 0
	}
	gone := make(chan client.UsageInfo, len(usage))
	if err := w.builder.Prune(context.WithoutCancel(w.t.Context()), gone, client.WithFilter(filters)); err != nil {
		w.t.Fatal(err)
	}
	n := len(gone)
	for range n {
		u := <-gone
		w.note("pruned %s, %s", u.ID, u.Description)
	}
	return n
}

// predict returns the daemon's prediction for the next build.
func (w *walk) predict() api.Prediction {
	w.t.Helper()
	answer, err := w.daemon.Predict(w.t.Context(), api.PredictRequest{Query: api.Query{Dir: w.dir}})
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.Definitions[0]
}

// resolved is predict, once all base images are known and what the next build is.
func (w *walk) resolved() api.Prediction {
	w.t.Helper()
	for range 10 { // each waits for them, for a while
		p := w.predict()
		if !slices.ContainsFunc(p.Steps, func(s api.StepPrediction) bool { return s.Cause != nil && s.Cause.Kind == "unresolved" }) {
			return p
		}
	}
	w.t.Fatal("a base image was not resolved")
	return api.Prediction{}
}

// build has another client build, and returns which steps that saw run, by their place, such
// as "[build 3/7]". The build must succeed.
func (w *walk) build() map[string]bool { return w.solve(client.SolveOpt{}) }

// solve is build with options.
func (w *walk) solve(opt client.SolveOpt) map[string]bool {
	w.t.Helper()
	ran, err := w.try(opt)
	if err != nil {
		w.t.Fatal(err)
	}
	return ran
}

// fail adds a step that fails to the Dockerfile, builds, and removes the step, perhaps with
// another change. It returns what it did.
func (w *walk) fail() string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "Dockerfile"))
	if err != nil {
		w.t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	at := w.IntN(len(lines))
	for at < len(lines) && !strings.HasPrefix(lines[at], "RUN ") && !strings.HasPrefix(lines[at], "WORKDIR ") {
		at++
	}
	where := "at its end"
	if at < len(lines) {
		where = "before " + strings.TrimSpace(lines[at])
	}
	w.write("Dockerfile", strings.Join(slices.Insert(lines, at, "RUN false\n"), ""))
	w.note("a build that fails %s of\n%s", where, text)
	if _, err := w.try(client.SolveOpt{}); err == nil {
		where += ", in a stage that nothing needs"
	}
	w.seen("the build that failed")
	if now := w.causes.moment; now.started || now.base {
		w.causes.unseen = true // what it did is only known with the images, which may not have been looked up
	}
	w.write("Dockerfile", string(text))
	if w.IntN(2) == 0 {
		return where + ", and " + w.change()
	}
	return where
}

// aside removes some results, builds another state, which makes results that are listed under
// the same names, and takes that state back. It returns what it did.
func (w *walk) aside() string {
	w.t.Helper()
	before, err := os.ReadFile(filepath.Join(w.dir, "src", "a"))
	if err != nil {
		w.t.Fatal(err)
	}
	what := fmt.Sprint("prune of ", w.pruneSome(), " and a build of another state")
	w.write("src/a", fmt.Sprint("aside ", w.IntN(3)))
	w.build()
	w.seen("the build aside")
	w.write("src/a", string(before))
	return what
}

// try is solve for a build that may fail.
func (w *walk) try(opt client.SolveOpt) (map[string]bool, error) {
	w.t.Helper()
	if w.buildx != nil && !opt.Internal { // internal builds stand for stoker's own
		var ran map[string]bool
		_, noCache := opt.FrontendAttrs["no-cache"]
		w.last, ran = w.buildx.build(w.dir, w.args, noCache)
		return ran, nil
	}
	fs, err := fsutil.NewFS(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	status, ran := make(chan *client.SolveStatus), map[string]bool{}
	read := make(chan struct{})
	vertices, unpacked := map[string]string{}, map[string]bool{}
	go func() {
		defer close(read)
		for s := range status {
			sawRun(ran, s)
			for _, v := range s.Vertexes {
				vertices[v.Digest.String()] = v.Name
			}
			for _, status := range s.Statuses {
				if strings.HasPrefix(status.ID, "extracting ") {
					unpacked[status.Vertex.String()] = true
				}
			}
			for _, v := range s.Vertexes {
				if w.begun != nil && v.Started != nil && strings.Contains(v.Name, "sleep") {
					close(w.begun)
					w.begun = nil
				}
			}
		}
	}()
	opt.Ref, opt.Frontend = "walk"+rand.Text(), "dockerfile.v0"
	attrs := map[string]string{"filename": "Dockerfile"}
	for name, value := range w.args {
		attrs["build-arg:"+name] = value
	}
	maps.Copy(attrs, opt.FrontendAttrs)
	opt.FrontendAttrs, opt.LocalMounts = attrs, map[string]fsutil.FS{"context": fs, "dockerfile": fs}
	if !opt.Internal {
		w.last = opt.Ref
	}
	_, err = w.builder.Solve(w.t.Context(), nil, opt, status)
	<-read
	for vertex := range unpacked { // layers were unpacked, so the result was there and not made
		prefix, _, _ := strings.Cut(vertices[vertex], "] ")
		delete(ran, prefix+"]")
	}
	w.note("build %s: %v, executed: %v", opt.Ref, err, ran)
	return ran, err
}
