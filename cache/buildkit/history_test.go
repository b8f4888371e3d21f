package buildkit_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// waitFor returns once the build's status says that a step with the text in
// its name runs.
func waitFor(status chan *client.SolveStatus, text string, then func()) {
	var once sync.Once
	for s := range status {
		for _, l := range s.Logs {
			if strings.Contains(string(l.Data), text) {
				once.Do(then)
			}
		}
	}
}

func TestWatchSeesStartAndEnd(t *testing.T) {
	b, c := connect(t), otherClient(t)
	dir, _ := project(t, fullFile)
	var mu sync.Mutex // guards seen
	seen := map[string][]buildkit.EventType{}
	ctx, cancel := context.WithCancel(t.Context())
	watching := make(chan struct{})
	ended := make(chan error, 1)
	var ready sync.Once
	go func() {
		ended <- b.Watch(ctx, func(ev buildkit.Event) error {
			ready.Do(func() { close(watching) })
			mu.Lock()
			defer mu.Unlock()
			seen[ev.Ref] = append(seen[ev.Ref], ev.Type)
			return nil
		})
	}()
	// The history may be empty: a first build gives the stream something to say.
	if _, err := build(t.Context(), t, c, dir, nil, nil); err != nil {
		t.Fatal(err)
	}
	<-watching
	ref, err := build(t.Context(), t, c, dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := observe(t, b, ref)
	marker, err := build(t.Context(), t, c, dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	observe(t, b, marker)
	cancel()
	if err := <-ended; err == nil {
		t.Error("Watch returned nil")
	}
	mu.Lock()
	defer mu.Unlock()
	if got := fmt.Sprint(seen[ref]); !strings.HasPrefix(got, "[started complete") {
		t.Errorf("the build was %s", got)
	}
	if o.Record.Builder == "" || o.Record.Ref != ref || o.Record.Seconds() <= 0 {
		t.Errorf("record of %q %q with %v s", o.Record.Builder, o.Record.Ref, o.Record.Seconds())
	}
}

func TestCanceled(t *testing.T) {
	b, c := connect(t), otherClient(t)
	dir, _ := project(t, "FROM busybox\nRUN echo running-"+rand.Text()+" && sleep 600\nRUN echo after\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	status := make(chan *client.SolveStatus)
	var wg sync.WaitGroup
	wg.Go(func() { waitFor(status, "running-", cancel) })
	ref, err := build(ctx, t, c, dir, nil, status)
	wg.Wait()
	if err == nil {
		t.Fatal("the build was not canceled")
	}
	r := observe(t, b, ref).Record
	if r.Status != cache.Canceled || r.Error != "" {
		t.Errorf("status %s, error %q", r.Status, r.Error)
	}
	if got, want := outcomes(r), "skipped skipped"; got != want {
		t.Errorf("outcomes %q, want %q", got, want)
	}
}

// Two clients that build the same at the same time share one run of each step.
func TestJoined(t *testing.T) {
	b, first, second := connect(t), otherClient(t), otherClient(t)
	dir, _ := project(t, "FROM busybox\nCOPY deps /deps\nRUN echo running-"+rand.Text()+" && sleep 3\n")
	var wg sync.WaitGroup
	var results [2]cache.Record
	record := func(i int, ref string, err error) {
		if err != nil {
			t.Error(err)
			return
		}
		results[i] = observe(t, b, ref).Record
	}
	status := make(chan *client.SolveStatus)
	wg.Go(func() {
		waitFor(status, "running-", func() {
			wg.Go(func() {
				ref, err := build(t.Context(), t, second, dir, nil, nil)
				record(1, ref, err)
			})
		})
	})
	ref, err := build(t.Context(), t, first, dir, nil, status)
	record(0, ref, err)
	wg.Wait()
	if got := outcomes(results[0]); got != "executed cascaded" {
		t.Errorf("the first build: %s", got)
	}
	if got := outcomes(results[1]); got != "hit joined" {
		t.Errorf("the build that came while it ran: %s", got)
	}
}

// buildMeanwhile has two clients build a folder each, the second one while the first runs
// a step that says "running-", and returns the record of the second.
func buildMeanwhile(t *testing.T, b *buildkit.Builder, dirs [2]string, attrs [2]map[string]string) (got cache.Record) {
	t.Helper()
	first, second := otherClient(t), otherClient(t)
	var wg sync.WaitGroup
	status := make(chan *client.SolveStatus)
	wg.Go(func() {
		waitFor(status, "running-", func() {
			wg.Go(func() {
				ref, err := build(t.Context(), t, second, dirs[1], attrs[1], nil)
				if err != nil {
					t.Error(err)
					return
				}
				got = observe(t, b, ref).Record
			})
		})
	})
	if _, err := build(t.Context(), t, first, dirs[0], attrs[0], status); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	return got
}

// A build of another target shares the run of a stage that both need. Its own steps on
// that stage tell when it was there, and the step that it waited for is joined.
func TestJoinedByAnotherTarget(t *testing.T) {
	b := connect(t)
	nonce := rand.Text()
	dir, _ := project(t, "FROM busybox AS base\nCOPY deps /deps\nRUN echo running-"+nonce+" && sleep 3\n"+
		"FROM base AS one\nRUN echo one-"+nonce+"\nFROM base AS two\nRUN echo two-"+nonce+"\n")
	got := buildMeanwhile(t, b, [2]string{dir, dir}, [2]map[string]string{{"target": "one"}, {"target": "two"}})
	if got := outcomes(got); got != "hit joined cascaded" {
		t.Errorf("the build of another target that came while it ran: %s", got)
	}
}

// While a build runs, those of others that share its operations go by its names.
func TestForeignNames(t *testing.T) {
	b := connect(t)
	shared := "FROM busybox\nWORKDIR /w\nCOPY deps /deps\nRUN echo shared-" + rand.Text() + "\n"
	long, _ := project(t, shared+"RUN echo running-"+rand.Text()+" && sleep 3\n")
	short, _ := project(t, shared)
	got := buildMeanwhile(t, b, [2]string{long, short}, [2]map[string]string{})
	var prefixes []string
	for _, s := range got.Steps {
		prefix, _, _ := strings.Cut(s.Name, "] ")
		prefixes = append(prefixes, fmt.Sprintf("%s] %d/%d", prefix, s.Index, s.Total))
	}
	if got := strings.Join(prefixes, ", "); got != "[2/4] 2/4, [3/4] 3/4, [4/4] 4/4" {
		t.Errorf("the steps of four are %s", got)
	}
}

func TestJoinFacts(t *testing.T) {
	home := t.TempDir()
	env := emptyEnv(t)
	env.Home = home
	b, c := connectAs(t, env), otherClient(t)
	dir, _ := project(t, fullFile)
	if err := os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte("*.log\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ref, err := build(t.Context(), t, c, dir, map[string]string{
		"build-arg:MODE": canary, "build-arg:B": canary, "no-cache": "",
		"vcs:source": "https://user:" + canary + "@example.com/r.git", "vcs:revision": "abc", "vcs:localdir:context": ".",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(home, ".docker", "buildx", "refs", "ci", "ci0", ref)
	if err := os.MkdirAll(filepath.Dir(state), 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"Target":"default","LocalPath":%q,"DockerfilePath":%q}`, dir, filepath.Join(dir, "Dockerfile"))
	if err := os.WriteFile(state, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	o := observe(t, b, ref)
	noCanary(t, o)
	j := o.Join
	if j.LocalContext != dir || j.LocalDockerfile != filepath.Join(dir, "Dockerfile") {
		t.Errorf("context %q and Dockerfile %q, want those in %s", j.LocalContext, j.LocalDockerfile, dir)
	}
	got := fmt.Sprintf("%v %v %s %s %s %v", j.ArgNames, j.NoCache, j.Filename, j.VCSRevision, j.VCSContext, j.RemoteContext)
	if want := "[B MODE] true Dockerfile abc . false"; got != want {
		t.Errorf("what the client told: %s, want %s", got, want)
	}
	if string(j.Dockerfile) != fullFile || len(j.DockerfileDigest) != 64 {
		t.Errorf("Dockerfile %q with digest %q", j.Dockerfile, j.DockerfileDigest)
	}
	if j.TransferBytes <= 0 || j.FixedSeconds <= 0 || j.FixedSeconds > o.Record.Seconds() {
		t.Errorf("%d bytes were sent, fixed are %v of %v s", j.TransferBytes, j.FixedSeconds, o.Record.Seconds())
	}
}
