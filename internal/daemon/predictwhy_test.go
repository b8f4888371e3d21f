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

// TestPredictSaysWhy: a prediction tells the causes of steps that will run, with the same words
// as why, and how long the build will take, by earlier ones. It does so after a restart, too.
func TestPredictSaysWhy(t *testing.T) {
	r, other := startOwn(t) // results of other tests could make outcomes unknown
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
		w.seen("the build")
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
		t.Errorf("with other files, COPY src runs because of %+v, want src/new added and the mode of src/a", c)
	}
	if p.FirstMiss != "[stage-1 2/4] COPY src /src" || p.Seconds == nil || p.SecondsLow == nil || p.FixedSeconds == nil ||
		*p.FixedSeconds <= 0 || *p.SecondsLow > *p.Seconds || *p.Seconds > *p.SecondsHigh || *p.Seconds < *p.FixedSeconds {
		t.Errorf("with other files, predicted is %+v, want the first step that runs, and times in order", p)
	}
	build()

	w.write("Dockerfile", strings.Replace(dockerfile, "plain", "other", 1))
	if c := cause(w.predict(), "RUN echo $FLAVOUR"); c.Kind != "arg" || c.Name != "FLAVOUR" {
		t.Errorf("with another arg, RUN echo runs because of %+v, want arg FLAVOUR", c)
	}
	w.write("Dockerfile", strings.Replace(dockerfile, "RUN true", "RUN true &&", 1))
	if c := cause(w.predict(), "RUN true &&"); c.Kind != "dockerfile" || c.Line != 9 {
		t.Errorf("with another instruction, it runs because of %+v, want line 9 of the Dockerfile", c)
	}

	// Twice the stage runs, but the file that is copied from it stays the same.
	for _, text := range []string{"1", "2"} {
		w.write("Dockerfile", dockerfile)
		w.write("conf/b", text)
		build()
	}
	w.write("conf/b", "3")
	if c := cause(w.predict(), "COPY --from=made"); c.Kind != "stage-content" || c.Reused != 2 || c.Of != 2 || !strings.Contains(c.Text, "unchanged in 2 of 2 runs") {
		t.Errorf("the cause of what is copied from a stage is %+v, want stage-content, reused in 2 of 2 runs", c)
	}
}

// TestUnseenChange: a change that the builder does not notice is reported as a finding, and
// steps that take the file are unknown, until the file is touched.
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
		t.Error("the builder has noticed the change")
	}
	// The file must not be touched before the daemon has read the build, or its content would
	// be unknown for the touch alone.
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
	// The last build is compared with the first, as the content of the second is unknown.
	why, err := r.Why(t.Context(), api.WhyRequest{Dir: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	last := why.Steps[len(why.Steps)-1]
	if last.Outcome != "executed" || last.Cause == nil || last.Cause.Kind != "files" || len(last.Cause.Paths) != 1 || last.Cause.Paths[0].Path != "src/a" {
		t.Errorf("why the last step ran: %+v, want files, of which src/a", last)
	}
}

// TestAlikeInTwoStages: the builder lists the results of one command in two stages alike, which
// ran at the same time. If one of them is pruned, nobody knows which, so both are unknown.
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
		w.seen("the build")
		usage, err := other.DiskUsage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// The copies from the stages are pruned, and of the two results the first or the last.
		var alike, pruned []string
		for _, u := range usage {
			switch {
			case strings.Contains(u.Description, nonce):
				alike = append(alike, "id=="+u.ID)
			case strings.Contains(u.Description, "COPY --from"):
				pruned = append(pruned, "id=="+u.ID)
			}
		}
		if len(alike) != 2 {
			t.Fatalf("%d results are listed alike, want 2: %+v", len(alike), usage)
		}
		if err := other.Prune(t.Context(), nil, client.WithFilter(append(pruned, alike[n]))); err != nil {
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
				t.Errorf("%s was predicted to be a %s, want unknown", s.Name, s.Outcome)
			}
		}
	}
}
