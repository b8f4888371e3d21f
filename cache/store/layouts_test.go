package store

import (
	"path/filepath"
	"testing"
	"time"

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
