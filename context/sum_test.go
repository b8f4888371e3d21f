package buildctx

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
)

// TestSumsFollow notes a sum for every file, made of its stamp, and expects the
// trees that follow, by changes and by new scans, to have those of the files
// that are the same, and no other.
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
				sum, known := next.Sum(e.Path)
				if known && sum != sumOf(e) {
					t.Fatalf("seed %d: %q has another file's sum", seed, e.Path)
				}
				old, was := tree.Lookup(e.Path)
				if same := was && !e.Mode.IsDir() && old == e; known != same && next != tree {
					// A directory that was moved is read anew, with nothing known.
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
		t.Errorf("%d sums were taken over: that shows nothing", kept)
	}
}

// noteAll notes all sums, several at a time.
func noteAll(t *testing.T, tree *Tree) {
	t.Helper()
	var wg sync.WaitGroup
	for e := range tree.All() {
		if e.Mode.IsDir() {
			continue
		}
		wg.Go(func() {
			if !tree.SetSum(e.Path, e.Stamp(), sumOf(e)) {
				t.Errorf("the sum of %q was not taken", e.Path)
			}
		})
	}
	wg.Wait()
	stale := Stamp{size: -1}
	for e := range tree.All() {
		if tree.SetSum(e.Path, stale, Sum{1}) {
			t.Errorf("a sum of another state of %q was taken", e.Path)
		}
	}
}

func sumOf(e Entry) Sum { return sha256.Sum256(fmt.Appendf(nil, "%+v", e.Stamp())) }
