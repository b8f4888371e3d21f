package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/store"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
)

// evidence returns evidence for the n-th build, which took the manifest taken.
func evidence(n int, taken content.Digest) cache.Evidence {
	return cache.Evidence{
		Dockerfile: []cache.Line{{Number: 1, Keyword: "FROM", Text: "FROM node", Digest: "d"}, {Number: 2, Keyword: "ARG", Defines: []string{"V"}}},
		Args:       map[string]string{"V": fmt.Sprint("digest", n%3)}, NoCache: []string{"*"}, Self: []string{"excludes"},
		Operations: []cache.Operation{
			{Definition: cache.Definition{Source: "docker-image", Image: "sha256:1", Platform: "linux/amd64"}, Key: "k0", Fate: cache.Loaded, Line: 1},
			{
				Definition: cache.Definition{Digest: "x", NoKey: true, Traits: []cache.Trait{{Kind: dockerfile.VariableTrait, Name: "V", ID: "i", Digest: "d"}}},
				Key:        fmt.Sprint("k", n), Fate: cache.Made, Steps: []int{0, 1}, Line: 3,
				Inputs: []cache.Intake{{Operation: 0}, {Content: "c", Taken: taken.String(), Local: "context"}, {Unknown: cache.Moving, Local: "context"}},
			},
		},
	}
}

