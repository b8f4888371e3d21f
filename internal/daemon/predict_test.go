package daemon_test

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"go.etcd.io/bbolt"

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

// TestPredictWalkImports is that with builds among the others that look into caches in a
// registry.
func TestPredictWalkImports(t *testing.T) { walks(t, walk{imports: true}, 2, 85) }

// walks takes some walks of a kind.
func walks(t *testing.T, kind walk, share, full int) {
	var r *process
	var address string
	if kind.engine != nil {
		address = kind.engine(t).Engine()
		r = startEngineProcess(t, address)
		kind.buildx = newDockerBuild(t, r.home, address)
	} else {
		own := lab.Own(t)
		address, kind.registry = own.Address(), own.Registry()
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
		if w.imports {
			w.write("stoker.yaml", "prewarm: {level: off}\n")
		}
		if _, err := r.Up(t.Context(), api.UpRequest{Dir: w.dir, Allow: w.imports}); err != nil {
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
		for i, s := range r.foretold(query) {
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

// TestPredictRepeat: a build that was just made hits as a whole, also where a step takes
// of a stage what it took of two others before, and nobody knows of which.
func TestPredictRepeat(t *testing.T) {
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": lab.For(t).Address()})
	r.connected()
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	other := walk{t: t, dir: dir, builder: dial(t, lab.For(t).Address())}
	for i, step := range []struct{ command, file string }{{"one", "1"}, {"two", "1"}, {"two", "2"}, {"three", "2"}} {
		write(t, filepath.Join(dir, "Dockerfile"), "FROM node:20 AS app\nCOPY conf /"+nonce+"/\nRUN echo "+step.command+" "+nonce+
			"\nFROM node:20\nCOPY --from=app /"+nonce+" /"+nonce+"-2\nRUN echo "+nonce+"\n")
		write(t, filepath.Join(dir, "conf", "a"), nonce+step.file)
		if i == 0 {
			if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
				t.Fatal(err)
			}
		}
		other.build()
		r.wait(dir, "the build", func(repo api.Repository) bool {
			return len(repo.Definitions) == 1 && repo.Definitions[0].Last != nil && repo.Definitions[0].Last.Ref == other.last
		})
		r.predicts(dir, "as built with "+step.command, "hit hit hit hit")
	}
}

// ask returns what is predicted of the one definition that is asked about.
func (r *running) ask(query api.Query) []api.StepPrediction {
	r.t.Helper()
	answer, err := r.Predict(r.t.Context(), api.PredictRequest{Query: query})
	if err != nil {
		r.t.Fatal(err)
	}
	return answer.Definitions[0].Steps
}

// foretold is ask where others build on the same builder: it waits for those of their
// builds to end that ignore the cache.
func (r *running) foretold(query api.Query) []api.StepPrediction {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		steps := r.ask(query)
		if !slices.ContainsFunc(steps, func(s api.StepPrediction) bool { return s.Cause != nil && s.Cause.Kind == "run-anew" }) || time.Now().After(deadline) {
			return steps
		}
	}
}

// predicts holds what the next build of the only definition of dir is predicted to do.
func (r *running) predicts(dir, when, want string) {
	r.t.Helper()
	var steps []api.StepPrediction
	for range 10 { // each waits, for a while, for what the builder lists and has built
		steps = r.foretold(api.Query{Dir: dir})
		if !slices.ContainsFunc(steps, func(s api.StepPrediction) bool { return s.Outcome == "unknown" }) {
			break
		}
	}
	var got []string
	for _, s := range steps {
		got = append(got, s.Outcome)
	}
	if strings.Join(got, " ") == want {
		return
	}
	r.t.Errorf("%s: %s, want %s", when, got, want)
	for _, s := range steps {
		if s.Cause != nil {
			r.t.Logf("%s: %s %+v", s.Name, s.Outcome, *s.Cause)
		}
	}
}

// TestPredictAfterVerify: what the builds of a verification made is known, also of the
// files as they were proposed, which the images hold.
func TestPredictAfterVerify(t *testing.T) {
	r := start(t, t.TempDir(), map[string]string{"BUILDKIT_HOST": lab.For(t).Address()})
	r.connected()
	for name, ignore := range map[string]string{"no ignore file": "", "one that grows": "*.log\n"} {
		dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
		text := "FROM node:20\nCOPY . /" + nonce + "/\nRUN echo " + nonce + "\n"
		now := map[string]string{"Dockerfile": text, "source": nonce}
		proposed := map[string]string{"Dockerfile": "# " + nonce + "\n" + text, ".dockerignore": ignore + "*.tmp\n"}
		if ignore != "" {
			now[".dockerignore"] = ignore
		}
		put := func(files map[string]string) {
			t.Helper()
			for name, text := range files {
				write(t, filepath.Join(dir, name), text)
			}
		}
		put(now)
		if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		var changes []api.FileChange
		for name, text := range proposed {
			c := api.FileChange{Path: name, New: []byte(text)}
			if was, ok := now[name]; ok {
				c.Old = []byte(was)
			}
			changes = append(changes, c)
		}
		var verdict *api.Verification
		req := api.VerifyRequest{Query: api.Query{Dir: dir}, Candidates: [][]api.FileChange{changes}}
		if err := r.Verify(t.Context(), req, func(e api.VerifyEvent) { verdict = e.Verification }); err != nil {
			t.Fatal(err)
		}
		if verdict == nil || verdict.Outcome == api.VerifiedFailed {
			t.Fatalf("%s: verified: %+v", name, verdict)
		}
		r.predicts(dir, name+", as it is", "hit hit")
		put(proposed)
		r.predicts(dir, name+", as proposed", "hit hit")
		put(map[string]string{"source": "edited"})
		r.predicts(dir, name+", edited", "miss miss")
		put(map[string]string{"source": nonce})
		r.predicts(dir, name+", taken back", "hit hit")
		other := walk{t: t, dir: dir, builder: dial(t, lab.For(t).Address())}
		ran := other.build()
		for _, step := range []string{"[2/3]", "[3/3]"} {
			if again, told := ran[step]; again || !told {
				t.Errorf("%s: another client's build runs %s: %v", name, step, ran)
			}
		}
		if t.Failed() {
			r.tells(dir, nonce, &other)
			return
		}
	}
}

// tells logs what there is to see of a build that another client just made: its causes,
// what the builder lists of those steps, and the keys by which it finds them.
func (r *running) tells(dir, nonce string, other *walk) {
	r.t.Helper()
	r.wait(dir, "the build", func(repo api.Repository) bool {
		return len(repo.Definitions) == 1 && repo.Definitions[0].Last != nil && repo.Definitions[0].Last.Ref == other.last
	})
	why, err := r.Why(r.t.Context(), api.WhyRequest{Dir: dir})
	if err != nil {
		r.t.Error(err)
	}
	for _, s := range why.Steps {
		r.t.Logf("%s: %s", s.Name, s.Outcome)
		if s.Cause != nil {
			r.t.Logf("%+v", *s.Cause)
		}
	}
	usage, err := other.builder.DiskUsage(r.t.Context())
	if err != nil {
		r.t.Error(err)
	}
	for _, u := range usage {
		if strings.Contains(u.Description, nonce) {
			r.t.Logf("listed: %+v", *u)
			r.tellsKeys(lab.For(r.t).CacheDB(), u.ID)
		}
	}
}

// tellsKeys logs the keys of a result in a copy of the builder's cache, and what leads to
// each of them. It logs none if the builder lost the keys of a result that it lists.
func (r *running) tellsKeys(name, result string) {
	r.t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		r.t.Logf("no keys are told: %v", err)
		return
	}
	copied := filepath.Join(r.t.TempDir(), "cache.db")
	write(r.t, copied, string(data))
	db, err := bbolt.Open(copied, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		r.t.Logf("no keys are told: %v", err)
		return
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		keys, links, back := tx.Bucket([]byte("_byresult")), tx.Bucket([]byte("_links")), tx.Bucket([]byte("_backlinks"))
		return keys.ForEachBucket(func(id []byte) error {
			if !strings.HasSuffix(string(id), "::"+result) {
				return nil
			}
			return keys.Bucket(id).ForEach(func(key, _ []byte) error {
				r.t.Logf("its key: %s", key)
				return back.Bucket(key).ForEach(func(from, _ []byte) error {
					return links.Bucket(from).ForEach(func(link, _ []byte) error {
						if strings.HasSuffix(string(link), "@"+string(key)) {
							r.t.Logf("from %s by %s", from, link)
						}
						return nil
					})
				})
			})
		})
	})
	if err != nil {
		r.t.Logf("not all keys are told: %v", err)
	}
}
