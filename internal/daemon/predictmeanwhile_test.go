package daemon_test

import (
	"context"
	"crypto/rand"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/internal/api"
)

// TestPredictEditedMeanwhile edits a folder while it is sent. Nobody knows then in which state
// it was, even if the edit was taken back before the build ended, or the daemon saw nothing of
// the folder before the edit: so no cause is told of the step that takes it, and no prediction
// about either state may be wrong.
func TestPredictEditedMeanwhile(t *testing.T) {
	r, builder := startOwn(t)
	put := func(text string) func(*walk) { return func(w *walk) { w.write("src/a", w.nonce+text) } }
	add := func(w *walk) { w.write("src/b", w.nonce) }
	remove := func(w *walk) {
		if err := os.Remove(filepath.Join(w.dir, "src", "b")); err != nil {
			w.t.Error(err)
		}
	}
	tests := []struct {
		name  string
		edits transfer
		// The daemon does not come to look before the build has ended.
		asleep bool
		walk   *walk
	}{
		{name: "listed as another one, which stays", edits: transfer{"list src/a": put("bb")}},
		{name: "listed as another one, and taken back", edits: transfer{"list src/a": put("bb"), "close src/a": put("a")}},
		{name: "read as another one, which stays", edits: transfer{"open src/a": put("bb")}},
		{name: "read as another one, and taken back", edits: transfer{"open src/a": put("bb"), "close src/a": put("a")}},
		{name: "edited once it was read", edits: transfer{"close src/a": put("bb")}},
		{name: "touched", edits: transfer{"open src/a": put("a")}},
		{name: "a file comes, is read, and goes", edits: transfer{"list src": add, "close src/b": remove}},
		{name: "edited once it was read, and nobody looked before", edits: transfer{"close src/a": put("bb")}, asleep: true},
		{name: "a file comes and goes, and nobody looked before", edits: transfer{"list src": add, "close src/b": remove}, asleep: true},
	}
	for i := range tests {
		nonce := strings.ToLower(rand.Text())
		w := &walk{t: t, dir: t.TempDir(), daemon: r, builder: builder, nonce: nonce}
		w.write("Dockerfile", "FROM busybox\nCOPY src /"+nonce+"\nRUN echo "+nonce+"\n")
		w.write("src/a", nonce)
		if _, err := r.Up(t.Context(), api.UpRequest{Dir: w.dir}); err != nil {
			t.Fatal(err)
		}
		w.build()
		w.seen("the first build")
		put("a")(w)
		tests[i].walk = w
	}
	waitForAge(t, 2500*time.Millisecond) // a file that was just written is read again each time
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r.t, tt.walk.t = t, t
			w := tt.walk
			if got := outcomes(w.predict()); got != "miss miss" {
				t.Errorf("after an edit, predicted %s, want misses", got)
			}
			if tt.asleep {
				w.signal(syscall.SIGSTOP)
			}
			w.buildBusily(tt.edits)
			if tt.asleep {
				w.signal(syscall.SIGCONT)
			}
			w.seen("the build")
			why, err := r.Why(t.Context(), api.WhyRequest{Dir: w.dir, Step: "COPY src"})
			if err != nil {
				t.Fatal(err)
			}
			if s := why.Steps[0]; s.Outcome != "executed" || s.Cause == nil || s.Cause.Reason != "moving" {
				t.Errorf("%s: %s because of %+v, want executed, and unknown for the reason moving", s.Name, s.Outcome, s.Cause)
			}
			for _, state := range []string{"as it is then", "a", "bb", ""} {
				if state != "as it is then" {
					waitForClock(t)
					put(state)(w)
				}
				predicted := w.predict()
				w.compare(predicted, w.build(), "with state "+state, true)
				w.seen("the build")
			}
		})
	}
}

// signal sends a signal to the daemon.
func (w *walk) signal(s os.Signal) {
	w.t.Helper()
	if err := w.daemon.cmd.Process.Signal(s); err != nil {
		w.t.Fatal(err)
	}
}

// A transfer is what is done at moments of one, each once: before a path is listed ("list src"),
// before it is opened ("open src/a"), and once it was read ("close src/a").
type transfer map[string]func(*walk)

// buildBusily has another client build the repository while somebody else edits it.
func (w *walk) buildBusily(edits transfer) {
	w.t.Helper()
	files, err := fsutil.NewFS(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	// If the daemon takes longer to see that the build begins, less is shown, and nothing fails.
	const toSeeIt = 300 * time.Millisecond
	var mu sync.Mutex // guards done: files are read in parallel
	done := map[string]bool{}
	at := func(moment string) {
		mu.Lock()
		defer mu.Unlock()
		if edit := edits[moment]; edit != nil && !done[moment] {
			waitForAge(w.t, toSeeIt)
			edit(w)
			done[moment] = true
		}
	}
	w.last = "busy" + rand.Text()
	_, err = w.builder.Solve(w.t.Context(), nil, client.SolveOpt{
		Ref: w.last, Frontend: "dockerfile.v0", FrontendAttrs: map[string]string{"filename": "Dockerfile"},
		LocalMounts: map[string]fsutil.FS{"context": &busyFS{files, at}, "dockerfile": files},
	}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
}

// A busyFS is a folder that changes while it is sent. It calls its function at the moments
// of a transfer.
type busyFS struct {
	fsutil.FS
	at func(moment string)
}

func (b *busyFS) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	return b.FS.Walk(ctx, target, func(path string, entry fs.DirEntry, err error) error {
		b.at("list " + path)
		return fn(path, entry, err)
	})
}

func (b *busyFS) Open(path string) (io.ReadCloser, error) {
	b.at("open " + path)
	file, err := b.FS.Open(path)
	return closer{file, func() { b.at("close " + path) }}, err
}

// A closer calls a function once it is closed.
type closer struct {
	io.ReadCloser
	closed func()
}

func (c closer) Close() error {
	defer c.closed()
	return c.ReadCloser.Close()
}
