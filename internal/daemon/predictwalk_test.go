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
	predicted := w.predict()
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
	w.causes.moment = excusesOfNow{}
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

// draw makes up a repository: a Dockerfile of two or three stages, and files.
func (w *walk) draw() {
	var b strings.Builder
	copies := []string{
		"COPY src /src\n", "COPY . /all\n", "COPY src/a src/b /two/\n", "COPY src/*.txt /texts/\n", "COPY --link conf /conf\n",
		"COPY --chmod=600 conf/one /one\n", "COPY --exclude=*.md src /some\n", "COPY --parents src/**/*.txt /par/\n", "ADD conf /added\n",
		"COPY <<EOF /here\nhello " + w.nonce + "\nEOF\n",
	}
	run := func() string {
		return []string{
			"RUN echo " + w.nonce + fmt.Sprint(w.IntN(3)) + " > /r" + fmt.Sprint(w.IntN(4)) + "\n",
			"RUN --mount=type=bind,source=src,target=/m cat /m/a > /m" + fmt.Sprint(w.IntN(4)) + " && echo " + w.nonce + "\n",
			"RUN --mount=type=cache,target=/c echo " + w.nonce + " > /c/x\n",
			"ARG V=" + fmt.Sprint(w.IntN(2)) + "\nRUN echo $V " + w.nonce + " > /v\n",
			"WORKDIR /w" + w.nonce[:4] + fmt.Sprint(w.IntN(2)) + "\n",
			"ENV E=" + fmt.Sprint(w.IntN(2)) + "\nRUN echo $E " + w.nonce + " > /e\n",
			"USER " + fmt.Sprint(1000+w.IntN(2)) + "\nRUN echo " + w.nonce + "\nUSER 0\n",
		}[w.IntN(7)]
	}
	stages := 2 + w.IntN(2)
	for s := range stages {
		fmt.Fprintf(&b, "FROM node:20 AS s%d\nLABEL nonce=%s\nRUN echo %s%d > /made\n", s, w.nonce, w.nonce, s)
		if w.IntN(4) == 0 {
			b.WriteString("WORKDIR /\n") // counts as a step, but is shown without a number
		}
		if w.IntN(6) == 0 {
			b.WriteString(strings.Repeat("WORKDIR /deeper\nWORKDIR deeper\n", 5)) // so many that numbers are padded
		}
		for range 1 + w.IntN(4) {
			if w.IntN(2) == 0 {
				b.WriteString(copies[w.IntN(len(copies))])
			} else {
				b.WriteString(run())
			}
		}
		if s > 0 && w.IntN(4) > 0 {
			fmt.Fprintf(&b, "COPY --from=s%d /made /from%d\n", w.IntN(s), s)
		}
	}
	w.dockerfile = b.String()
	w.write("Dockerfile", w.dockerfile)
	w.write(".dockerignore", "*.log\n")
	for _, name := range []string{"src/a", "src/b", "src/c.txt", "src/deep/d.txt", "src/e.md", "conf/one", "conf/two", "noise.log", places[0]} {
		w.write(name, name)
	}
}

// places are where the file is that is renamed now and then.
var places = []string{"src/moved.txt", "src/deep/moved.txt", "src/deep/other.txt", "conf/moved"}

// rename moves a file to another place, and returns from where and to which.
func (w *walk) rename() string {
	w.t.Helper()
	i := slices.IndexFunc(places, func(name string) bool { _, err := os.Stat(filepath.Join(w.dir, name)); return err == nil })
	from, to := places[i], places[(i+1+w.IntN(len(places)-1))%len(places)]
	if err := os.Rename(filepath.Join(w.dir, from), filepath.Join(w.dir, to)); err != nil {
		w.t.Fatal(err)
	}
	return "rename " + from + " to " + to
}

// declare declares the walk's args for the only definition.
func (w *walk) declare() {
	w.t.Helper()
	w.write("compose.yaml", fmt.Sprintf("services: {app: {build: {context: ., args: {V: %q}}}}\n", w.args["V"]))
}

