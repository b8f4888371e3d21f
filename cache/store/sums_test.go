package store_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache/store"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
)

// TestSums stores pages of two repositories and forgets one of them.
func TestSums(t *testing.T) {
	s := open(t, path(t))
	put := func(repository, tree string, pages map[string][]byte) {
		t.Helper()
		if err := s.PutSums(repository, tree, maps.All(pages)); err != nil {
			t.Fatal(err)
		}
	}
	load := func(repository, tree string, refuse ...string) map[string]string {
		t.Helper()
		got := map[string]string{}
		err := s.Sums(repository, tree, func(dir string, page []byte) bool {
			got[dir] = string(page)
			return !slices.Contains(refuse, dir)
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	put("/shop", "/shop", map[string][]byte{".": []byte("1"), "a": []byte("2"), "a/b": []byte("3")})
	put("/shop", "/shop/web", map[string][]byte{".": []byte("4")})
	put("/other", "/shop", map[string][]byte{".": []byte("5")})
	put("/shop", "/shop", map[string][]byte{".": []byte("6"), "a/b": {}})
	load("/shop", "/shop", "a")
	if d := cmp.Diff(map[string]string{".": "6"}, load("/shop", "/shop")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]string{".": "4"}, load("/shop", "/shop/web")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	forget(t, s, "/shop")
	forget(t, s, "/shop")
	if got := load("/shop", "/shop/web"); len(got) > 0 {
		t.Errorf("a forgotten repository left %v", got)
	}
	if d := cmp.Diff(map[string]string{".": "5"}, load("/other", "/shop")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestNothingIsReadAfterARestart counts the files that are read to compute a manifest.
func TestNothingIsReadAfterARestart(t *testing.T) {
	root, file := t.TempDir(), path(t)
	for _, name := range []string{"a/b/one", "a/two", "three"} {
		_ = os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755)
		if err := os.WriteFile(filepath.Join(root, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func() (content.Digest, content.Work) {
		s, err := store.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		tree, err := buildctx.Scan(t.Context(), root, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Sums(root, root, tree.LoadSums); err != nil {
			t.Fatal(err)
		}
		top, err := tree.Sent(t.Context(), dockerfile.Request{})
		if err != nil {
			t.Fatal(err)
		}
		m, work, err := content.Compute(t.Context(), top, nil, time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.PutSums(root, root, tree.Sums()); err != nil {
			t.Fatal(err)
		}
		return m.Digest(), work
	}
	first, work := run()
	if work.Files != 5 {
		t.Errorf("at first: %+v, want 5 files looked into", work)
	}
	again, work := run()
	if work != (content.Work{}) || again != first {
		t.Errorf("after a restart: %+v, digest %v, want nothing read and %v", work, again, first)
	}
	if err := os.WriteFile(filepath.Join(root, "a/two"), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, work := run(); work != (content.Work{Files: 1, Bytes: 7}) {
		t.Errorf("after an edit while the store was closed: %+v, want 1 file read", work)
	}
}
