package daemon_test

import (
	"crypto/rand"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/internal/api"
)

// editUnseen changes a file's content, but neither its size nor its times, so that a builder
// which has the file does not notice.
func editUnseen(t *testing.T, path, text string) {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(text)) != fi.Size() {
		t.Fatalf("%q is not of %d bytes", text, fi.Size())
	}
	write(t, path, text)
	if err := os.Chtimes(path, fi.ModTime(), fi.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// TestUnseenWhileOff: a change that the builder does not notice is known to the daemon, even
// if it was made while the daemon was off or just before it was killed, and even if a build
// ran meanwhile. Steps that do not take the file are predicted as usual.
func TestUnseenWhileOff(t *testing.T) {
	r, other := startOwn(t)
	for n, tt := range []struct {
		name   string
		kill   bool
		before bool // there is such an edit before the daemon ends, too, which is not built
		normal bool // while the daemon is off, the file is also edited in the usual way, and built
	}{
		{name: "off"},
		{name: "killed", kill: true},
		{name: "edited before it is killed", kill: true, before: true},
		{name: "built while it is off", normal: true},
		{name: "built after it was killed", kill: true, normal: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.t = t
			nonce := strings.ToLower(rand.Text())
			w := &walk{Rand: mathrand.New(mathrand.NewPCG(uint64(n), 1)), t: t, dir: t.TempDir(), daemon: r, builder: other, nonce: nonce}
			w.dockerfile = "FROM busybox\nCOPY other /other\nCOPY same /same\n# " + nonce + "\n"
			w.write("Dockerfile", w.dockerfile)
			w.write("same/file", nonce+"0")
			w.write("other/file", nonce)
			if _, err := r.Up(t.Context(), api.UpRequest{Dir: w.dir}); err != nil {
				t.Fatal(err)
			}
			w.build()
			w.seen("the build")
			if got := outcomes(w.predict()); got != "hit hit" {
				t.Fatalf("before the daemon stopped, predicted %s; want hit hit", got)
			}
			file := filepath.Join(w.dir, "same", "file")
			if tt.before {
				editUnseen(t, file, nonce+"1")
				w.predict()
			}
			r.stop(tt.kill)
			if tt.normal {
				write(t, file, nonce+"2")
				waitForClock(t)
				w.build()
			}
			editUnseen(t, file, nonce+"3")
			r.start()
			predicted := w.predict()
			if got := outcomes(predicted); got != "hit unknown" {
				t.Errorf("after it was started again, predicted %s; want hit unknown", got)
			} else if c := predicted.Steps[1].Cause; c.Kind != "stale-stat" {
				t.Errorf("unknown because of %+v, want stale-stat", c)
			}
			// The builder uses its copy of the file.
			for step, executed := range w.build() {
				if executed && step != "[1/3]" { // the base image
					t.Errorf("%s ran: the builder has noticed the edit", step)
				}
			}
			w.seen("the second build")
			w.write("same/file", nonce+"seen")
			// The content of a build that nobody saw is unknown, and may be this one.
			if got := outcomes(w.predict()); got != "hit miss" && !(tt.normal && got == "hit unknown") {
				t.Errorf("after an edit that the builder notices, predicted %s, want hit miss", got)
			}
			if _, err := r.Down(t.Context(), api.DownRequest{Dir: w.dir}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestKilledBeforeTheLedgerWasKept: if the record of a build is stored, but the ledger was not
// any more, the builder has other files than the ledger says. So nothing is promised.
func TestKilledBeforeTheLedgerWasKept(t *testing.T) {
	r, other := startOwn(t)
	nonce := strings.ToLower(rand.Text())
	w := &walk{Rand: mathrand.New(mathrand.NewPCG(1, 1)), t: t, dir: t.TempDir(), daemon: r, builder: other, nonce: nonce}
	w.write("Dockerfile", "FROM busybox\nCOPY file /file\n# "+nonce+"\n")
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: w.dir}); err != nil {
		t.Fatal(err)
	}
	build := func(text string) {
		w.write("file", nonce+text)
		w.build()
		w.seen("the build")
		w.predict() // so that the ledger has what the builder lists
	}
	build("0")
	status, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	workers, err := other.ListWorkers(t.Context())
	if err != nil || len(workers) != 1 {
		t.Fatal(workers, err)
	}
	name := strings.Join([]string{status.Builder.Name, status.Builder.Address, workers[0].ID}, " ")
	// withStore calls use with the daemon's store while the daemon is off.
	withStore := func(use func(*store.Store)) {
		t.Helper()
		r.stop(false)
		s, err := store.Open(r.paths.Store)
		if err != nil {
			t.Fatal(err)
		}
		use(s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		r.start()
	}
	var before map[string][]byte
	withStore(func(s *store.Store) {
		if before, err = s.Ledger(name); err != nil || len(before) == 0 {
			t.Fatalf("the ledger of %q has no entries (%v)", name, err)
		}
	})
	waitForClock(t)
	build("1")
	withStore(func(s *store.Store) {
		if err := s.ReplaceLedger(name, time.Now(), maps.All(before)); err != nil {
			t.Fatal(err)
		}
		editUnseen(t, filepath.Join(w.dir, "file"), nonce+"0")
	})
	if got := outcomes(w.predict()); got != "unknown" {
		t.Errorf("the builder has the file as it was built last, and predicted is %s, want unknown", got)
	}
}

// outcomes returns the predicted outcomes, separated by spaces.
func outcomes(p api.Prediction) string {
	var list []string
	for _, s := range p.Steps {
		list = append(list, s.Outcome)
	}
	return strings.Join(list, " ")
}

// TestFolderRemodedWhileOff: a builder never looks at the mode of a folder again. If the mode
// changed after the first build, which nobody saw, the builder's is unknown. If the daemon
// took the present one for it, it would promise a hit once the builder has dropped its copy
// and is sent the folder anew.
func TestFolderRemodedWhileOff(t *testing.T) {
	r, other := startOwn(t)
	nonce := strings.ToLower(rand.Text())
	w := &walk{Rand: mathrand.New(mathrand.NewPCG(1, 1)), t: t, dir: t.TempDir(), daemon: r, builder: other, nonce: nonce}
	w.write("Dockerfile", "FROM busybox\nCOPY other /other\nCOPY src /src\n# "+nonce+"\n")
	w.write("other/file", nonce)
	w.write("src/file", nonce)
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: w.dir}); err != nil {
		t.Fatal(err)
	}
	for unread := 1; unread > 0; {
		answer, err := r.Predict(t.Context(), api.PredictRequest{Query: api.Query{Dir: w.dir}})
		if err != nil {
			t.Fatal(err)
		}
		unread = answer.Unread
	}
	r.stop(false)
	w.build()
	waitForClock(t)
	if err := os.Chmod(filepath.Join(w.dir, "src"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.start()
	for _, tt := range []struct {
		when, want string
		executed   bool
		drop       bool // the builder drops its copies
	}{
		{when: "after the build that was not seen", want: "unknown: stale-stat"},
		{when: "after one that was", want: "unknown: stale-stat"},
		// Nobody knows from which files the result that it has was made.
		{when: "after the builder dropped its copy", drop: true, want: "unknown: unobserved", executed: true},
		{when: "once it was sent anew", want: "hit"},
	} {
		if tt.drop {
			if err := other.Prune(t.Context(), nil, client.WithFilter([]string{"type==source.local"})); err != nil {
				t.Fatal(err)
			}
		}
		if got := outlook(w.predict().Steps[1:]); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s, predicted: %s, want %s", tt.when, got, tt.want)
		}
		if ran := w.build(); ran["[2/3]"] || ran["[3/3]"] != tt.executed {
			t.Errorf("%s, steps ran: %v, want [2/3] false and [3/3] %v", tt.when, ran, tt.executed)
		}
		w.seen("the build")
	}
}
