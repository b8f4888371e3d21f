package daemon_test

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/internal/api"
)

// What will run is told in the words of why, and how long it will take from what
// was observed, after a restart, too.
func TestPredictSaysWhy(t *testing.T) {
	r, other := startOwn(t) // what others left in one would be in doubt
	nonce := strings.ToLower(rand.Text())
	w := &walk{Rand: mathrand.New(mathrand.NewPCG(1, 1)), t: t, dir: t.TempDir(), daemon: r, builder: other, nonce: nonce}
	dockerfile := "FROM node:20 AS made\nARG FLAVOUR=plain\nRUN echo $FLAVOUR " + nonce + " > /made\nCOPY conf /conf\nRUN cat /conf/* > /all\n" +
		"FROM node:20\nCOPY src /src\nCOPY --from=made /made /from\nRUN true " + nonce + "\n"
	w.write("Dockerfile", dockerfile)
	w.write("src/a", "a")
	w.write("conf/b", "b")
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: w.dir}); err != nil {
		t.Fatal(err)
	}
	build := func() {
		t.Helper()
		w.predict()
		w.build()
		r.wait(w.dir, "the build", func(repo api.Repository) bool {
			return repo.Definitions[0].Last != nil && repo.Definitions[0].Last.Ref == w.last
		})
	}
	build()
	cause := func(p api.Prediction, step string) api.PredictedCause {
		t.Helper()
		for _, s := range p.Steps {
			if strings.Contains(s.Name, step) && s.Cause != nil {
				return *s.Cause
			}
		}
		t.Errorf("no cause for %s: %+v", step, p.Steps)
		return api.PredictedCause{}
	}

	w.write("src/new", "new")
	if err := os.Chmod(filepath.Join(w.dir, "src", "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.stop(true)
	r.start()
	p := w.predict()
	c := cause(p, "COPY src /src")
	var paths []string
	for _, d := range c.Paths {
		paths = append(paths, d.Path+" "+d.Change)
	}
	if c.Kind != "files" || strings.Join(paths, ", ") != "src/new added, src/a mode" {
		t.Errorf("other files: %+v", c)
	}
	if p.FirstMiss != "[stage-1 2/4] COPY src /src" || p.Seconds == nil || p.SecondsLow == nil || p.FixedSeconds == nil ||
		*p.FixedSeconds <= 0 || *p.SecondsLow > *p.Seconds || *p.Seconds > *p.SecondsHigh || *p.Seconds < *p.FixedSeconds {
		t.Errorf("how long it takes: %+v", p)
	}
	build()

	w.write("Dockerfile", strings.Replace(dockerfile, "plain", "other", 1))
	if c := cause(w.predict(), "RUN echo $FLAVOUR"); c.Kind != "arg" || c.Name != "FLAVOUR" {
		t.Errorf("another arg: %+v", c)
	}
	w.write("Dockerfile", strings.Replace(dockerfile, "RUN true", "RUN true &&", 1))
	if c := cause(w.predict(), "RUN true &&"); c.Kind != "dockerfile" || c.Line != 9 {
		t.Errorf("another instruction: %+v", c)
	}

	// The stage runs, and what is taken of it stays as it is.
	for _, text := range []string{"1", "2"} {
		w.write("Dockerfile", dockerfile)
		w.write("conf/b", text)
		build()
	}
	w.write("conf/b", "3")
	if c := cause(w.predict(), "COPY --from=made"); c.Kind != "stage-content" || c.Reused != 2 || c.Of != 2 || !strings.Contains(c.Text, "unchanged in 2 of 2 runs") {
		t.Errorf("what depends on a stage: %+v", c)
	}
}

// A change that the builder does not see is found, and makes what depends on it
// unknown until the file is touched.
func TestUnseenChange(t *testing.T) {
	r, other := startOwn(t)
	w := &walk{Rand: mathrand.New(mathrand.NewPCG(1, 1)), t: t, dir: t.TempDir(), daemon: r, builder: other}
	w.write("Dockerfile", "FROM node:20\nCOPY conf /conf\nCOPY src /src\n")
	w.write("src/a", "one")
	w.write("conf/b", "b")
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: w.dir}); err != nil {
		t.Fatal(err)
	}
	w.predict()
	w.build()
	r.wait(w.dir, "the build", func(repo api.Repository) bool { return repo.Definitions[0].Last != nil })
	path := filepath.Join(w.dir, "src", "a")
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	w.write("src/a", "two")
	if err := os.Chtimes(path, fi.ModTime(), fi.ModTime()); err != nil {
		t.Fatal(err)
	}
	repo := r.wait(w.dir, "the finding", func(repo api.Repository) bool { return len(repo.Findings) > 0 })
	if f := repo.Findings[0]; f.Rule != "stale-stat" || f.Path != "src/a" || f.StepLine != 3 || f.Reaches != "final" || !strings.Contains(f.Message, "touch the file") {
		t.Errorf("finding %+v, want stale-stat of src/a, which step 3 takes into the image", f)
	}
	steps := w.predict().Steps
	if steps[0].Outcome != "hit" || steps[1].Outcome != "unknown" || steps[1].Cause.Kind != "stale-stat" {
		t.Errorf("predicted %+v, want a hit and an unknown because of stale-stat", steps)
	}
	if ran := w.build(); ran["[3/3]"] {
		t.Error("the builder saw the change")
	}
	// What it took is looked at while the file is as it was: after the touch it would be
	// unknown for that alone.
	r.wait(w.dir, "the build that saw nothing", func(repo api.Repository) bool { return repo.Definitions[0].Builds == 2 })
	now := fi.ModTime().Add(time.Minute)
	if err := os.Chtimes(path, now, now); err != nil {
		t.Fatal(err)
	}
	r.wait(w.dir, "no finding", func(repo api.Repository) bool { return len(repo.Findings) == 0 })
	if steps := w.predict().Steps; steps[1].Outcome != "miss" {
		t.Errorf("after a touch, predicted %+v; want a miss of the second step", steps)
	}
	if ran := w.build(); !ran["[3/3]"] {
		t.Error("the builder did not see the file after it was touched")
	}
	r.wait(w.dir, "the last build", func(repo api.Repository) bool { return repo.Definitions[0].Builds == 3 })
	// What the build between took is not known: it was not this state.
	why, err := r.Why(t.Context(), api.WhyRequest{Dir: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	last := why.Steps[len(why.Steps)-1]
	if last.Outcome != "executed" || last.Cause == nil || last.Cause.Kind != "files" || len(last.Cause.Paths) != 1 || last.Cause.Paths[0].Path != "src/a" {
		t.Errorf("why the last step ran: %+v, want files, of which src/a", last)
	}
}

// TestAlikeInTwoStages has one of two results go that the builder lists alike: those
// of one command in two stages, which ran at the same time. Which one it was is not
// known, and never guessed.
func TestAlikeInTwoStages(t *testing.T) {
	r, other := startOwn(t)
	for n := range 2 {
		nonce := strings.ToLower(rand.Text())
		w := &walk{Rand: mathrand.New(mathrand.NewPCG(uint64(n), 1)), t: t, dir: t.TempDir(), daemon: r, builder: other, nonce: nonce}
		w.write("Dockerfile", "FROM busybox AS one\nCOPY one /file\nRUN sleep 1; echo "+nonce+
			"\nFROM busybox AS two\nCOPY two /file\nRUN sleep 1; echo "+nonce+
			"\nFROM scratch\nCOPY --from=one /file /one\nCOPY --from=two /file /two\n")
		w.write("one", "one"+nonce)
		w.write("two", "two"+nonce)
		if _, err := r.Up(t.Context(), api.UpRequest{Dir: w.dir}); err != nil {
			t.Fatal(err)
		}
		w.build()
		r.wait(w.dir, "the build", func(repo api.Repository) bool {
			return len(repo.Definitions) == 1 && repo.Definitions[0].Last != nil && repo.Definitions[0].Last.Ref == w.last
		})
		usage, err := other.DiskUsage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// Whatever takes from the stages goes, and of the two the one that is listed first, or last.
		var alike, all []string
		for _, u := range usage {
			switch {
			case strings.Contains(u.Description, nonce):
				alike = append(alike, "id=="+u.ID)
			case strings.Contains(u.Description, "COPY --from"):
				all = append(all, "id=="+u.ID)
			}
		}
		if len(alike) != 2 {
			t.Fatalf("%d results are listed alike: %+v", len(alike), usage)
		}
		if err := other.Prune(t.Context(), nil, client.WithFilter(append(all, alike[n]))); err != nil {
			t.Fatal(err)
		}
		predicted := w.predict()
		ran := w.build()
		for _, s := range predicted.Steps {
			prefix, _, _ := strings.Cut(s.Name, "] ")
			executed := ran[prefix+"]"]
			if s.Outcome == "hit" && executed || s.Outcome == "miss" && !executed {
				t.Errorf("%s was predicted to be a %s (%v), and executed: %v", s.Name, s.Outcome, s.Cause, executed)
			}
			if strings.Contains(s.Name, "RUN") && s.Outcome != "unknown" {
				t.Errorf("%s was predicted to be a %s", s.Name, s.Outcome)
			}
		}
	}
}
