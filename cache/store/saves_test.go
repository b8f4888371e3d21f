package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/internal/changes"
)

func TestSaves(t *testing.T) {
	file := path(t)
	s := open(t, file)
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	put := func(root string, after time.Duration, paths ...string) {
		t.Helper()
		if err := s.PutSave(root, changes.Save{At: start.Add(after), Paths: paths}); err != nil {
			t.Fatal(err)
		}
	}
	put("/r", 0, "a", "b")
	put("/r", 4*time.Second, "b", "c\nd") // what a formatter does to it
	put("/r", time.Minute, "a")
	put("/r", time.Minute)
	put("/r", 30*time.Second, "back") // the clock was set back, so it is a save of its own
	put("/other", 0, "x")
	s = reopened(t, s, file)
	want := []changes.Save{
		{At: start, Paths: []string{"a", "b", "c\nd"}}, {At: start.Add(time.Minute), Paths: []string{"a"}}, {At: start.Add(30 * time.Second), Paths: []string{"back"}},
	}
	got, err := s.Saves("/r")
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i].At = got[i].At.UTC()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("saves (-want +got):\n%s", diff)
	}
	forget(t, s, "/r")
	if got, err := s.Saves("/r"); err != nil || len(got) != 0 {
		t.Errorf("saves of a forgotten repository: %v, %v; want none", got, err)
	}
	if got, err := s.Saves("/other"); err != nil || len(got) != 1 {
		t.Errorf("saves of another repository: %v, %v; want 1", got, err)
	}
}

// TestSavesAreBounded checks the bounds on the number of saves, and of paths in one.
func TestSavesAreBounded(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "stoker.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprint("f", i))
	}
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	const saves = 2100
	for i := range saves {
		one := changes.Save{At: start.Add(time.Duration(i) * time.Minute), Paths: many[:1+i%3]}
		if i == saves-1 {
			one.Paths = many
		}
		if err := s.PutSave("/r", one); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.Saves("/r")
	if err != nil || len(list) != 2000 || len(list[len(list)-1].Paths) != 200 {
		t.Fatalf("%d saves are kept, %v; want 2000, of at most 200 paths", len(list), err)
	}
	if first := list[0].At.Sub(start); first != (saves-2000)*time.Minute {
		t.Errorf("the oldest save is of %v, want %v: others than the oldest were deleted", first, (saves-2000)*time.Minute)
	}
}
