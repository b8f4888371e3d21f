package daemon_test

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
	"github.com/stokerd/stoker/internal/randtest"
)

// TestWhyWalk changes a repository in random ways and has another client build each state.
// The causes that are told of the steps that broke the cache must agree with the changes.
func TestWhyWalk(t *testing.T) { whyWalks(t, byClient, nil, 3, 170) }

// TestWhyWalkBuildx is TestWhyWalk with `docker buildx build` as the other client.
func TestWhyWalkBuildx(t *testing.T) { whyWalks(t, byBuildx, nil, 1, 85) }

// TestWhyWalkEngine is TestWhyWalk with `docker build` on a Docker Engine.
func TestWhyWalkEngine(t *testing.T) { whyWalks(t, byEngine, lab.OwnEngine, 2, 85) }

// TestWhyWalkOldEngine is TestWhyWalk with `docker build` on a Docker Engine that keeps images
// with a graph driver, as those before Docker 29 do.
func TestWhyWalkOldEngine(t *testing.T) { whyWalks(t, byEngine, lab.OwnOldEngine, 2, 85) }

// The client that builds in a walk.
const (
	byClient = iota
	byBuildx
	byEngine // docker build
)

// whyWalks takes walks with one client, which for byEngine builds on the Docker Engine that
// engine starts: share of them in an ordinary run, full if all are asked for.
func whyWalks(t *testing.T, by int, engine func(testing.TB) *lab.Lab, share, full int) {
	home := t.TempDir()
	var (
		builder *lab.Lab
		cli     *buildx
		address string
		r       *running
	)
	if by == byEngine {
		builder = engine(t)
		address = builder.Engine()
		cli = newDockerBuild(t, home, address)
		r = start(t, home, map[string]string{"DOCKER_HOST": address})
	} else {
		t.Parallel() // it waits for the builder most of the time
		builder = lab.Own(t)
		address = builder.Address()
		if by == byBuildx {
			cli = newBuildx(t, home, address)
		}
		r = start(t, home, map[string]string{"BUILDKIT_HOST": address})
	}
	other := dial(t, address)
	kinds := map[string]int{} // how often each kind of cause was told
	for seed := range randtest.Seeds(t, share, full) {
		w := newWhyWalk(t, seed, other, builder)
		w.buildx = cli
		if _, err := r.Up(t.Context(), api.UpRequest{Dir: w.dir}); err != nil {
			t.Fatal(err)
		}
		for n := range 12 {
			w.step(r, n, kinds)
			if t.Failed() {
				return
			}
		}
		if _, err := r.Down(t.Context(), api.DownRequest{Dir: w.dir}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("causes of steps that broke the cache: %v", kinds)
}

// A worldly is a state of all that decides which steps of a build run.
type worldly struct {
	dockerfile, ignore string
	files              map[string]string // path → mode and content
	args               map[string]string
	base               int // how often the base image was moved
	prunes             int // how often results were pruned
}

// A whyWalk is a walk that remembers the state of each build.
type whyWalk struct {
	*walk
	lab     *lab.Lab
	base    string // reference of the base image
	now     worldly
	noCache bool               // the next build is made without cache
	did     string             // the last change
	builds  map[string]worldly // by ref
	last    string
}

// step makes build n of the walk, after a change, and checks what r tells of it. It counts the
// causes that it tells in kinds.
func (w *whyWalk) step(r *running, n int, kinds map[string]int) {
	if n > 0 {
		w.alter()
	}
	ref := w.buildAs()
	r.wait(w.dir, "the build", func(repo api.Repository) bool { return repo.Definitions[0].Builds == n+1 })
	why, err := r.Why(w.t.Context(), api.WhyRequest{Dir: w.dir})
	if err != nil {
		w.t.Fatal(err)
	}
	if why.Ref != ref {
		w.t.Fatalf("the last build is %s, and %s is explained", ref, why.Ref)
	}
	w.t.Logf("build %d after %s", n, w.did)
	for _, s := range why.Steps {
		if wrong := w.judge(why, s); wrong != "" {
			w.t.Errorf("seed %d, build %d after %s: %s is %s because of %+v %+v, against %s: %s\n%s",
				w.seed, n, w.did, s.Name, s.Outcome, s.Cause, s.More, s.Against, wrong, w.now.dockerfile)
			r.logBuild(w.dir, w.nonce, w.walk)
		}
		if s.Outcome == "executed" {
			kinds[s.Cause.Kind]++
		}
	}
}

// newWhyWalk returns the walk that follows from seed, with its repository and base image.
func newWhyWalk(t *testing.T, seed uint64, builder *client.Client, from *lab.Lab) *whyWalk {
	nonce := strings.ToLower(rand.Text())
	w := &whyWalk{
		walk: &walk{Rand: mathrand.New(mathrand.NewPCG(seed, 8)), t: t, seed: seed, dir: t.TempDir(), builder: builder, nonce: nonce, causes: &excuses{}},
		lab:  from, base: "stokertest/why:" + nonce, builds: map[string]worldly{},
	}
	w.draw()
	// The Dockerfile gets args and a variable, and a base image that can be moved.
	text := strings.ReplaceAll(w.dockerfile, "FROM node:20 AS s0\n", "FROM "+w.base+" AS s0\nARG NAME=one\nENV KIND=a\nRUN echo $NAME "+nonce+"\nCOPY conf/${FILE} /named\n")
	text = "ARG FILE=one\n" + strings.ReplaceAll(text, "ENV KIND=a\n", "ARG FILE\nENV KIND=a\n")
	w.dockerfile = text
	w.write("Dockerfile", text)
	w.write("conf/three", "three")
	w.now.args = map[string]string{}
	w.push()
	w.look()
	return w
}

// push moves the tag of the base image to a new image.
func (w *whyWalk) push() {
	w.t.Helper()
	img, err := lab.StandIn("node:20")
	if err == nil {
		img, err = lab.WithFiles(img, map[string]string{"/base": fmt.Sprint(w.nonce, w.now.base)})
	}
	if err == nil {
		_, err = w.lab.Push(w.t.Context(), w.base, img)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// look reads the state of the files from the disk.
func (w *whyWalk) look() {
	w.t.Helper()
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(w.dir, name))
		if err != nil {
			w.t.Fatal(err)
		}
		return string(text)
	}
	w.now.dockerfile, w.now.ignore, w.now.files = read("Dockerfile"), read(".dockerignore"), map[string]string{}
	for _, dir := range []string{"src", "src/deep", "conf", "."} {
		entries, err := os.ReadDir(filepath.Join(w.dir, dir))
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range entries {
			name := filepath.Join(dir, e.Name())
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
				w.now.files[name] = info.Mode().String() + read(name)
			}
		}
	}
}

// alter makes a random change that can be a cause.
func (w *whyWalk) alter() {
	w.noCache = false
	switch w.IntN(8) {
	case 0:
		name := []string{"NAME", "FILE"}[w.IntN(2)]
		value := map[string][]string{"NAME": {"x", "y"}, "FILE": {"one", "three"}}[name][w.IntN(2)]
		w.did = "giving " + value + " as " + name
		w.now.args = union(w.now.args, map[string]string{name: value})
	case 1:
		w.now.base++
		w.push()
		w.did = "moving the base image"
	case 2:
		w.noCache = true
		w.did = "--no-cache"
	case 3:
		text := strings.ReplaceAll(w.now.dockerfile, "KIND=a", "KIND=b")
		if text == w.now.dockerfile {
			text = strings.ReplaceAll(text, "KIND=b", "KIND=a")
		}
		w.write("Dockerfile", text)
		w.dockerfile = text
		w.did = "editing ENV KIND"
	default:
		w.did = w.change()
		if strings.HasPrefix(w.did, "prune") {
			w.now.prunes++
		}
	}
	w.look()
}

// buildAs has another client build the state, which it remembers, and returns the build's ref.
func (w *whyWalk) buildAs() string {
	w.t.Helper()
	if w.buildx != nil {
		w.last, _ = w.buildx.build(w.dir, w.now.args, w.noCache)
		w.builds[w.last] = w.now
		return w.last
	}
	fs, err := fsutil.NewFS(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	attrs := map[string]string{"filename": "Dockerfile"}
	for name, value := range w.now.args {
		attrs["build-arg:"+name] = value
	}
	if w.noCache {
		attrs["no-cache"] = ""
	}
	w.last = "walk" + strings.ToLower(rand.Text())
	_, err = w.builder.Solve(context.WithoutCancel(w.t.Context()), nil, client.SolveOpt{
		Ref: w.last, Frontend: "dockerfile.v0", FrontendAttrs: attrs,
		LocalMounts: map[string]fsutil.FS{"context": fs, "dockerfile": fs},
	}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.builds[w.last] = w.now
	return w.last
}

// takes reports whether a step takes a file, in the few forms of steps that the Dockerfiles of
// walks have.
func (w *whyWalk) takes(step, path string, at worldly) bool {
	switch {
	case strings.HasSuffix(path, ".log"),
		strings.Contains(at.ignore, "**/*.md") && strings.HasSuffix(path, ".md"),
		strings.Contains(at.ignore, "conf/two") && path == "conf/two":
		return false
	}
	src := strings.HasPrefix(path, "src/")
	switch _, instruction, _ := strings.Cut(step, "] "); {
	case strings.HasPrefix(instruction, "COPY src /src"):
		return src
	case strings.HasPrefix(instruction, "COPY . /all"):
		return true
	case strings.HasPrefix(instruction, "COPY src/a src/b"):
		return path == "src/a" || path == "src/b"
	case strings.HasPrefix(instruction, "COPY src/*.txt"):
		return src && strings.Count(path, "/") == 1 && strings.HasSuffix(path, ".txt")
	case strings.HasPrefix(instruction, "COPY --link conf"), strings.HasPrefix(instruction, "ADD conf"):
		return strings.HasPrefix(path, "conf/")
	case strings.HasPrefix(instruction, "COPY --chmod=600 conf/one"):
		return path == "conf/one"
	case strings.HasPrefix(instruction, "COPY --exclude=*.md src"):
		return src && !(strings.HasSuffix(path, ".md") && strings.Count(path, "/") == 1)
	case strings.HasPrefix(instruction, "COPY --parents"):
		return src && strings.HasSuffix(path, ".txt")
	case strings.HasPrefix(instruction, "COPY conf/${FILE}"):
		if file := at.args["FILE"]; file != "" {
			return path == "conf/"+file
		}
		return path == "conf/one"
	case strings.HasPrefix(instruction, "RUN --mount=type=bind,source=src"):
		return src
	}
	return false
}
