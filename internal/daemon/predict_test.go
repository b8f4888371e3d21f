package daemon_test

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
	"github.com/stokerd/stoker/internal/randtest"
)

// TestPredictWalk changes a repository in random ways, predicts, and has another
// client build it: no step that was predicted to hit runs, and none that was
// predicted to run does not. Now and then the daemon is started anew or killed,
// also while builds run, and builds are made that it does not see.
func TestPredictWalk(t *testing.T) { walks(t, walk{}, 3, 170) }

// TestPredictWalkBuildx is that with `docker buildx build` as the client.
func TestPredictWalkBuildx(t *testing.T) { walks(t, walk{buildx: &buildx{}}, 1, 85) }

// TestPredictWalkEngine is that with `docker build` on a Docker Engine.
func TestPredictWalkEngine(t *testing.T) { walks(t, walk{engine: lab.OwnEngine}, 2, 85) }

// TestPredictWalkOldEngine is that on one that keeps images as those before Docker 29 do.
func TestPredictWalkOldEngine(t *testing.T) { walks(t, walk{engine: lab.OwnOldEngine}, 2, 85) }

// TestPredictUnseen walks with changes that the builder does not see among the
// others, also while the daemon is off: what depends on one is unknown, and never
// wrong.
func TestPredictUnseen(t *testing.T) { walks(t, walk{blind: true}, 2, 60) }

// walks takes some walks of a kind.
func walks(t *testing.T, kind walk, share, full int) {
	var r *process
	var address string
	if kind.engine != nil {
		address = kind.engine(t).Engine()
		r = startEngineProcess(t, address)
		kind.buildx = newDockerBuild(t, r.home, address)
	} else {
		address = lab.Own(t).Address()
		r = startProcess(t, address)
	}
	if kind.buildx != nil && kind.engine == nil {
		kind.buildx = newBuildx(t, r.home, address)
	}
	other := dial(t, address)
	var steps, unknown int
	for seed := range randtest.Seeds(t, share, full) {
		w := kind
		w.Rand, w.t, w.seed, w.dir = mathrand.New(mathrand.NewPCG(seed, 7)), t, seed, t.TempDir()
		w.daemon, w.builder, w.nonce = r, other, strings.ToLower(rand.Text())
		w.draw()
		if _, err := r.Up(t.Context(), api.UpRequest{Dir: w.dir}); err != nil {
			t.Fatal(err)
		}
		for n := range 12 {
			w.step(n)
			if t.Failed() {
				return
			}
		}
		if _, err := r.Down(t.Context(), api.DownRequest{Dir: w.dir}); err != nil {
			t.Fatal(err)
		}
		steps, unknown = steps+w.steps, unknown+w.unknown
	}
	t.Logf("%d of %d predictions are no prediction", unknown, steps)
	// A few walks may have more of what depends on another stage's content.
	most := steps / 4
	if steps > 5000 {
		most = steps / 20
	}
	if unknown > most && !kind.blind {
		t.Errorf("%d of %d predictions are no prediction", unknown, steps)
	}
}

// What stoker itself warmed is known to hit, up to the step that it was warmed
// to.
func TestPredictAfterWarm(t *testing.T) {
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": lab.For(t).Address()})
	r.connected()
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	write(t, filepath.Join(dir, "Dockerfile"), `FROM node:20
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci # `+nonce+`
COPY --link src /`+nonce+`/
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

// TestPredictAfterFailure: what a build made before it failed is known to hit, the
// step that failed to run again, and other files to be new, whoever built.
func TestPredictAfterFailure(t *testing.T) {
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": lab.For(t).Address()})
	r.connected()
	for _, who := range []string{"a warm-up", "another client"} {
		dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
		query := api.Query{Dir: dir}
		// Each name is of this test alone: the builder lists others' results as well.
		write(t, filepath.Join(dir, "Dockerfile"), "FROM node:20\nCOPY src /"+nonce+"/\nRUN sh /"+nonce+"/check\nRUN echo "+nonce+"\n")
		write(t, filepath.Join(dir, "src", "check"), "exit 0")
		if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		other := walk{t: t, dir: dir, builder: dial(t, lab.For(t).Address())}
		build := func() error {
			if who == "a warm-up" {
				return r.Warm(t.Context(), api.WarmRequest{Query: query, Level: "all"}, func(api.WarmEvent) {})
			}
			_, err := other.try(client.SolveOpt{})
			r.wait(dir, "the build", func(repo api.Repository) bool {
				return len(repo.Definitions) == 1 && repo.Definitions[0].Last != nil && repo.Definitions[0].Last.Ref == other.last
			})
			return err
		}
		predicted := func(when, want string) { t.Helper(); r.predicts(dir, when+", after "+who, want) }
		if err := build(); err != nil {
			t.Fatal(err)
		}
		predicted("as built", "hit hit hit")
		write(t, filepath.Join(dir, "src", "check"), "exit 1")
		if err := build(); err == nil {
			t.Fatal("a build succeeded that has to fail")
		}
		predicted("as failed", "hit miss miss")
		write(t, filepath.Join(dir, "src", "check"), "exit 0 # mended")
		predicted("once mended", "miss miss miss")
		write(t, filepath.Join(dir, "src", "check"), "exit 0")
		predicted("taken back", "hit hit hit")
	}
}

// predicts holds what the next build of the only definition of dir is predicted to do.
func (r *running) predicts(dir, when, want string) {
	r.t.Helper()
	answer, err := r.Predict(r.t.Context(), api.PredictRequest{Query: api.Query{Dir: dir}})
	if err != nil {
		r.t.Fatal(err)
	}
	var got []string
	for _, s := range answer.Definitions[0].Steps {
		got = append(got, s.Outcome)
	}
	if strings.Join(got, " ") != want {
		r.t.Errorf("%s: %s, want %s", when, got, want)
	}
}

// TestPredictAfterVerify: what the builds of a verification made is known, also of the
// Dockerfile as it was proposed, which the images hold.
func TestPredictAfterVerify(t *testing.T) {
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": lab.For(t).Address()})
	r.connected()
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	file, source := filepath.Join(dir, "Dockerfile"), filepath.Join(dir, "source")
	text := "FROM node:20\nCOPY . /" + nonce + "/\nRUN echo " + nonce + "\n"
	proposed := "# " + nonce + "\n" + text
	write(t, file, text)
	write(t, source, nonce)
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	var verdict *api.Verification
	err := r.Verify(t.Context(), api.VerifyRequest{
		Query: api.Query{Dir: dir}, Candidates: [][]api.FileChange{{{Path: "Dockerfile", Old: []byte(text), New: []byte(proposed)}}},
	}, func(e api.VerifyEvent) { verdict = e.Verification })
	if err != nil {
		t.Fatal(err)
	}
	if verdict == nil || verdict.Outcome != api.VerifiedEqual {
		t.Fatalf("verified: %+v", verdict)
	}
	r.predicts(dir, "as it is", "hit hit")
	write(t, file, proposed)
	r.predicts(dir, "as proposed", "hit hit")
	write(t, source, "edited")
	r.predicts(dir, "edited", "miss miss")
	write(t, source, nonce)
	r.predicts(dir, "taken back", "hit hit")
	other := walk{t: t, dir: dir, builder: dial(t, lab.For(t).Address())}
	ran := other.build()
	for _, step := range []string{"[2/3]", "[3/3]"} {
		if again, told := ran[step]; again || !told {
			t.Errorf("another client's build runs %s: %v", step, ran)
		}
	}
}
