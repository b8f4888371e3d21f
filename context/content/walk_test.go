package content_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tonistiigi/fsutil/types"
	"golang.org/x/sys/unix"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/internal/randtest"
)

// A world is a directory that random edits change.
type world struct {
	generator
	t     *testing.T
	root  string
	dir   *os.Root // of root: nothing outside is touched
	edits int
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{generator: newGenerator(seed), t: t, root: t.TempDir()}
	var err error
	if w.dir, err = os.OpenRoot(w.root); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.dir.Close() })
	for _, name := range places[1:] {
		if w.IntN(2) == 0 {
			_ = w.dir.MkdirAll(name, 0o755)
		}
	}
	return w
}

// look returns the tree as it is now, and what a build of the Dockerfile takes of it.
func (w *world) look(dockerfile string) (*buildctx.Tree, *buildctx.Selection) {
	w.t.Helper()
	tree, err := buildctx.Scan(w.t.Context(), w.root, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	views := func(string) (*buildctx.Tree, string, error) { return tree, ".", nil }
	selection, err := buildctx.Compute(w.t.Context(), buildctx.Definition{Context: w.root, Dockerfile: dockerfile}, nil, views)
	if err != nil {
		w.t.Fatal(err)
	}
	return tree, selection
}

var places = []string{"", "a", "a/b", "src", "src/a", "b"}

func (w *world) abs(name string) string { return filepath.Join(w.root, name) }

func (w *world) name() string {
	return filepath.Join(pick(w.generator, places), pick(w.generator, []string{"a", "b", "c", "a.go", "b.go", "src"}))
}

// any returns the name of something that is there, "." at worst.
func (w *world) any() string {
	var all []string
	_ = filepath.WalkDir(w.root, func(p string, _ fs.DirEntry, _ error) error {
		rel, _ := filepath.Rel(w.root, p)
		all = append(all, rel)
		return nil
	})
	return pick(w.generator, all)
}

// edit makes one change, and returns the names that a watcher would report. What
// the system refuses changes nothing, and neither does what leads through a link.
func (w *world) edit() []string {
	w.edits++
	name := w.name()
	if dir, err := filepath.EvalSymlinks(filepath.Dir(w.abs(name))); err == nil && dir != filepath.Dir(w.abs(name)) {
		return nil
	}
	switch w.IntN(13) {
	case 0, 1:
		_ = w.dir.Mkdir(name, 0o755)
	case 2, 3, 4, 5:
		// No two of the same size: the clock of the stamps is too coarse for
		// edits as fast as these.
		if st, err := w.dir.Lstat(name); err != nil || st.Mode().IsRegular() {
			_ = w.dir.WriteFile(name, []byte(strings.Repeat("x", w.edits)), 0o644)
		}
	case 6:
		_ = w.dir.Symlink(pick(w.generator, targets), name)
	case 7:
		_ = w.dir.Link(w.any(), name)
		return []string{name} // the other name has no event
	case 8:
		name = w.any()
		if st, err := w.dir.Lstat(name); err == nil && st.Mode()&fs.ModeSymlink == 0 && name != "." {
			_ = w.dir.Chmod(name, pick(w.generator, []fs.FileMode{0o700, 0o755, 0o644, 0o600}))
		}
	case 9:
		name = w.any()
		w.attribute(name)
	case 10:
		name = w.any()
		if name != "." {
			_ = w.dir.RemoveAll(name)
		}
	case 12:
		name = w.any()
		w.secretly(name)
	case 11:
		from := w.any()
		_ = w.dir.Rename(from, name)
		return []string{from, name}
	}
	return append(w.sameInode(name), name)
}

// attribute sets one, and waits until the stamp tells: clocks tick slowly.
func (w *world) attribute(name string) {
	var before, now unix.Stat_t
	_ = unix.Lstat(w.abs(name), &before)
	attr := pick(w.generator, []string{"user.a", "trusted.b", "security.x"})
	for i := range 1_000_000 {
		err := unix.Lsetxattr(w.abs(name), attr, fmt.Append(nil, i), 0)
		if _ = unix.Lstat(w.abs(name), &now); err != nil || now.Ctim != before.Ctim {
			return
		}
	}
	w.t.Fatal("the clock stands")
}

// secretly changes a file's content and nothing that is looked at before it is
// sent again.
func (w *world) secretly(name string) {
	st, err := w.dir.Lstat(name)
	if err != nil || !st.Mode().IsRegular() {
		return
	}
	var before, now unix.Stat_t
	_ = unix.Lstat(w.abs(name), &before)
	for i := range 1_000_000 {
		_ = w.dir.WriteFile(name, []byte(strings.Repeat(fmt.Sprint(i%10), int(st.Size()))), 0o644)
		_ = w.dir.Chtimes(name, st.ModTime(), st.ModTime())
		if _ = unix.Lstat(w.abs(name), &now); now.Ctim != before.Ctim {
			return
		}
	}
}

// sameInode returns the other names of a file.
func (w *world) sameInode(name string) []string {
	st, err := os.Lstat(w.abs(name))
	if err != nil {
		return nil
	}
	var list []string
	_ = filepath.WalkDir(w.root, func(p string, d fs.DirEntry, _ error) error {
		if other, err := d.Info(); err == nil && os.SameFile(st, other) {
			rel, _ := filepath.Rel(w.root, p)
			list = append(list, rel)
		}
		return nil
	})
	return list
}

// TestManifestIsWhatArrives lets manifests follow random edits, and holds each
// against what a builder without any of the files records of a transfer, and
// what is left of it against one that has the files of the transfers before.
func TestManifestIsWhatArrives(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("run as root: trusted attributes, and what others cannot read")
	}
	looks, unseen := 0, 0
	for seed := range randtest.Seeds(t, 20, 1000) {
		w := newWorld(t, seed)
		ignored := pick(w.generator, []string{"", "src/a\n", "*.go\n!a/*.go\n"})
		dockerfile := filepath.Join(t.TempDir(), "Dockerfile")
		copied := pick(w.generator, []string{".", ".", "a src/", "a*"})
		write(t, dockerfile, "FROM scratch\nCOPY "+copied+" /x/\n")
		write(t, dockerfile+".dockerignore", ignored)
		var err error
		tree, selection := w.look(dockerfile)
		views := func(string) (*buildctx.Tree, string, error) { return tree, ".", nil }
		clock := time.Now
		if w.IntN(2) == 0 {
			clock = func() time.Time { return time.Now().Add(time.Hour) } // all is old
		}
		var m, held *content.Manifest
		pages := map[string][]byte{}
		builder := newSnapshot(t, "held", t.TempDir())
		for n := range 8 {
			var names []string
			for range 1 + w.IntN(6) {
				names = append(names, w.edit()...)
			}
			if tree, _, err = tree.Apply(t.Context(), names, nil); err != nil {
				t.Fatal(err)
			}
			if selection, err = selection.Update(t.Context(), views); err != nil {
				t.Fatal(err)
			}
			next, work, err := content.Compute(t.Context(), selection.Main.Top(), m, clock())
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			looks += work.Files
			m = next
			request := selection.Plan.Requests[0]
			fresh := newSnapshot(t, fmt.Sprint("fresh", n%2), t.TempDir())
			fresh.receive(t, w.root, request.FollowPaths, request.Excludes)
			builder.receive(t, w.root, request.FollowPaths, request.Excludes)
			before := held
			if held == nil {
				held = m
			} else {
				held = m.After(held)
			}
			for key, page := range held.Pages(before) {
				if pages[key] = page; page == nil {
					delete(pages, key)
				}
			}
			if w.IntN(2) == 0 { // as after a restart
				if held, err = content.FromPages(pages); err != nil {
					t.Fatal(err)
				}
			}
			for range content.Compare(m, held) {
				unseen++
			}
			if m.Empty() { // BuildKit would look at the directory on disk
				builder.settle()
				continue
			}
			for range 12 {
				s := w.selector([]file{{Stat: &types.Stat{Path: w.any()}}})
				if !fresh.compare(t, m, s) || !builder.compare(t, held, s) {
					t.Fatalf("seed %d, after %q:\n%s", seed, names, listing(w.root))
				}
			}
		}
	}
	t.Logf("%d files were looked into; %d changes the builder did not see", looks, unseen)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// listing describes what is below root, for a test that failed.
func listing(root string) string {
	var b strings.Builder
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, _ error) error {
		st, _ := d.Info()
		link, _ := os.Readlink(p)
		buf := make([]byte, 512)
		n, _ := unix.Llistxattr(p, buf)
		fmt.Fprintf(&b, "%v %d %s %s %q\n", st.Mode(), st.Size(), p[len(root):], link, buf[:max(n, 0)])
		return nil
	})
	return b.String()
}
