package daemon_test

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
	"github.com/stokerd/stoker/internal/randtest"
)

// TestPredictWalk changes a repository in random ways, predicts, and has another
// client build it: no step that was predicted to hit runs, and none that was
// predicted to run does not.
func TestPredictWalk(t *testing.T) {
	builder := lab.Own(t)
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": builder.Address()})
	other, err := client.New(t.Context(), builder.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	steps, unknown := 0, 0
	for seed := range randtest.Seeds(t, 3, 170) {
		w := &walk{Rand: mathrand.New(mathrand.NewPCG(seed, 7)), t: t, dir: t.TempDir(), builder: other, nonce: strings.ToLower(rand.Text())}
		w.draw()
		if _, err := r.Up(t.Context(), api.UpRequest{Dir: w.dir}); err != nil {
			t.Fatal(err)
		}
		pruned := false
		for n := range 12 {
			what := "start"
			if n > 0 {
				what = w.change()
			}
			pruned = strings.HasPrefix(what, "prune")
			predicted := w.predict(r)
			ran := w.build()
			for _, s := range predicted.Steps {
				prefix, _, _ := strings.Cut(s.Name, "] ")
				executed, told := ran[prefix+"]"]
				steps++
				switch {
				case s.Outcome == "unknown":
					if !pruned {
						unknown++
					}
				case s.Outcome == "hit" && executed, s.Outcome == "miss" && told && !executed:
					t.Errorf("seed %d, build %d after %s: %s was predicted to be a %s (%v), and executed: %v\n%s", seed, n, what, s.Name, s.Outcome, s.Cause, executed, w.dockerfile)
				}
			}
			if t.Failed() {
				return
			}
			r.wait(w.dir, "the build", func(repo api.Repository) bool { return repo.Definitions[0].Builds == n+1 })
		}
		if _, err := r.Down(t.Context(), api.DownRequest{Dir: w.dir}); err != nil {
			t.Fatal(err)
		}
	}
	// A few walks may have more of what depends on another stage's content.
	most := steps / 4
	if steps > 5000 {
		most = steps / 20
	}
	if unknown > most {
		t.Errorf("%d of %d predictions are no prediction", unknown, steps)
	}
}

// What stoker itself warmed is known to hit, up to the step that it was warmed
// to.
func TestPredictAfterWarm(t *testing.T) {
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": lab.For(t).Address()})
	dir, nonce := t.TempDir(), strings.ToLower(rand.Text())
	write(t, filepath.Join(dir, "Dockerfile"), `FROM node:20
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci # `+nonce+`
COPY --link src src
RUN echo `+nonce+` > built
`)
	write(t, filepath.Join(dir, "package.json"), `{"name": "`+nonce+`"}`)
	write(t, filepath.Join(dir, "package-lock.json"), `{"name": "`+nonce+`", "packages": {}}`)
	write(t, filepath.Join(dir, "src", "a"), nonce)
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		level string
		want  []string
	}{
		// The folder and the copy are of a shared builder, whose other results may be listed alike.
		{"deps", []string{"", "", "hit", "miss", "miss"}},
		{"all", []string{"hit", "hit", "hit", "hit", "hit"}},
	} {
		query := api.Query{Dir: dir}
		if err := r.Warm(t.Context(), api.WarmRequest{Query: query, Level: tt.level}, func(api.WarmEvent) {}); err != nil {
			t.Fatal(err)
		}
		answer, err := r.Predict(t.Context(), api.PredictRequest{Query: query})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range answer.Definitions[0].Steps {
			if tt.want[i] != "" && s.Outcome != tt.want[i] {
				t.Errorf("warmed to %s, %s is predicted to be a %s: %+v", tt.level, s.Name, s.Outcome, s.Cause)
			}
		}
	}
}

// A walk is somebody at work on a repository.
type walk struct {
	*mathrand.Rand
	t          *testing.T
	dir, nonce string
	dockerfile string
	builder    *client.Client
}

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
		}[w.IntN(5)]
	}
	stages := 2 + w.IntN(2)
	for s := range stages {
		fmt.Fprintf(&b, "FROM node:20 AS s%d\nLABEL nonce=%s\nRUN echo %s%d > /made\n", s, w.nonce, w.nonce, s)
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
	for _, name := range []string{"src/a", "src/b", "src/c.txt", "src/deep/d.txt", "src/e.md", "conf/one", "conf/two", "noise.log"} {
		w.write(name, name)
	}
}

// change does what people do to a repository, and says what.
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
	switch w.IntN(12) {
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
		must(w.builder.Prune(context.WithoutCancel(w.t.Context()), nil))
		return "prune"
	}
	return "nothing"
}

func (w *walk) predict(r *running) api.Prediction {
	w.t.Helper()
	answer, err := r.Predict(w.t.Context(), api.PredictRequest{Query: api.Query{Dir: w.dir}})
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.Definitions[0]
}

// build has another client build, and returns which steps it saw run, by their
// place: "[build 3/7]".
func (w *walk) build() map[string]bool {
	w.t.Helper()
	fs, err := fsutil.NewFS(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	status, ran := make(chan *client.SolveStatus), map[string]bool{}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := range status {
			for _, v := range s.Vertexes {
				if prefix, _, ok := strings.Cut(v.Name, "] "); ok && strings.HasPrefix(prefix, "[") && strings.Contains(prefix, "/") {
					ran[prefix+"]"] = v.Started != nil && v.Completed != nil && !v.Cached
				}
			}
		}
	}()
	_, err = w.builder.Solve(w.t.Context(), nil, client.SolveOpt{
		Ref: "walk" + rand.Text(), Frontend: "dockerfile.v0", FrontendAttrs: map[string]string{"filename": "Dockerfile"},
		LocalMounts: map[string]fsutil.FS{"context": fs, "dockerfile": fs},
	}, status)
	<-read
	if err != nil {
		w.t.Fatal(err)
	}
	return ran
}