// alter is change with what is another question to the daemon, too: the args that a build is
// given, and the images that it is based on.
func (w *walk) alter() string {
	w.t.Helper()
	switch w.IntN(12) {
	case 0:
		w.args = map[string]string{"V": fmt.Sprint(w.IntN(3))}
		w.declare()
		return "declaring V=" + w.args["V"]
	case 1:
		w.causes.moment.base = true
		image := []string{"node:20", "alpine:3.20"}[w.IntN(2)]
		stage := fmt.Sprintf(" AS s%d\n", w.IntN(2))
		w.write("Dockerfile", strings.ReplaceAll(w.dockerfile, "FROM node:20"+stage, "FROM "+image+stage))
		return "basing" + strings.TrimSpace(stage) + " on " + image
	case 2:
		return w.rename()
	}
	return w.change()
}

// change makes a random change such as people make to a repository, and says which.
func (w *walk) change() string {
	files := []string{"src/a", "src/b", "src/c.txt", "src/deep/d.txt", "src/e.md", "conf/one", "conf/two"}
	name := files[w.IntN(len(files))]
	path := filepath.Join(w.dir, name)
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	switch w.IntN(15) {
	case 13:
		return fmt.Sprint("prune of ", w.pruneSome())
	case 11:
		now := time.Now()
		must(os.Chtimes(path, now, now))
		return "touch only " + name
	case 12:
		if !w.blind {
			break
		}
		if w.IntN(2) == 0 {
			mode := []os.FileMode{0o755, 0o700}[w.IntN(2)]
			must(os.Chmod(filepath.Join(w.dir, "src"), mode))
			return fmt.Sprint("chmod the folder src ", mode)
		}
		fi, err := os.Stat(path)
		must(err)
		text, err := os.ReadFile(path)
		must(err)
		if len(text) > 0 {
			text[len(text)-1] = byte('0' + w.IntN(3))
		}
		must(os.WriteFile(path, text, fi.Mode()))
		must(os.Chtimes(path, fi.ModTime(), fi.ModTime()))
		return "edit " + name + " so that it looks the same"
	case 0, 1, 2:
		text := fmt.Sprint("text ", w.IntN(3))
		w.write(name, text)
		return "write " + text + " to " + name
	case 3:
		mode := []os.FileMode{0o644, 0o600, 0o755}[w.IntN(3)]
		must(os.Chmod(path, mode))
		return fmt.Sprint("chmod ", name, mode)
	case 4:
		now, err := os.ReadFile(path)
		must(err)
		w.write(name, string(now))
		return "touch " + name
	case 5:
		extra := filepath.Join(w.dir, "src", fmt.Sprint("extra", w.IntN(2), ".txt"))
		if os.Remove(extra) == nil {
			return "remove " + extra
		}
		w.write(filepath.Join("src", filepath.Base(extra)), "extra")
		return "add " + extra
	case 6:
		w.write("noise.log", rand.Text())
		return "change an ignored file"
	case 7:
		w.write(".dockerignore", []string{"*.log\n", "*.log\n**/*.md\n", "*.log\nconf/two\n"}[w.IntN(3)])
		return "edit the ignore file"
	case 8:
		lines := strings.SplitAfter(w.dockerfile, "\n")
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "RUN echo") && w.IntN(3) == 0 })
		if i < 0 {
			return "nothing"
		}
		edited := slices.Clone(lines)
		edited[i] = strings.TrimSuffix(lines[i], "\n") + fmt.Sprint(" # ", w.IntN(2)) + "\n"
		w.write("Dockerfile", strings.Join(edited, ""))
		return "edit " + lines[i]
	case 9:
		w.write("Dockerfile", w.dockerfile)
		return "take the Dockerfile back"
	case 10:
		w.causes.pruned = true
		must(w.builder.Prune(context.WithoutCancel(w.t.Context()), nil))
		return "prune"
	}
	return "nothing"
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

// resolved is predict, once all base images are known.
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