// manifests returns the manifests of n states of a directory with 300 files, each with
// one file changed.
func manifests(t testing.TB, n int) []*content.Manifest {
	t.Helper()
	root := t.TempDir()
	for i := range 300 {
		name := filepath.Join(root, fmt.Sprint("dir", i/10), fmt.Sprint("file", i))
		_ = os.MkdirAll(filepath.Dir(name), 0o755)
		if err := os.WriteFile(name, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var all []*content.Manifest
	for i := range n {
		if err := os.WriteFile(filepath.Join(root, "dir7", "file77"), fmt.Append(nil, "state ", i), 0o644); err != nil {
			t.Fatal(err)
		}
		tree, err := buildctx.Scan(t.Context(), root, nil)
		if err != nil {
			t.Fatal(err)
		}
		top, err := tree.Sent(t.Context(), dockerfile.Request{})
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := content.Compute(t.Context(), top, nil, time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func explained(t testing.TB, s *store.Store, r cache.Record, e cache.Evidence, m ...*content.Manifest) {
	t.Helper()
	if added, err := s.PutExplained(r, e, m...); added != 1 || err != nil {
		t.Fatalf("PutExplained stored %d builds, %v; want 1", added, err)
	}
}

func differences(t testing.TB, s *store.Store, a, b content.Digest) (found []string) {
	t.Helper()
	err := s.Compare(a.String(), b.String(), func(d content.Difference) bool {
		found = append(found, fmt.Sprint(d.Path, d.Changes))
		return true
	})
	if err != nil {
		t.Error(err)
	}
	return found
}

func TestEvidence(t *testing.T) {
	file := path(t)
	s := open(t, file)
	states := manifests(t, 2)
	explained(t, s, build(0, "api"), evidence(0, states[0].Digest()), states[0])
	before := size(t, file)
	explained(t, s, build(1, "api"), evidence(1, states[1].Digest()), states[1])
	put(t, s, build(2, "api"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if grown := size(t, file) - before; grown > before/2 {
		t.Errorf("the store has %d bytes and grew by %d for one changed file, want at most half", before, grown)
	}
	s = open(t, file)
	got, ok, err := s.Evidence("docker", "ref000001")
	if d := cmp.Diff(evidence(1, states[1].Digest()), got); d != "" || !ok || err != nil {
		t.Errorf("Evidence: %v, %v (-want +got):\n%s", ok, err, d)
	}
	if _, ok, err := s.Evidence("docker", "ref000002"); ok || err != nil {
		t.Errorf("a build without evidence has some: %v", err)
	}
	if d := cmp.Diff([]string{"dir7/file77[content]"}, differences(t, s, states[0].Digest(), states[1].Digest())); d != "" {
		t.Errorf("differences (-want +got):\n%s", d)
	}
	if err := s.Compare("sha256:00", "", nil); err == nil {
		t.Error("Compare of a malformed digest succeeds")
	}
	newer := build(1, "api")
	newer.Generation, newer.Completed = 2, newer.Completed.Add(time.Second)
	put(t, s, newer)
	if _, ok, err := s.Evidence("docker", "ref000001"); !ok || err != nil {
		t.Errorf("an update of the record lost the evidence: %v", err)
	}
	newer.Generation++
	explained(t, s, newer, evidence(5, states[1].Digest()), states[1])
	if got, _, _ := s.Evidence("docker", "ref000001"); got.Operations[1].Key != "k5" {
		t.Errorf("the evidence is still the older one: %v", got.Operations[1].Key)
	}
}

func TestFirstMade(t *testing.T) {
	s := open(t, path(t))
	state := manifests(t, 1)[0]
	for n := range 4 {
		e := evidence(n%2, state.Digest())
		switch n {
		case 2:
			e.Bare = cache.Moving
		case 3:
			e.Operations[1].Fate = cache.Untouched
		}
		explained(t, s, build(n, "api"), e, state)
	}
	put(t, s, build(4, "api")) // nothing is kept of it
	refs := []string{"gone", "ref000004", "ref000003", "ref000002", "ref000001", "ref000000"}
	for _, tt := range []struct {
		keys []string
		want int
	}{
		{[]string{"k0"}, 2}, {[]string{"k1"}, 4}, {[]string{"k0", "k1"}, 4}, {[]string{"k"}, -1}, {[]string{"k1", "k2"}, -1},
	} {
		if got, err := s.FirstMade("docker", refs, tt.keys); got != tt.want || err != nil {
			t.Errorf("FirstMade(%q) = %d, %v; want %d", tt.keys, got, err, tt.want)
		}
	}
	if got, err := s.FirstMade("other", refs, []string{"k0"}); got != -1 || err != nil {
		t.Errorf("FirstMade of another builder: %d, %v; want -1", got, err)
	}
}

// size returns the size of the store's file.
func size(t testing.TB, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestPruneEvidence checks that evidence is deleted with its record, and the oldest if
// there is too much of it.
func TestPruneEvidence(t *testing.T) {
	s := open(t, path(t))
	states := manifests(t, 10)
	for n := range 40 {
		explained(t, s, build(n, "api"), evidence(n, states[n/4].Digest()), states[n/4])
	}
	kept := func() (first int, n int) {
		first = -1
		for i := range 40 {
			if _, ok, err := s.Evidence("docker", fmt.Sprintf("ref%06d", i)); err != nil {
				t.Fatal(err)
			} else if ok {
				if n++; first < 0 {
					first = i
				}
			}
		}
		return first, n
	}
	if _, err := s.Prune(build(40, "").Completed, store.Retention{Age: 20 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	if first, n := kept(); first != 20 || n != 20 {
		t.Errorf("by age, the evidence of %d builds is left, from %d on; want 20 from 20", n, first)
	}
	if got := differences(t, s, states[5].Digest(), states[9].Digest()); len(got) != 1 {
		t.Errorf("manifests that are left differ in %v, want one file", got)
	}
	if err := s.Compare(states[0].Digest().String(), states[9].Digest().String(), func(content.Difference) bool { return true }); err == nil {
		t.Error("the manifest of a build that is gone is still stored")
	}
	if _, err := s.Prune(epoch, store.Retention{Evidence: 34_000}); err != nil {
		t.Fatal(err)
	}
	first, n := kept()
	if n == 0 || n == 20 || first+n != 40 {
		t.Errorf("34,000 bytes have the evidence of %d builds, from %d on; want some, the newest", n, first)
	}
	if got := refs(t, s, store.Query{}); len(got) != 20 {
		t.Errorf("%d records are left, want 20: those without evidence stay", len(got))
	}
	if _, err := s.Prune(epoch, store.Retention{Bytes: 1}); err != nil {
		t.Fatal(err)
	}
	if _, n := kept(); n != 0 {
		t.Errorf("the evidence of %d builds that are gone is left", n)
	}
	explained(t, s, build(1, "api"), evidence(1, states[1].Digest()), states[1]) // all of it is stored again
	if got := differences(t, s, states[1].Digest(), states[1].Digest()); got != nil {
		t.Errorf("a manifest differs from itself in %v", got)
	}
}

// BenchmarkCompare200k compares what two builds took of 200,000 files, of which one
// changed, in a store on disk.
func BenchmarkCompare200k(b *testing.B) {
	root := b.TempDir()
	for i := range 200_000 {
		dir := filepath.Join(root, fmt.Sprintf("d%03d/d%02d", i/10_000, i/100%100))
		if i%100 == 0 {
			_ = os.MkdirAll(dir, 0o755)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%02d", i%100)), fmt.Append(nil, i), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	look := func() *content.Manifest {
		tree, err := buildctx.Scan(b.Context(), root, nil)
		if err != nil {
			b.Fatal(err)
		}
		top, err := tree.Sent(b.Context(), dockerfile.Request{})
		if err != nil {
			b.Fatal(err)
		}
		m, _, err := content.Compute(b.Context(), top, nil, time.Now().Add(time.Hour))
		if err != nil {
			b.Fatal(err)
		}
		return m
	}
	file := path(b)
	s := open(b, file)
	before := look()
	began := time.Now()
	explained(b, s, build(0, "api"), evidence(0, before.Digest()), before)
	first, firstSize := time.Since(began), size(b, file)
	if err := os.WriteFile(filepath.Join(root, "d007/d07/f07"), []byte("x"), 0o644); err != nil {
		b.Fatal(err)
	}
	after := look()
	began = time.Now()
	explained(b, s, build(1, "api"), evidence(1, after.Digest()), after)
	second := time.Since(began)
	for b.Loop() {
		if got := differences(b, s, before.Digest(), after.Digest()); len(got) != 1 {
			b.Fatal(got)
		}
	}
	b.ReportMetric(float64(first.Milliseconds()), "ms/first-write")
	b.ReportMetric(float64(second.Milliseconds()), "ms/next-write")
	b.ReportMetric(float64(firstSize)/200_000, "file-B/file")
}

func TestBlames(t *testing.T) {
	s := open(t, path(t))
	list := []cache.Blame{{Step: 3, Kind: cache.ByFiles, Name: "src/\xff"}, {Kind: cache.ByGone}}
	for n := range 3 {
		put(t, s, build(n, "api"))
		if err := s.PutBlames(store.BuildID{Builder: "docker", Ref: build(n, "").Ref}, list); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutBlames(store.BuildID{Builder: "docker", Ref: "gone"}, list); err != nil {
		t.Errorf("PutBlames of a build that is not stored: %v", err)
	}
	want := map[store.BuildID][]cache.Blame{{Builder: "docker", Ref: "ref000001"}: list, {Builder: "docker", Ref: "ref000002"}: list}
	got, err := s.Blames(build(1, "").Completed)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("blames, %v (-want +got):\n%s", err, d)
	}
	if _, err := s.Prune(epoch, store.Retention{Bytes: 1}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Blames(epoch.Add(-time.Hour)); len(got) > 0 || err != nil {
		t.Errorf("blames after all builds are gone: %v, %v; want none", got, err)
	}
}
