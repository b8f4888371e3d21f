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

// TestPredictWalk changes a repository in random ways and predicts the next build, which
// another client then makes. No step that was predicted to hit may run, and each that was
// predicted to run must. Now and then the daemon is restarted or killed, sometimes while a
// build runs, and some builds are made while no daemon watches.
func TestPredictWalk(t *testing.T) { walks(t, walk{}, 4, 170) }

// TestPredictWalkBuildx is TestPredictWalk with `docker buildx build` as the other client.
func TestPredictWalkBuildx(t *testing.T) { walks(t, walk{buildx: &buildx{}}, 1, 85) }

// TestPredictWalkEngine is TestPredictWalk with `docker build` on a Docker Engine.
func TestPredictWalkEngine(t *testing.T) { walks(t, walk{engine: lab.OwnEngine}, 2, 85) }

// TestPredictWalkOldEngine is TestPredictWalk with `docker build` on a Docker Engine that
// keeps images with a graph driver, as those before Docker 29 do.
func TestPredictWalkOldEngine(t *testing.T) { walks(t, walk{engine: lab.OwnOldEngine}, 2, 85) }

// TestPredictUnseen is TestPredictWalk with changes of files that the builder does not
// notice, some of them made while the daemon is off. Steps that depend on one may be
// unknown, but no prediction may be wrong.
func TestPredictUnseen(t *testing.T) { walks(t, walk{blind: true}, 2, 60) }

// TestPredictWalkImports is TestPredictWalk with builds that import caches from a registry.
func TestPredictWalkImports(t *testing.T) { walks(t, walk{imports: true}, 2, 85) }

// walks takes walks of a kind: share of them in an ordinary run, full if all are asked for.
func walks(t *testing.T, kind walk, share, full int) {
	var r *process
	var address string
	if kind.engine != nil {
		address = kind.engine(t).Engine()
		r = startEngineProcess(t, address)
		kind.buildx = newDockerBuild(t, r.home, address)
	} else {
		t.Parallel() // it waits for the builder most of the time
		own := lab.Own(t)
		address, kind.registry = own.Address(), own.Registry()
		r = startProcess(t, address)
	}
	if kind.buildx != nil && kind.engine == nil {
		kind.buildx = newBuildx(t, r.home, address)
	}
	kind.t, kind.daemon, kind.builder, kind.causes = t, r, dial(t, address), &excuses{}
	var steps, unknown int
	for seed := range randtest.Seeds(t, share, full) {
		w := kind
		w.take(seed)
		if t.Failed() {
			return
		}
		steps, unknown = steps+w.steps, unknown+w.unknown
	}
	t.Logf("%d of %d predictions say that an outcome is unknown", unknown, steps)
	// More steps than usual may depend on the content of another stage in a single walk, but
	// not in many.
	most := steps / 4
	if steps > 5000 {
		most = steps / 20
	}
	if unknown > most && !kind.blind {
		t.Errorf("%d of %d predictions say that an outcome is unknown, want at most %d", unknown, steps, most)
	}
}

// take takes the walk that follows from seed, in a new repository. It stops at a failure.
func (w *walk) take(seed uint64) {
	w.Rand, w.seed, w.dir = mathrand.New(mathrand.NewPCG(seed, 7)), seed, w.t.TempDir()
	w.nonce = strings.ToLower(rand.Text())
	w.draw()
	w.args, w.causes.moment = map[string]string{"V": "0"}, excusesOfNow{started: true}
	w.declare()
	if w.imports {
		w.write("stoker.yaml", "prewarm: {level: off}\n")
	}
	if _, err := w.daemon.Up(w.t.Context(), api.UpRequest{Dir: w.dir, Allow: w.imports}); err != nil {
		w.t.Fatal(err)
	}
	for n := range 12 {
		w.step(n)
		if w.t.Failed() {
			return
		}
	}
	if _, err := w.daemon.Down(w.t.Context(), api.DownRequest{Dir: w.dir}); err != nil {
		w.t.Fatal(err)
	}
}

// TestPredictAfterWarm: steps that stoker itself has warmed are predicted to hit, and later
// ones to run.
func TestPredictAfterWarm(t *testing.T) {
	r := startOn(t, lab.For(t).Address())
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
		// Other tests use the same builder, and may have it list results alike for the
		// first two steps. Then their outcomes are unknown.
		{"deps", []string{"", "", "hit", "miss", "miss"}},
		{"all", []string{"hit", "hit", "hit", "hit", "hit"}},
	} {
		query := api.Query{Dir: dir}
		if err := r.Warm(t.Context(), api.WarmRequest{Query: query, Level: tt.level}, func(api.WarmEvent) {}); err != nil {
			t.Fatal(err)
		}
		for i, s := range r.foretold(query) {
			if tt.want[i] != "" && s.Outcome != tt.want[i] {
				t.Errorf("warmed to %s, %s is predicted to be a %s, want %s: %+v", tt.level, s.Name, s.Outcome, tt.want[i], s.Cause)
			}
		}
	}
}

