package buildctx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"

	"github.com/stokerd/stoker/internal/randtest"
)

// A world is a directory that a test changes at random, with names and
// patterns drawn from a small alphabet so that they meet.
type world struct {
	t    *testing.T
	rnd  *rand.Rand
	root string
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), root: t.TempDir()}
	for range 5 + w.rnd.IntN(40) {
		w.step()
	}
	return w
}

var names = []string{"a", "b", "src", "src.d", "node_modules", ".git", "x.go", "y.md", "Z", "a\nb", "\xff", "-", "foobar"}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func (w *world) name() string { return pick(w.rnd, names) }

// dir returns a directory of the world, the root included.
func (w *world) dir() string {
	dirs := []string{"."}
	w.walk(func(p string, d fs.DirEntry) {
		if d.IsDir() {
			dirs = append(dirs, p)
		}
	})
	return pick(w.rnd, dirs)
}

// any returns something of the world, or a name that is not there.
func (w *world) any() string {
	all := []string{w.name()}
	w.walk(func(p string, _ fs.DirEntry) { all = append(all, p) })
	return pick(w.rnd, all)
}

func (w *world) walk(fn func(p string, d fs.DirEntry)) {
	err := filepath.WalkDir(w.root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p != w.root {
			rel, _ := filepath.Rel(w.root, p)
			fn(rel, d)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// step makes one change and returns the paths that a watcher would report.
// What the system refuses (a rename into itself, a name taken) changes nothing.
func (w *world) step() []string {
	target := filepath.Join(w.dir(), w.name())
	abs := filepath.Join(w.root, target)
	switch w.rnd.IntN(10) {
	case 0, 1:
		os.Mkdir(abs, 0o755)
	case 2, 3, 4:
		if fi, err := os.Stat(abs); err != nil || fi.Mode().IsRegular() { // a FIFO would block
			os.WriteFile(abs, []byte(strings.Repeat("x", w.rnd.IntN(50))), 0o644)
		}
	case 5:
		os.Symlink(pick(w.rnd, []string{"a", "../b", "/src", "src/x.go", "nowhere", "."}), abs)
	case 6:
		os.Link(filepath.Join(w.root, w.any()), abs)
	case 7:
		syscall.Mkfifo(abs, 0o600)
	case 8:
		os.Chmod(filepath.Join(w.root, w.any()), pick(w.rnd, []fs.FileMode{0o700, 0o755, 0o711}))
		return w.everything() // links are followed: anything may have changed
	case 9:
		from := w.any()
		if w.rnd.IntN(2) == 0 {
			os.RemoveAll(filepath.Join(w.root, from))
			return []string{from}
		}
		os.Rename(filepath.Join(w.root, from), abs)
		return []string{from, target}
	}
	return w.everything()
}

// everything lists all paths: hard links and links change stats elsewhere.
func (w *world) everything() []string {
	var all []string
	w.walk(func(p string, _ fs.DirEntry) { all = append(all, p) })
	return all
}

func (w *world) patterns() []string {
	var list []string
	for range w.rnd.IntN(6) {
		p := pick(w.rnd, []string{"", "", "**/", "*/", "a/"}) + pick(w.rnd, append(names, "*", "**", "*.go", "s?c", "[a-c]", "foo**", "**bar", ".*"))
		if w.rnd.IntN(3) == 0 {
			p += pick(w.rnd, []string{"/*", "/**", "/x.go"})
		}
		if w.rnd.IntN(3) == 0 {
			p = "!" + p
		}
		if !strings.Contains(p, "\n") && p != "!" {
			list = append(list, p)
		}
	}
	return list
}

func (w *world) followPaths() []string {
	if w.rnd.IntN(3) == 0 {
		return nil
	}
	var list []string
	for range 1 + w.rnd.IntN(3) {
		list = append(list, pick(w.rnd, []string{w.any(), w.any(), "*.go", "src*/x.go", "a/*", "missing"}))
	}
	slices.Sort(list)
	return list
}

// sent lists what BuildKit's client would send from files.
func sent(t *testing.T, files fsutil.FS, excludes, follow []string) []string {
	t.Helper()
	filter, err := fsutil.NewFilterFS(files, &fsutil.FilterOpt{ExcludePatterns: excludes, FollowPaths: follow})
	if err != nil {
		return []string{"error: " + err.Error()}
	}
	var list []string
	err = filter.Walk(context.Background(), "/", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		st := fi.Sys().(*types.Stat)
		list = append(list, fmt.Sprintf("%q %v %d %q %d %d", p, fi.Mode(), st.Size, st.Linkname, st.Devmajor, st.ModTime))
		return nil
	})
	if err != nil {
		list = append(list, "error: "+err.Error())
	}
	return list
}

// TestTreeEqualsDisk compares a scanned tree with fsutil's own walk of the disk,
// both seen through BuildKit's filter.
func TestTreeEqualsDisk(t *testing.T) {
	silence(t)
	for seed := range randtest.Seeds(t, 60, 1000) {
		w := newWorld(t, seed)
		disk, err := fsutil.NewFS(w.root)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := Scan(t.Context(), w.root, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			excludes, follow := w.patterns(), w.followPaths()
			want := sent(t, disk, excludes, follow)
			got := sent(t, &treeFS{top: tree.top, root: w.root}, excludes, follow)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d, excludes %q, follow paths %q (-fsutil +tree):\n%s", seed, excludes, follow, diff)
			}
		}
	}
}

// TestApplyEqualsScan compares a tree that followed changes with a new scan.
func TestApplyEqualsScan(t *testing.T) {
	for seed := range randtest.Seeds(t, 30, 1000) {
		w := newWorld(t, seed)
		tree, err := Scan(t.Context(), w.root, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			before := listing(tree)
			var paths []string
			for range 1 + w.rnd.IntN(4) {
				paths = append(paths, w.step()...)
			}
			next, diff, err := tree.Apply(t.Context(), paths, nil)
			if err != nil {
				t.Fatal(err)
			}
			fresh, err := Scan(t.Context(), w.root, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(listing(fresh), listing(next), seeAll); d != "" {
				t.Fatalf("seed %d after %q (-scan +apply):\n%s", seed, paths, d)
			}
			if next.Files() != fresh.Files() {
				t.Fatalf("seed %d: Files() = %d, want %d", seed, next.Files(), fresh.Files())
			}
			if d := cmp.Diff(before, listing(tree), seeAll); d != "" {
				t.Fatalf("seed %d: Apply changed the tree it was called on:\n%s", seed, d)
			}
			if changed := !cmp.Equal(before, listing(next), seeAll); changed && diff.Empty() {
				t.Fatalf("seed %d: the trees differ and the diff is empty", seed)
			}
			if !diff.Empty() && next.Sequence() <= tree.Sequence() {
				t.Fatalf("seed %d: sequence %d does not follow %d", seed, next.Sequence(), tree.Sequence())
			}
			tree = next
		}
	}
}

var seeAll = cmp.AllowUnexported(Entry{})

// listing lists the tree without link counts and what changes with them: no event
// tells that another name of a file came or went, so they may be out of date.
func listing(t *Tree) []Entry {
	var list []Entry
	for e := range t.All() {
		e.Linked, e.ctime = false, 0
		if e.Mode.IsDir() {
			e.mtime = 0
		}
		list = append(list, e)
	}
	return list
}

func TestScanPrunes(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"node_modules/a/b.js", "src/c.js"} {
		mustWrite(t, filepath.Join(root, name), "x")
	}
	prune := pruneNames{"node_modules"}
	tree, err := Scan(t.Context(), root, prune)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := tree.Lookup("node_modules/a"); ok {
		t.Error("looked below a pruned directory")
	}
	if _, ok := tree.Lookup("node_modules"); !ok {
		t.Error("the pruned directory itself is missing")
	}
	mustWrite(t, filepath.Join(root, "node_modules/new"), "x")
	next, diff, err := tree.Apply(t.Context(), []string{"node_modules/new"}, prune)
	if err != nil || next != tree || !diff.Empty() {
		t.Errorf("a change below a pruned directory gave %+v, %v", diff, err)
	}
}

// pruneNames prunes directories by their names.
type pruneNames []string

func (p pruneNames) Enter(name string) (Pruner, bool) { return p, slices.Contains(p, name) }

func TestScanUnreadable(t *testing.T) {
	if _, err := Scan(t.Context(), filepath.Join(t.TempDir(), "gone"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Scan of a root that does not exist: %v, want fs.ErrNotExist", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Scan(ctx, t.TempDir(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Scan under a cancelled context: %v, want context.Canceled", err)
	}
}

func mustWrite(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
