package daemon_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/daemon"
)

// failing is a repository whose tests pass for as long as src/a says so.
func failing(t *testing.T, nonce string) string {
	return repository(t, map[string]string{
		"Dockerfile": `FROM busybox AS build
WORKDIR /` + nonce + `
COPY lock ./
RUN cat lock
COPY src src
RUN echo "$MODE"; grep -q ok src/a || exit 3
RUN echo done
FROM busybox
COPY --from=build /` + nonce + ` /app
`,
		"lock": nonce, "src/a": "ok", "src/b": nonce,
	})
}

// told writes what is said of a build, one line for each step.
func told(w api.Why) string {
	text := fmt.Sprintf("%s %d/%d %s\n", w.Status, w.Hits, w.Needed, w.Error)
	for _, s := range w.Steps {
		text += s.Outcome + " "
		if s.Cause == nil {
			_, name, _ := strings.Cut(s.Name, "] ")
			text += name + "\n"
			continue
		}
		line := causeLine(s)
		if s.Cause.Kind == "input" {
			line += " " + s.Cause.Step
		}
		if s.Cause.Reason != "" {
			line += " " + s.Cause.Reason
		}
		text += line + "\n"
	}
	return text
}

// TestWhyFailed: a builder keeps nothing of a build that failed. What broke the cache
// before it did is told all the same where that is sure, whichever client built.
func TestWhyFailed(t *testing.T) {
	for _, client := range []string{"plain", "buildx"} {
		t.Run(client, func(t *testing.T) { whyFailed(t, client == "buildx") })
	}
}

func whyFailed(t *testing.T, buildx bool) {
	nonce := strings.ToLower(rand.Text())
	root, home := failing(t, nonce), t.TempDir()
	state := ""
	if buildx {
		state = filepath.Join(home, ".docker", "buildx")
	}
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	r := start(t, home, env, change)
	r.up(root, false)
	ends := func(ok bool, attrs map[string]string) {
		t.Helper()
		if err := build(t, root, state, attrs); (err == nil) != ok {
			t.Fatalf("the build ended with %v", err)
		}
	}
	expect := func(n int, want string) {
		t.Helper()
		if d := cmp.Diff(strings.ReplaceAll(want, "NONCE", nonce), told(r.why(root, n, api.WhyRequest{}))); d != "" {
			t.Errorf("build %d (-want +got):\n%s", n, d)
		}
	}
	ends(true, nil)
	r.why(root, 1, api.WhyRequest{}) // what it took is read by then
	write(t, filepath.Join(root, "src", "a"), "bad")
	ends(false, nil)
	expect(2, `failed 3/5 [build 6/7] RUN failed, exit code 3
hit WORKDIR /NONCE
hit COPY lock ./
hit RUN cat lock
executed COPY src src: files src/a content
failed RUN echo "$MODE"; grep -q ok src/a || exit 3: input [build 5/7] COPY src src
skipped RUN echo done
skipped COPY --from=build /NONCE /app
`)
	ends(false, nil)
	const again = `failed 4/5 [build 6/7] RUN failed, exit code 3
hit WORKDIR /NONCE
hit COPY lock ./
hit RUN cat lock
hit COPY src src
failed RUN echo "$MODE"; grep -q ok src/a || exit 3: files src/a content
skipped RUN echo done
skipped COPY --from=build /NONCE /app
`
	expect(3, again)
	ends(false, map[string]string{"no-cache": ""})
	if got := causes(r.why(root, 4, api.WhyRequest{})); len(got) != 1 || got["COPY lock ./"] != "no-cache" {
		t.Errorf("without the cache, what ran first ran because of %v", got)
	}
	write(t, filepath.Join(root, "src", "a"), "ok")
	ends(true, nil)
	expect(5, `completed 7/7 
hit WORKDIR /NONCE
hit COPY lock ./
hit RUN cat lock
hit COPY src src
hit RUN echo "$MODE"; grep -q ok src/a || exit 3
hit RUN echo done
hit COPY --from=build /NONCE /app
`)
	write(t, filepath.Join(root, "src", "a"), "bad")
	ends(false, map[string]string{"build-arg:OTHER": "which no step sees"})
	expect(6, again)
}