// TestPredictAfterFailure: after a build that failed, the steps that it made are predicted to
// hit and the one that failed to run again, whoever made the build. With other files the
// steps that take them run.
func TestPredictAfterFailure(t *testing.T) {
	r := startOn(t, lab.For(t).Address())
	for _, who := range []string{"a warm-up", "another client"} {
		dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
		query := api.Query{Dir: dir}
		// The nonce is in each step, since the builder lists results of other tests, too.
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
			r.recorded(dir, &other)
			return err
		}
		predicted := func(when, want string) { t.Helper(); r.predicts(dir, when+", after "+who, want) }
		if err := build(); err != nil {
			t.Fatal(err)
		}
		predicted("as built", "hit hit hit")
		write(t, filepath.Join(dir, "src", "check"), "exit 1")
		if err := build(); err == nil {
			t.Fatal("the build with a failing check succeeded")
		}
		predicted("as failed", "hit miss miss")
		write(t, filepath.Join(dir, "src", "check"), "exit 0 # mended")
		predicted("once mended", "miss miss miss")
		write(t, filepath.Join(dir, "src", "check"), "exit 0")
		predicted("taken back", "hit hit hit")
	}
}

// TestPredictRepeat: all steps of a build that was just made are predicted to hit, even if a
// step copies the same files from a stage as it did from two earlier versions of it, so that
// nobody knows whose result it has reused.
func TestPredictRepeat(t *testing.T) {
	r := startOn(t, lab.For(t).Address())
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
		r.recorded(dir, &other)
		r.predicts(dir, "as built with "+step.command, "hit hit hit hit")
	}
}

// ask returns the predicted steps of the first definition that query selects.
func (r *running) ask(query api.Query) []api.StepPrediction {
	r.t.Helper()
	answer, err := r.Predict(r.t.Context(), api.PredictRequest{Query: query})
	if err != nil {
		r.t.Fatal(err)
	}
	return answer.Definitions[0].Steps
}

// foretold is ask for a builder that other tests use, too. It waits until none of their
// builds without cache makes a step unknown.
func (r *running) foretold(query api.Query) []api.StepPrediction {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		steps := r.ask(query)
		if !slices.ContainsFunc(steps, func(s api.StepPrediction) bool { return s.Cause != nil && s.Cause.Kind == "run-anew" }) || time.Now().After(deadline) {
			return steps
		}
	}
}

// predicts checks the predicted outcomes of the only definition of dir, which are separated
// by spaces in want. when says in a failure what was done before.
func (r *running) predicts(dir, when, want string) {
	r.t.Helper()
	var steps []api.StepPrediction
	for range 10 { // each question waits a while for the daemon to know of all builds and results
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

// TestPredictAfterVerify: the steps that the builds of a verification made are predicted to
// hit, with the files as they are and as the verified proposal has them.
func TestPredictAfterVerify(t *testing.T) {
	r := startOn(t, lab.For(t).Address())
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
		if verdict := r.verify(dir, now, proposed); verdict == nil || verdict.Outcome == api.VerifiedFailed {
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
				t.Errorf("%s: another client's build should reuse %s; it ran: %v", name, step, ran)
			}
		}
		if t.Failed() {
			r.logBuild(dir, nonce, &other)
			return
		}
	}
}

// verify has the daemon verify the proposal to change the files of dir that are now as given,
// and returns its verdict, nil if there was none.
func (r *running) verify(dir string, now, proposed map[string]string) *api.Verification {
	r.t.Helper()
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
	if err := r.Verify(r.t.Context(), req, func(e api.VerifyEvent) { verdict = e.Verification }); err != nil {
		r.t.Fatal(err)
	}
	return verdict
}

// logBuild logs, to explain a failure, the outcomes and causes of the steps of a build that
// another client just made, and the results with nonce that the builder lists, with the keys
// by which it finds them.
func (r *running) logBuild(dir, nonce string, other *walk) {
	r.t.Helper()
	r.recorded(dir, other)
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
			r.logKeys(lab.For(r.t).CacheDB(), u.ID)
		}
	}
}

// logKeys logs the keys of a result in a copy of the builder's cache, and what leads to
// each of them. It logs none if the builder lost the keys of a result that it lists.
func (r *running) logKeys(name, result string) {
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
