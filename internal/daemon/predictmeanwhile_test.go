package daemon_test

import (
	"context"
	"crypto/rand"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/internal/api"
)

// TestPredictEditedMeanwhile edits a file while it is sent. Nobody knows then in which state
// it was, even if the edit was taken back before the build ended: so no cause is told of the
// step that takes it, and no prediction about either state may be wrong.
func TestPredictEditedMeanwhile(t *testing.T) {
	r, builder := startOwn(t)
	put := func(text string) func(*walk) { return func(w *walk) { w.write("src/a", w.nonce+text) } }
	tests := []struct {
		name                   string
		listing, reading, read func(*walk) // what is done before the file is listed, before it is read, and after
		walk                   *walk
	}{
		{name: "listed as another one, which stays", listing: put("bb")},
		{name: "listed as another one, and taken back", listing: put("bb"), read: put("a")},
		{name: "read as another one, which stays", reading: put("bb")},
		{name: "read as another one, and taken back", reading: put("bb"), read: put("a")},
		{name: "edited once it was read", read: put("bb")},
		{name: "touched", reading: put("a")},
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
			w.buildBusily(tt.listing, tt.reading, tt.read)
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

// buildBusily has another client build the repository while somebody else edits it: before the
// client lists src/a, before it reads it, and once it has. The functions may be nil.
func (w *walk) buildBusily(listing, reading, read func(*walk)) {
	w.t.Helper()
	files, err := fsutil.NewFS(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	// If the daemon takes longer to see that the build begins, less is shown, and nothing fails.
	const toSeeIt = 300 * time.Millisecond
	once := func(edit func(*walk)) func(string) {
		return func(path string) {
			if path == "src/a" && edit != nil {
				waitForAge(w.t, toSeeIt)
				edit(w)
				edit = nil
			}
		}
	}
	w.last = "busy" + rand.Text()
	_, err = w.builder.Solve(w.t.Context(), nil, client.SolveOpt{
		Ref: w.last, Frontend: "dockerfile.v0", FrontendAttrs: map[string]string{"filename": "Dockerfile"},
		LocalMounts: map[string]fsutil.FS{"context": &busyFS{files, once(listing), once(reading), once(read)}, "dockerfile": files},
	}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
}

// A busyFS is a folder that changes while it is sent. It calls its functions with the path
// of each file, before that is listed, before it is opened, and once it was read.
type busyFS struct {
	fsutil.FS
	listing, reading, read func(path string)
}

func (b *busyFS) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	return b.FS.Walk(ctx, target, func(path string, entry fs.DirEntry, err error) error {
		b.listing(path)
		return fn(path, entry, err)
	})
}

func (b *busyFS) Open(path string) (io.ReadCloser, error) {
	b.reading(path)
	file, err := b.FS.Open(path)
	return closer{file, func() { b.read(path) }}, err
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