// TestWhyFailedIsUnsure: where what failed is not surely what stoker reads, causes are
// not known, and how steps hang together is.
func TestWhyFailedIsUnsure(t *testing.T) {
	nonce := strings.ToLower(rand.Text())
	root, home := failing(t, nonce), t.TempDir()
	state := filepath.Join(home, ".docker", "buildx")
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	quiet := func(o *daemon.Options) { change(o); o.Env = nil }
	r := start(t, home, env, quiet)
	r.connected()
	r.up(root, false)
	fail := func(attrs map[string]string) {
		t.Helper()
		if err := build(t, root, state, attrs); err == nil {
			t.Fatal("a build that fails did not")
		}
	}
	reason := func(n int, breaker, want string) {
		t.Helper()
		w := r.why(root, n, api.WhyRequest{Step: breaker})
		if c := w.Steps[0].Cause; c == nil || c.Kind != "unknown" || c.Reason != want {
			t.Errorf("%s: the cause is %+v, want that it is not known (%s)", w.Error, c, want)
		}
		if f := r.why(root, n, api.WhyRequest{Step: "grep"}).Steps[0]; f.Outcome != "failed" || f.Cause.Kind != "input" || !strings.Contains(f.Cause.Step, "COPY src src") {
			t.Errorf("what failed is said to have %s after %+v", f.Outcome, f.Cause)
		}
	}
	if err := build(t, root, state, nil); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "src", "a"), "bad by a network")
	fail(map[string]string{"force-network-mode": "none"})
	reason(2, "RUN cat", "unmatched")

	// Somebody edits the Dockerfile while it is built.
	slow := strings.Replace(string(text), "COPY src src", "COPY src src\nRUN until test -e /gone || test $((i=i+1)) -gt 3; do sleep 1; done; : "+nonce, 1)
	write(t, filepath.Join(root, "Dockerfile"), slow)
	write(t, filepath.Join(root, "src", "a"), "bad meanwhile")
	ended := make(chan error, 1)
	go func() { ended <- buildUntil(t.Context(), t, root, state, nil) }()
	awaitProcess(t, nonce)
	write(t, filepath.Join(root, "Dockerfile"), slow+"\nRUN echo edited\n")
	if err := <-ended; err == nil {
		t.Fatal("a build that fails did not")
	}
	w := r.why(root, 3, api.WhyRequest{Step: "COPY src"})
	if c := w.Steps[0].Cause; c == nil || c.Reason != "moving" {
		t.Errorf("the Dockerfile was edited meanwhile, and the cause is %+v", c)
	}

	r.end()
	write(t, filepath.Join(root, "Dockerfile"), string(text))
	write(t, filepath.Join(root, "src", "a"), "bad while nobody watched")
	fail(nil)
	r = start(t, home, env, quiet)
	reason(4, "COPY src", "unwatched")

	write(t, filepath.Join(root, "Dockerfile"), "FROM 127.0.0.1:1/"+nonce+"\nRUN true\n")
	r.wait(root, "the edit", func(repo api.Repository) bool { return repo.Definitions[0].Steps == 1 })
	fail(nil)
	if w := r.why(root, 5, api.WhyRequest{}); len(w.Steps) > 0 || w.Error == "" {
		t.Errorf("before the first step: %+v", w)
	}
}

// TestWhyCanceled: of a build that was given up, what had run by then has a cause.
func TestWhyCanceled(t *testing.T) {
	nonce := strings.ToLower(rand.Text())
	root := repository(t, map[string]string{"Dockerfile": "FROM busybox\nCOPY src /src\nRUN sleep 600; : " + nonce + "\nRUN true\n", "src/a": nonce})
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	r := start(t, t.TempDir(), env, change)
	r.up(root, false)
	// Once the daemon has seen a build it sees the next one begin: a builder that tests
	// share has a history to be read before.
	other := repository(t, map[string]string{"Dockerfile": "FROM busybox\nRUN true " + nonce + "\n"})
	r.up(other, false)
	if err := build(t, other, "", nil); err != nil {
		t.Fatal(err)
	}
	r.wait(other, "the first build", func(repo api.Repository) bool { return repo.Definitions[0].Last != nil })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- buildUntil(ctx, t, root, "", nil) }()
	awaitProcess(t, nonce)
	cancel()
	if err := <-ended; err == nil {
		t.Fatal("a build that was given up ended well")
	}
	if d := cmp.Diff("canceled 0/1 \nexecuted COPY src /src: first\nskipped RUN sleep 600; : "+nonce+"\nskipped RUN true\n", told(r.why(root, 1, api.WhyRequest{}))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// awaitProcess returns when a step that has mark in its command runs.
func awaitProcess(t *testing.T, mark string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for {
		files, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if data, err := os.ReadFile(name); err == nil && bytes.Contains(data, []byte(mark)) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no step with %s runs", mark)
		}
	}
}
