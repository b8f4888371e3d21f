package ledger_test

import (
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/internal/ledger"
)

// A folder is a build context.
type folder struct {
	*testing.T
	dir string
}

func newFolder(t *testing.T, files ...string) folder {
	f := folder{t, t.TempDir()}
	for _, name := range files {
		f.write(name, name)
	}
	return f
}

func (f folder) write(name, text string) {
	f.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.Fatal(err)
	}
}

// unseen writes a file so that its time stays.
func (f folder) unseen(name, text string) {
	f.Helper()
	fi, err := os.Stat(filepath.Join(f.dir, name))
	if err != nil {
		f.Fatal(err)
	}
	f.write(name, text)
	if err := os.Chtimes(filepath.Join(f.dir, name), fi.ModTime(), fi.ModTime()); err != nil {
		f.Fatal(err)
	}
}

func (f folder) manifest() *content.Manifest {
	f.Helper()
	dockerfile := filepath.Join(f.TempDir(), "Dockerfile")
	if err := os.WriteFile(dockerfile, []byte("FROM scratch\nCOPY . /\n"), 0o644); err != nil {
		f.Fatal(err)
	}
	tree, err := buildctx.Scan(f.Context(), f.dir, nil)
	if err != nil {
		f.Fatal(err)
	}
	views := func(string) (*buildctx.Tree, string, error) { return tree, ".", nil }
	s, err := buildctx.Compute(f.Context(), buildctx.Definition{Context: f.dir, Dockerfile: dockerfile}, nil, views)
	if err != nil {
		f.Fatal(err)
	}
	m, _, err := content.Compute(f.Context(), s.Main.Top(), nil, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	return m
}

// save keeps what is known of copies, and returns how many entries that took.
func save(t *testing.T, s *ledger.Snapshots, anew bool, on ledger.Disk) int {
	t.Helper()
	n := 0
	err := s.Save(anew, func(changes iter.Seq2[string, []byte]) error {
		return on.Put(anew, func(yield func(string, []byte) bool) {
			for key, value := range changes {
				if n++; !yield(key, value) {
					return
				}
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func unseenBy(s *ledger.Snapshots, m *content.Manifest, from ...ledger.Sender) string {
	text := ""
	for _, d := range s.Unseen(m, from...) {
		text += d.Path + " "
	}
	return text
}

// What a builder has of local files outlives the program, in entries that follow
// what changed.
func TestSnapshotsAreKept(t *testing.T) {
	f := newFolder(t, "a", "deep/er/b", "deep/c", "other/d")
	plain, named := ledger.Sender{Local: "context"}, ledger.Sender{Key: "shop:canary", Local: "context"}
	s, on := ledger.NewSnapshots(seal), ledger.Disk{}
	s.Sent(plain, f.manifest())
	if n := save(t, s, false, on); n != 1+4 {
		t.Errorf("a copy of four directories, the top included, took %d entries", n)
	}
	if n := save(t, s, false, on); n != 0 {
		t.Errorf("nothing changed, and %d entries were written", n)
	}
	for i := range 3 {
		f.write("deep/er/b", fmt.Sprint(i))
		s.Sent(plain, f.manifest())
		if n := save(t, s, false, on); n != 1+3 {
			// The sender, the directory, and its parents, whose entries hold its digest.
			t.Errorf("an edit of one file took %d entries", n)
		}
	}
	s.Sent(named, f.manifest())
	save(t, s, false, on)
	for key, value := range on {
		for _, text := range []string{key, string(value)} {
			if strings.Contains(text, "canary") || strings.Contains(text, f.dir) {
				t.Errorf("%q = %q is not sealed", key, value)
			}
		}
	}

	f.unseen("deep/er/b", "X")
	f.write("a", "other")
	for _, anew := range []bool{false, true} {
		kept, err := ledger.LoadSnapshots(seal, maps.All(on))
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range []ledger.Sender{plain, named} {
			if got := unseenBy(kept, f.manifest(), from); got != "deep/er/b " {
				t.Errorf("after a restart %q changed unseen", got)
			}
		}
		if got := unseenBy(kept, f.manifest(), ledger.Sender{Local: "else"}); got != "" {
			t.Errorf("of what was never sent %q changed unseen", got)
		}
		// All is written once more where the ledger begins anew.
		save(t, kept, anew, on)
	}

	kept, err := ledger.LoadSnapshots(seal, maps.All(on))
	if err != nil {
		t.Fatal(err)
	}
	kept.Sent(plain, f.manifest())
	save(t, kept, false, on)
	if err := os.RemoveAll(filepath.Join(f.dir, "deep")); err != nil {
		t.Fatal(err)
	}
	kept.Sent(plain, f.manifest())
	kept.Sent(plain, f.manifest())
	save(t, kept, false, on)
	if l, err := ledger.Load(seal, maps.All(on)); err != nil || l == nil {
		t.Errorf("the ledger does not load beside it: %v", err)
	}
	n := 0
	for key := range on {
		if strings.Contains(key, "deep") {
			n++
		}
	}
	if n != 2 { // those of the other sender
		t.Errorf("%d pages are left of a folder that is gone", n)
	}
}

// A failed build may have sent its files, or not.
func TestPerhapsSent(t *testing.T) {
	f := newFolder(t, "a")
	from := ledger.Sender{Local: "context"}
	s := ledger.NewSnapshots(seal)
	s.Sent(from, f.manifest())
	f.write("a", "1")
	s.Perhaps(from, f.manifest())
	f.unseen("a", "2")
	if got := unseenBy(s, f.manifest(), from); got != "a " {
		t.Errorf("%q changed unseen", got)
	}
}

// A builder that lists no copies has none, and is sent everything anew; but for what is
// sent while it lists them.
func TestCopiesGo(t *testing.T) {
	f := newFolder(t, "a")
	from := ledger.Sender{Local: "context"}
	s, on := ledger.NewSnapshots(seal), ledger.Disk{}
	if s.Any() {
		t.Error("a copy is known before anything was sent")
	}
	none := s.Asking()
	s.Sent(from, f.manifest())
	none()
	save(t, s, false, on)
	f.unseen("a", "1")
	if got := unseenBy(s, f.manifest(), from); got != "a " || !s.Any() {
		t.Errorf("of what was sent while the builder was asked %q changed unseen", got)
	}
	s.Asking()()
	if got := unseenBy(s, f.manifest(), from); got != "" || s.Any() {
		t.Errorf("of what the builder has no more %q changed unseen", got)
	}
	save(t, s, false, on)
	if kept, err := ledger.LoadSnapshots(seal, maps.All(on)); err != nil || kept.Any() {
		t.Errorf("a copy is kept that the builder has no more (%v)", err)
	}
}

func FuzzLoadSnapshots(f *testing.F) {
	f.Add([]byte("\x09\x01x"), []byte("\x02\x01"), []byte("\x0a\x01x\x00\x00"), []byte("\x04\x01a"))
	f.Fuzz(func(t *testing.T, key, value, pageKey, page []byte) {
		s, err := ledger.LoadSnapshots(seal, maps.All(map[string][]byte{string(key): value, string(pageKey): page}))
		if s == nil {
			t.Fatalf("LoadSnapshots returned no snapshots beside the error %v", err)
		}
		m, err := content.FromPages(map[string][]byte{"\x00": page})
		if err == nil {
			s.Sent(ledger.Sender{}, m)
			s.Unseen(m, ledger.Sender{})
		}
	})
}
