package buildctx

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"path"
	"sync"
	"testing"
)

// TestSumsFollow sets a sum for every file, computed from its stamp. The next tree,
// from single changes or a scan of everything, must have the sums of the files that
// did not change, and no others.
func TestSumsFollow(t *testing.T) {
	kept := 0
	for seed := range uint64(40) {
		w := newWorld(t, 30_000+seed)
		tree, err := Scan(t.Context(), w.root, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 6 {
			noteAll(t, tree)
			paths := w.step()
			if w.rnd.IntN(3) == 0 {
				paths = []string{"."}
			}
			next, _, err := tree.Apply(t.Context(), paths, nil)
			if err != nil {
				t.Fatal(err)
			}
			for e := range next.All() {
				sum, known := noted(next, e.Path)
				if known && sum != sumOf(e) {
					t.Fatalf("seed %d: %q has another file's sum", seed, e.Path)
				}
				old, was := tree.Lookup(e.Path)
				if same := was && !e.Mode.IsDir() && old == e; known != same && next != tree && !e.Mode.IsDir() {
					// (A directory that was moved is read again, without sums.)
					t.Fatalf("seed %d after %q: the sum of %q is known: %v, want %v", seed, paths, e.Path, known, same)
				}
				if known {
					kept++
				}
			}
			tree = next
		}
	}
	if kept < 500 {
		t.Errorf("only %d sums were taken over: the test shows nothing", kept)
	}
}

// noteAll sets a sum for every file, several at a time.
func noteAll(t *testing.T, tree *Tree) {
	t.Helper()
	var wg sync.WaitGroup
	for e := range tree.All() {
		if !e.Mode.IsDir() {
			wg.Go(func() {
				d, i := held(tree, e.Path)
				d.setSum(i, sumOf(e))
			})
		}
	}
	wg.Wait()
}

// held returns the directory of the entry at name, and its index there.
func held(t *Tree, name string) (*directory, int) {
	dir, base := path.Dir(name), path.Base(name)
	up, _ := t.find(dir)
	i, _ := up.dir.index(base)
	return up.dir, i
}

func noted(t *Tree, name string) (Sum, bool) {
	d, i := held(t, name)
	return d.sum(i)
}

func sumOf(e Entry) Sum { return Sum{Digest: sha256.Sum256(fmt.Appendf(nil, "%+v", e.Stamp()))} }

// TestLoadedSums loads the sums of one tree into another of the same files, some of
// which have changed.
func TestLoadedSums(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(t, 40_000+seed)
		tree, err := Scan(t.Context(), w.root, nil)
		if err != nil {
			t.Fatal(err)
		}
		noteAll(t, tree)
		pages := maps.Collect(tree.Sums())
		for dir := range tree.Sums() {
			t.Errorf("seed %d: Sums yields %s a second time", seed, dir)
		}
		w.step()
		next, err := Scan(t.Context(), w.root, nil)
		if err != nil {
			t.Fatal(err)
		}
		for dir, page := range pages {
			_, there := next.Lookup(dir)
			if there = there || dir == "."; next.LoadSums(dir, page) && !there {
				t.Errorf("seed %d: LoadSums accepts a page of %s, which is gone", seed, dir)
			}
			if len(page) > 0 && next.LoadSums(dir, page[:len(page)-1]) {
				t.Errorf("seed %d: LoadSums accepts a truncated page of %s", seed, dir)
			}
		}
		for e := range next.All() {
			sum, known := noted(next, e.Path)
			old, was := tree.Lookup(e.Path)
			if same := was && !e.Mode.IsDir() && old.Stamp() == e.Stamp(); known != same || known && sum != sumOf(old) {
				t.Errorf("seed %d: the sum of %q is known: %v, want %v", seed, e.Path, known, same)
			}
		}
	}
}
