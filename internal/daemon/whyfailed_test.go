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

// failing returns a repository whose build fails unless there is "ok" in src/a.
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

// told returns the answer as text: a line about the build, and one for each step.
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

// TestWhyFailed: a builder does not keep the operations of a build that failed. Still, causes
// are told of all steps that ran, whichever client built.
func TestWhyFailed(t *testing.T) {
	for _, client := range []string{"plain", "buildx"} {
		t.Run(client, func(t *testing.T) { whyFailed(t, client == "buildx") })
	}
}

// whyFailed is TestWhyFailed with a client that keeps buildx's state, or a plain one.
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
	succeeds := func(attrs map[string]string) {
		t.Helper()
		if err := build(t, root, state, attrs); err != nil {
			t.Fatal(err)
		}
	}
	fails := func(attrs map[string]string) {
		t.Helper()
		if build(t, root, state, attrs) == nil {
			t.Fatal("the build succeeded, want that it fails")
		}
	}
	expect := func(n int, want string) {
		t.Helper()
		if d := cmp.Diff(strings.ReplaceAll(want, "NONCE", nonce), told(r.why(root, n, api.WhyRequest{}))); d != "" {
			t.Errorf("build %d (-want +got):\n%s", n, d)
		}
	}
	succeeds(nil)
	r.why(root, 1, api.WhyRequest{}) // so that the files it took are known
	write(t, filepath.Join(root, "src", "a"), "bad")
	fails(nil)
	expect(2, `failed 3/5 [build 6/7] RUN failed, exit code 3
hit WORKDIR /NONCE
hit COPY lock ./
hit RUN cat lock
executed COPY src src: files src/a content
failed RUN echo "$MODE"; grep -q ok src/a || exit 3: input [build 5/7] COPY src src
skipped RUN echo done
skipped COPY --from=build /NONCE /app
`)
	fails(nil)
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
	fails(map[string]string{"no-cache": ""})
	if got := causes(r.why(root, 4, api.WhyRequest{})); len(got) != 1 || got["COPY lock ./"] != "no-cache" {
		t.Errorf("without cache, steps ran because of %v, want COPY lock ./ because of no-cache alone", got)
	}
	write(t, filepath.Join(root, "src", "a"), "ok")
	succeeds(nil)
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
	fails(map[string]string{"build-arg:OTHER": "which no step sees"})
	expect(6, again)
}

// TestWhyFailedIsUnsure: if the build that failed may have been another one than stoker reads
// from the files, causes are unknown, but which steps need which is still told.
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
			t.Fatal("the build succeeded, want that it fails")
		}
	}
	reason := func(n int, breaker, want string) {
		t.Helper()
		w := r.why(root, n, api.WhyRequest{Step: breaker})
		if c := w.Steps[0].Cause; c == nil || c.Kind != "unknown" || c.Reason != want {
			t.Errorf("%s: the cause is %+v, want unknown for the reason %s", w.Error, c, want)
		}
		if f := r.why(root, n, api.WhyRequest{Step: "grep"}).Steps[0]; f.Outcome != "failed" || f.Cause.Kind != "input" || !strings.Contains(f.Cause.Step, "COPY src src") {
			t.Errorf("the step that failed is told to have %s because of %+v, want failed after COPY src src", f.Outcome, f.Cause)
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
		t.Fatal("the build succeeded, want that it fails")
	}
	w := r.why(root, 3, api.WhyRequest{Step: "COPY src"})
	if c := w.Steps[0].Cause; c == nil || c.Reason != "moving" {
		t.Errorf("the Dockerfile was edited during the build, and the cause is %+v, want unknown for the reason moving", c)
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
		t.Errorf("of a build that failed before its first step is told: %+v, want an error and no steps", w)
	}
}

// TestWhyCanceled: of a build that was canceled, the steps that had run by then have causes.
func TestWhyCanceled(t *testing.T) {
	nonce := strings.ToLower(rand.Text())
	root := repository(t, map[string]string{"Dockerfile": "FROM busybox\nCOPY src /src\nRUN sleep 600; : " + nonce + "\nRUN true\n", "src/a": nonce})
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	r := start(t, t.TempDir(), env, change)
	r.up(root, false)
	// The daemon first reads the history of a builder that other tests use, too. Once it has
	// recorded a build, it sees the next one begin.
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
		t.Fatal("a build that was canceled succeeded")
	}
	want := "canceled 0/1 \nexecuted COPY src /src: first\nskipped RUN sleep 600; : " + nonce + "\nskipped RUN true\n"
	if d := cmp.Diff(want, told(r.why(root, 1, api.WhyRequest{}))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// awaitProcess waits until a step runs that has mark in its command.
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
