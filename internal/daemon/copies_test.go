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

// editUnseen changes a file's content and nothing that a builder looks at.
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

// TestUnseenWhileOff: what a builder does not see to change is known to be so when
// it changed while the daemon was off, or was killed, and when a build ran
// meanwhile. A step that takes no such file is predicted as ever.
func TestUnseenWhileOff(t *testing.T) {
	r, other := startOwn(t)
	for n, tt := range []struct {
		name   string
		kill   bool
		before bool // the edit is made before the daemon ends, and not built
		normal bool // the file is edited so that it shows, and built, while the daemon is off
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
			seen := func() {
				r.wait(w.dir, "the build", func(repo api.Repository) bool {
					return len(repo.Definitions) == 1 && repo.Definitions[0].Last != nil && repo.Definitions[0].Last.Ref == w.last
				})
			}
			w.build()
			seen()
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
				t.Errorf("unknown because of %+v", c)
			}
			// The builder has what it was sent, and takes it.
			for step, executed := range w.build() {
				if executed && step != "[1/3]" { // the base image
					t.Errorf("%s ran: the test's edit was seen", step)
				}
			}
			seen()
			w.write("same/file", nonce+"seen")
			// Where the content of a build is not known, a result is that may be of any.
			if got := outcomes(w.predict()); got != "hit miss" && !(tt.normal && got == "hit unknown") {
				t.Errorf("after an edit that shows, predicted %s", got)
			}
			if _, err := r.Down(t.Context(), api.DownRequest{Dir: w.dir}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestKilledBeforeTheLedgerWasKept: a build that is stored, and that what is kept of
// the builder knows nothing of, left other files on the builder than that says.
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
		r.wait(w.dir, "the build", func(repo api.Repository) bool {
			return len(repo.Definitions) == 1 && repo.Definitions[0].Last != nil && repo.Definitions[0].Last.Ref == w.last
		})
		w.predict() // what is kept says what the builder holds
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
	kept := func(use func(*store.Store)) {
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
	kept(func(s *store.Store) {
		if before, err = s.Ledger(name); err != nil || len(before) == 0 {
			t.Fatalf("of %q nothing is kept (%v)", name, err)
		}
	})
	waitForClock(t)
	build("1")
	kept(func(s *store.Store) {
		if err := s.ReplaceLedger(name, time.Now(), maps.All(before)); err != nil {
			t.Fatal(err)
		}
		editUnseen(t, filepath.Join(w.dir, "file"), nonce+"0")
	})
	if got := outcomes(w.predict()); got != "unknown" {
		t.Errorf("the builder has file as it was built last, and predicted is %s", got)
	}
}

func outcomes(p api.Prediction) string {
	var list []string
	for _, s := range p.Steps {
		list = append(list, s.Outcome)
	}
	return strings.Join(list, " ")
}

// TestFolderRemodedWhileOff: the mode of a folder, which a builder never looks at again,
// is not known where it changed after a build that nobody saw, the first on the builder.
// Were it taken for what it is now, the result would be promised to hit once the builder
// dropped its copy and is sent the folder anew.
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
		// Of what it holds nobody knows of which files it is.
		{when: "after the builder dropped its copy", drop: true, want: "unknown: unobserved", executed: true},
		{when: "once it was sent anew", want: "hit"},
	} {
		if tt.drop {
			if err := other.Prune(t.Context(), nil, client.WithFilter([]string{"type==source.local"})); err != nil {
				t.Fatal(err)
			}
		}
		if got := outlook(w.predict().Steps[1:]); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s, predicted: %s", tt.when, got)
		}
		if ran := w.build(); ran["[2/3]"] || ran["[3/3]"] != tt.executed {
			t.Errorf("%s, built: %v", tt.when, ran)
		}
		r.wait(w.dir, "the build", func(repo api.Repository) bool {
			return len(repo.Definitions) == 1 && repo.Definitions[0].Last != nil && repo.Definitions[0].Last.Ref == w.last
		})
	}
}
