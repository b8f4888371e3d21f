package store

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/stokerd/stoker/cache"
)

// explainedAt stores a build that ended at an hour of the day, with its evidence.
func explainedAt(t *testing.T, s *Store, hour int, ref, text string) {
	t.Helper()
	at := time.Date(2026, 5, 1, hour, 0, 0, 0, time.UTC)
	_, err := s.PutExplained(cache.Record{Builder: "b", Ref: ref, Created: at, Completed: at}, cache.Evidence{
		Dockerfile: []cache.Line{{Text: text}}, Operations: []cache.Operation{},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func openEmpty(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "stoker.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestPruneKeepsWhatIsNewMeanwhile checks that a build keeps its evidence if it ends
// between the read and the write transaction, including objects that were garbage.
func TestPruneKeepsWhatIsNewMeanwhile(t *testing.T) {
	s := openEmpty(t)
	explainedAt(t, s, 1, "old", "FROM a")
	explainedAt(t, s, 2, "new", "FROM b")
	if removed, err := prunedRecords(s); removed != 1 || err != nil {
		t.Fatalf("%d records were pruned, %v; want 1", removed, err)
	}
	var found garbage
	if err := s.view("evidence", func(tx *bbolt.Tx) (err error) { found, err = findGarbage(tx, 0); return err }); err != nil {
		t.Fatal(err)
	}
	if len(found.gone) != 1 || len(found.objects) != 1 {
		t.Fatalf("%d of the evidence and %d objects can go, want one of each", len(found.gone), len(found.objects))
	}
	explainedAt(t, s, 3, "newest", "FROM a")
	if err := s.update("retention", found.sweep); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{"new": "FROM b", "newest": "FROM a"} {
		if e, ok, err := s.Evidence("b", ref); !ok || err != nil || e.Dockerfile[0].Text != want {
			t.Errorf("%s has the evidence %+v, %v, %v; want the Dockerfile %s", ref, e, ok, err, want)
		}
	}
	if err := s.view("evidence", func(tx *bbolt.Tx) error {
		if n := tx.Bucket(evidenceBucket).Inspect().KeyN; n != 2 {
			t.Errorf("%d builds have evidence, want 2", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// prunedRecords deletes the records of the first hour, but not their evidence.
func prunedRecords(s *Store) (removed int, err error) {
	err = s.update("retention", func(tx *bbolt.Tx) (err error) {
		old, err := findOutdated(tx, time.Date(2026, 5, 1, 2, 0, 0, 0, time.UTC), Retention{Age: 30 * time.Minute})
		if err != nil {
			return err
		}
		removed = len(old.records)
		return old.drop(tx)
	})
	return removed, err
}

// TestPruneGoesOnWithoutEvidence checks that old records are deleted even if evidence is
// corrupt.
func TestPruneGoesOnWithoutEvidence(t *testing.T) {
	s := openEmpty(t)
	explainedAt(t, s, 1, "old", "FROM a")
	explainedAt(t, s, 2, "new", "FROM b")
	if err := s.update("damage", func(tx *bbolt.Tx) error {
		key, err := recordKey(tx, "b", "new")
		if err != nil {
			return err
		}
		return tx.Bucket(evidenceBucket).Put(key, []byte("{"))
	}); err != nil {
		t.Fatal(err)
	}
	removed, err := s.Prune(time.Date(2026, 5, 1, 2, 0, 0, 0, time.UTC), Retention{Age: 30 * time.Minute})
	if removed != 1 || !errors.Is(err, ErrCorrupt) {
		t.Errorf("Prune removed %d, %v; want 1 and ErrCorrupt", removed, err)
	}
	if _, ok, err := s.Record("b", "old"); ok || err != nil {
		t.Errorf("the old record is still there: %v, %v", ok, err)
	}
}
