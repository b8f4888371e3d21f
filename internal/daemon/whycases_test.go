package daemon_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/daemon"
	"github.com/stokerd/stoker/internal/lab"
)

// why waits until n builds of the repository at root are recorded, and returns the answer to
// req.
func (r *running) why(root string, n int, req api.WhyRequest) api.Why {
	r.t.Helper()
	r.wait(root, "the build", func(repo api.Repository) bool { return len(repo.Definitions) > 0 && repo.Definitions[0].Builds == n })
	req.Dir = root
	answer, err := r.Why(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer
}

// causes returns the kinds of the causes of the steps that broke the cache, by instruction,
// each with the name of the variable that it is about, if there is one.
func causes(w api.Why) map[string]string {
	found := map[string]string{}
	for _, s := range w.Steps {
		if s.Outcome == "executed" {
			_, instruction, _ := strings.Cut(s.Name, "] ")
			found[instruction] = s.Cause.Kind
			if s.Cause.Name != "" {
				found[instruction] += " " + s.Cause.Name
			}
		}
	}
	return found
}

// TestWhyTellsNoValue builds with secret values in all the places where an arg may be used.
// None of them may be stored, logged or told, and still each arg must be named as a cause.
func TestWhyTellsNoValue(t *testing.T) {
	nonce := strings.ToLower(rand.Text())
	root := repository(t, map[string]string{
		"Dockerfile": `FROM busybox AS one
ARG TOKEN
ARG DEST=/plain
ARG LIST
ENV COPY_OF=$TOKEN
RUN echo ` + nonce + ` $TOKEN
FROM busybox AS two
ARG DEST
WORKDIR /$DEST/` + nonce + `
FROM busybox AS three
ARG LIST
COPY <<EOF /list
` + nonce + ` $LIST
EOF
FROM busybox AS four
ARG LIST
ENV N_$LIST=` + nonce + `
RUN echo ` + nonce + `
FROM busybox
COPY --from=one /etc /one
COPY --from=two / /two
COPY --from=three /list /three
COPY --from=four /etc /four
`,
		"x": "x",
	})
	book := &logbook{}
	env, change := onLab(t, "prewarm: {level: off}\n", book)
	r := start(t, t.TempDir(), env, change)
	r.up(root, false)
	r.connected()
	attrs := func(suffix string) map[string]string {
		return map[string]string{"build-arg:TOKEN": canary + suffix, "build-arg:DEST": canary + suffix, "build-arg:LIST": canary + suffix}
	}
	if err := build(t, root, "", attrs("a")); err != nil {
		t.Fatal(err)
	}
	first := r.why(root, 1, api.WhyRequest{})
	if err := build(t, root, "", attrs("b")); err != nil {
		t.Fatal(err)
	}
	second := r.why(root, 2, api.WhyRequest{})
	for instruction, want := range map[string]string{
		"RUN echo " + nonce + " $TOKEN": "arg TOKEN", "WORKDIR /$DEST/" + nonce: "arg DEST", "COPY <<EOF /list": "arg LIST",
	} {
		got := causes(second)[instruction]
		copied := want == "arg TOKEN" && got == "env COPY_OF" // a variable with the same value
		if !strings.HasPrefix(got, want) && !copied {
			t.Errorf("%s ran because of %q, want %q; all: %v", instruction, got, want, causes(second))
		}
	}
	r.noCanary(book, nil)
	said, err := json.Marshal([]any{first, second, r.why(root, 2, api.WhyRequest{Against: first.Ref})})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(said, []byte(canary)) {
		t.Errorf("why says the value of an arg: %s", said)
	}
}

// waitForClock waits until files that were written before are older than a build that begins
// now, even if a clock is a little wrong.
func waitForClock(t *testing.T) {
	t.Helper()
	waitForAge(t, 50*time.Millisecond)
}

// waitForAge waits until files that are written now are of that age, by the clock that stamps
// them.
func waitForAge(t *testing.T, age time.Duration) {
	t.Helper()
	probe := filepath.Join(t.TempDir(), "probe")
	var began time.Time
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		write(t, probe, "")
		fi, err := os.Stat(probe)
		if err != nil {
			t.Fatal(err)
		}
		if began.IsZero() {
			began = fi.ModTime()
		}
		if fi.ModTime().Sub(began) > age {
			return
		}
	}
}

