package store

import (
	"encoding/hex"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache"
)

// TestPruneForgetsLayouts checks that layouts do not stay in memory when their records
// are gone: a store may be open for months.
func TestPruneForgetsLayouts(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "stoker.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	if _, err := s.Put(cache.Record{Builder: "b", Ref: "r", Created: now, Completed: now, Steps: []cache.Step{{Name: "[1/1] RUN x"}}}); err != nil {
		t.Fatal(err)
	}
	for _, err := range s.Records(Query{}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(s.layouts) != 1 {
		t.Fatalf("%d layouts are in memory after one was read", len(s.layouts))
	}
	if _, err := s.Prune(now.Add(time.Hour), Retention{Age: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if len(s.layouts) != 0 {
		t.Errorf("%d layouts are in memory after their records went", len(s.layouts))
	}
}

// TestEarlierRecords reads a record as schema 5 had it, which said nothing of caches elsewhere.
func TestEarlierRecords(t *testing.T) {
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	l := &layout{builder: "b", repository: "/src/shop", definition: "api", steps: []cache.Step{{Name: "[1/1] RUN x"}}}
	// The layout's number, the generation, the status, "r", "", a second, an imported step.
	stored, err := hex.DecodeString("01" + "02" + "01" + "0172" + "00" + "80a8d6b907" + "02")
	if err != nil {
		t.Fatal(err)
	}
	d := decoder{b: stored}
	d.unsigned()
	got, err := decodeRecord(&d, l, noon, &arena{})
	want := cache.Record{
		Builder: "b", Ref: "r", Generation: 1, Repository: "/src/shop", Definition: "api", Status: cache.Completed,
		Created: noon.Add(-time.Second), Completed: noon, Steps: []cache.Step{{Name: "[1/1] RUN x", Outcome: cache.Imported}},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, record (-want +got):\n%s", err, diff)
	}
}
