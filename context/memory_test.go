package buildctx

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
)

// largeTree makes a tree of so many files in memory, inDir of them in each
// directory. Names have 16 to 20 bytes.
func largeTree(files, inDir int) *Tree {
	made := 0
	top := newPacker(0, 0)
	for a := 0; made < files; a++ {
		area := newPacker(0, 0)
		for b := 0; b < 100 && made < files; b++ {
			packed := newPacker(inDir, 18*inDir)
			for f := range inDir {
				made++
				packed.add(fmt.Sprintf("file-%02d-%07d%s", f, made, []string{".js", ".go", ".json"}[f%3]), stat{
					size: int64(made % 9000), mtime: int64(made), ctime: int64(made), inode: uint64(made), mode: 0o644,
				}, oddity{}, nil)
			}
			d := &directory{}
			packed.fill(d, nil)
			area.add(fmt.Sprintf("part-%011d", b), stat{mode: fs.ModeDir | 0o755}, oddity{}, d)
		}
		d := &directory{}
		area.fill(d, nil)
		top.add(fmt.Sprintf("area-%011d", a), stat{mode: fs.ModeDir | 0o755}, oddity{}, d)
	}
	t := &Tree{root: "/repository", seq: 1, top: &directory{}, files: made}
	top.fill(t.top, nil)
	return t
}

// setAllSums sets a sum for every file.
func setAllSums(d *directory) {
	for i := range d.entries {
		if it := d.item(i); it.dir != nil {
			setAllSums(it.dir)
		} else {
			d.setSum(i, Sum{Digest: [32]byte{byte(it.inode), 1}})
		}
	}
}

// selections returns the selections of two definitions, one that takes all of the
// tree and one that takes a part.
func selections(tb testing.TB, tree *Tree) []*Local {
	tb.Helper()
	m, err := ignore.NewMatcher(ninety(tb))
	if err != nil {
		tb.Fatal(err)
	}
	var list []*Local
	for _, paths := range [][]string{nil, {"area-00000000001"}} {
		l := &Local{matcher: m, takers: &takers{}}
		f, err := newFilter(m, &treeFS{top: tree.top}, []dockerfile.Request{{FollowPaths: paths}}, nil)
		if err == nil {
			err = l.fill(tb.Context(), tree.top, f)
		}
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, l)
	}
	return list
}

// ninety is an ignore file of ninety lines, none of which takes a whole
// directory of the trees here.
func ninety(tb testing.TB) *ignore.File {
	tb.Helper()
	text, err := ignore.Find(tb.TempDir(), filepath.Join("ignore", "testdata", "ninety"))
	if err != nil {
		tb.Fatal(err)
	}
	if len(text.Lines) < 80 {
		tb.Fatalf("the ignore file has %d lines", len(text.Lines))
	}
	return text
}

// measure returns the bytes of live heap per file that a tree takes, its sums, and
// the selections of two definitions.
func measure(tb testing.TB, files int) (tree, sums, selected float64) {
	before := liveHeap()
	t := largeTree(files, 12)
	plain := liveHeap()
	setAllSums(t.top)
	summed := liveHeap()
	list := selections(tb, t)
	after := liveHeap()
	if got := list[0].Context.Files; got != t.Files() {
		tb.Fatalf("%d files of %d are in the context", got, t.Files())
	}
	runtime.KeepAlive(t)
	runtime.KeepAlive(list)
	n := float64(t.Files())
	return float64(plain-before) / n, float64(summed-plain) / n, float64(after-summed) / n
}

// TestMemory bounds the memory that a file takes. Manifests and the watcher's tables
// have tests of their own, and a benchmark measures all of them (internal/bench).
func TestMemory(t *testing.T) {
	tree, sums, selected := measure(t, 100_000)
	t.Logf("bytes a file: tree %.1f, sums %.1f, two selections %.1f", tree, sums, selected)
	if total := tree + sums + selected; total > 132 {
		t.Errorf("a file takes %.1f bytes, want at most 132", total)
	}
}