// TestWhyAfterRestart: stored evidence outlives the daemon. Of a build that ran while the
// daemon was off, the operations are known, and the files that did not change since.
func TestWhyAfterRestart(t *testing.T) {
	nonce := strings.ToLower(rand.Text())
	root := repository(t, map[string]string{
		"Dockerfile": "FROM busybox\nARG V=0\nRUN echo $V " + nonce + "\nFROM busybox\nCOPY src /src\nCOPY --from=0 /etc /etc0\n# " + nonce + "\n", "src/a": nonce,
	})
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	quiet := func(o *daemon.Options) { change(o); o.Env = nil }
	home, file := t.TempDir(), filepath.Join(root, "src", "a")
	built := func(attrs map[string]string) {
		t.Helper()
		if err := build(t, root, "", attrs); err != nil {
			t.Fatal(err)
		}
	}
	another := map[string]string{"build-arg:V": "1"}
	r := start(t, home, env, quiet)
	r.up(root, false)
	r.connected()
	built(nil)
	r.why(root, 1, api.WhyRequest{})
	r.end()

	write(t, file, nonce+"while off")
	waitForClock(t)
	built(another)
	r = start(t, home, env, quiet)
	off := r.why(root, 2, api.WhyRequest{})
	if got := causes(off); got["RUN echo $V "+nonce] != "arg V" || got["COPY src /src"] != "files" {
		t.Errorf("a build while the daemon was off, of files that did not change since, ran because of %v, want arg V and files", got)
	}
	r.end()

	write(t, file, nonce+"while off again")
	waitForClock(t)
	built(another)
	write(t, file, nonce+"and changed since")
	r = start(t, home, env, quiet)
	off = r.why(root, 3, api.WhyRequest{})
	if got := causes(off); !strings.HasPrefix(got["COPY src /src"], "unknown") {
		t.Errorf("a build while the daemon was off, of a file that changed since, ran because of %v, want unknown", got)
	}
	for _, s := range off.Steps {
		if s.Cause != nil && s.Cause.Kind == "unknown" && (s.Cause.Reason != "unwatched" || !strings.Contains(s.Cause.Text, "daemon was off")) {
			t.Errorf("the cause of %s is unknown because of %+v, want that the daemon was off", s.Name, s.Cause)
		}
	}

	write(t, file, nonce+"watched again")
	if err := os.Chmod(file, 0o664); err != nil {
		t.Fatal(err)
	}
	built(another)
	r.checkWatchedAgain(root)
}

// checkWatchedAgain checks the answers about the fourth build of TestWhyAfterRestart, which is
// compared with the second, as the files of the third are not known.
func (r *running) checkWatchedAgain(root string) {
	r.t.Helper()
	fourth := r.why(root, 4, api.WhyRequest{Step: "COPY src"})
	if len(fourth.Steps) != 1 {
		r.t.Fatalf("%d steps are COPY src", len(fourth.Steps))
	}
	s := fourth.Steps[0]
	if s.Cause == nil || s.Cause.Kind != "files" || len(s.Cause.Paths) != 1 || s.Cause.Paths[0].Change != "content" ||
		s.Cause.Paths[0].Before != "644" || s.Cause.Paths[0].After != "664" {
		r.t.Errorf("COPY src ran because of %+v, want the content of a file and its mode from 644 to 664", s.Cause)
	}
	stats, err := r.Stats(r.t.Context(), api.StatsRequest{Since: 3600, Dir: root})
	if err != nil {
		r.t.Fatal(err)
	}
	blamed := ""
	for _, b := range stats.Definitions[0].Breakers {
		for _, c := range b.Causes {
			blamed += b.Name + " " + c.Path + ";"
		}
	}
	if strings.Count(blamed, "COPY src /src src/a;") != 1 || strings.Count(blamed, ";") != 2 {
		r.t.Errorf("statistics blame %q, want COPY src /src once for src/a, and one more", blamed)
	}
	if second := r.why(root, 4, api.WhyRequest{Build: s.Against[:10]}); second.Ref != s.Against || second.Steps[0].Cause.Kind != "arg" {
		r.t.Errorf("the beginning of a ref finds %s, whose first step ran because of %+v, want %s and an arg", second.Ref, second.Steps[0].Cause, s.Against)
	}
	for _, bad := range []api.WhyRequest{{Build: "nonsense"}, {Against: "nonsense"}, {Step: "nonsense"}, {Against: fourth.Ref}} {
		bad.Dir = root
		if _, err := r.Why(r.t.Context(), bad); err == nil {
			r.t.Errorf("%+v is answered, want an error", bad)
		}
	}
}

// TestWhyUndeclaredContext: a folder that only the client names is not looked for, and it
// is said that nothing tells which one it was. What the steps take of it is not known. So it
// is where buildx was given a Dockerfile that is of no definition.
func TestWhyUndeclaredContext(t *testing.T) {
	for _, file := range []string{"Dockerfile", "recipe"} {
		t.Run(file, func(t *testing.T) { testUndeclaredContext(t, file) })
	}
}

func testUndeclaredContext(t *testing.T, file string) {
	nonce := strings.ToLower(rand.Text())
	take := "COPY --from=lib file /" + nonce + "\n"
	files := map[string]string{"Dockerfile": "FROM busybox\nCOPY src /src\n" + take, "src/a": nonce}
	if file != "Dockerfile" { // nor is it known then what it took of the main context
		files = map[string]string{"Dockerfile": "FROM busybox\n", "src/a": nonce, file: "FROM busybox AS own\nCOPY src /src\n" +
			"FROM busybox\nENV A=" + nonce + "\n" + take + "COPY --from=own src /src\n"}
	}
	root := repository(t, files)
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	home := t.TempDir()
	r := start(t, home, env, change)
	r.up(root, false)
	r.connected()
	lib := t.TempDir()
	mounts := map[string]fsutil.FS{}
	for name, folder := range map[string]string{"context": root, "dockerfile": root, "lib": lib} {
		fs, err := fsutil.NewFS(folder)
		if err != nil {
			t.Fatal(err)
		}
		mounts[name] = fs
	}
	c := dial(t, lab.For(t).Address())
	var last api.Why
	build := func(edited string) {
		write(t, edited, rand.Text())
		ref := "lib" + rand.Text()
		if file != "Dockerfile" {
			state := filepath.Join(home, ".docker", "buildx", "refs", "b", "n", ref)
			write(t, state, `{"LocalPath": "`+root+`", "DockerfilePath": "`+filepath.Join(root, file)+`"}`)
		}
		_, err := c.Solve(t.Context(), nil, client.SolveOpt{
			Ref: ref, Frontend: "dockerfile.v0", LocalMounts: mounts,
			FrontendAttrs: map[string]string{"filename": file, "context:lib": "local:lib"},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.wait(root, "the build", func(api.Repository) bool {
			last, err = r.Why(t.Context(), api.WhyRequest{Dir: root, Build: ref})
			return err == nil
		})
	}
	ran := func(step string, want string) {
		t.Helper()
		i := slices.IndexFunc(last.Steps, func(s api.WhyStep) bool { return strings.Contains(s.Name, step) })
		if s := last.Steps[i]; s.Outcome != "executed" || s.Cause == nil || s.Cause.Reason != "undeclared" || s.Cause.Text != want {
			t.Errorf("%s: %s because of %+v, want it executed, and %q", s.Name, s.Outcome, s.Cause, want)
		}
	}
	build(filepath.Join(lib, "file"))
	build(filepath.Join(lib, "file"))
	ran("COPY --from=lib", "not known: this build was given the folder of context lib by its client, which tells nobody which one that is (declare it in a compose or bake file)")
	if file != "Dockerfile" {
		build(filepath.Join(root, "src/a"))
		ran("COPY src", "not known: no definition describes this build, so nobody watched its files while it ran (declare it in a compose or bake file)")
	}
}
