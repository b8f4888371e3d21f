package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/store"
)

func TestSecondProcessIsToldWhy(t *testing.T) {
	file := path(t)
	open(t, file)
	if _, err := store.Open(file); !errors.Is(err, store.ErrLocked) {
		t.Errorf("second Open: %v, want ErrLocked", err)
	}
}

// TestNewerSchemaIsRefused opens a file with the schema version of a later stoker.
func TestNewerSchemaIsRefused(t *testing.T) {
	file := path(t)
	_ = open(t, file).Close()
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint32(nil, 99))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = store.Open(file); !errors.Is(err, store.ErrNewer) || !strings.Contains(err.Error(), "99") {
		t.Errorf("Open of schema 99: %v, want ErrNewer that names it", err)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the refused file was changed (%v)", err)
	}
}

// TestCorruptFileIsMovedAside damages a store of some hundred builds in ways in which
// disks and incomplete copies do.
func TestCorruptFileIsMovedAside(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"text":        func([]byte) []byte { return []byte(strings.Repeat("not a database\n", 2000)) },
		"a few bytes": func(b []byte) []byte { return b[:100] },
		"zeros":       func(b []byte) []byte { clear(b); return b },
		"no metas":    func(b []byte) []byte { clear(b[:2*os.Getpagesize()]); return b },
		"cut short":   func(b []byte) []byte { return b[:4*os.Getpagesize()] },
		"no pages":    func(b []byte) []byte { clear(b[2*os.Getpagesize():]); return b },
	} {
		t.Run(name, func(t *testing.T) {
			file := path(t)
			s := open(t, file)
			for n := range 300 {
				put(t, s, build(n, "api"))
			}
			_ = s.Close()
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			raw = damage(raw)
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			s = open(t, file)
			aside := s.Replaced()
			if filepath.Dir(aside) != filepath.Dir(file) {
				t.Fatalf("the damaged file was moved to %q, want a file beside %s", aside, file)
			}
			if kept, err := os.ReadFile(aside); err != nil || !bytes.Equal(kept, raw) {
				t.Errorf("what was moved aside is not what was there (%v)", err)
			}
			if put(t, s, build(1, "api")) != 1 {
				t.Error("the new store does not take a record")
			}
		})
	}
}

func TestHealthyFileIsNotReplaced(t *testing.T) {
	file := path(t)
	_ = open(t, file).Close()
	if aside := open(t, file).Replaced(); aside != "" {
		t.Errorf("a healthy store was moved to %s", aside)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "empty.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if aside := open(t, filepath.Join(filepath.Dir(file), "empty.db")).Replaced(); aside != "" {
		t.Errorf("an empty file, as a kill during creation leaves it, was moved to %s", aside)
	}
}

func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var pathErr *fs.PathError
	if _, err := store.Open(filepath.Join(file, "stoker.db")); !errors.As(err, &pathErr) {
		t.Errorf("Open below a file: %v, want an *fs.PathError", err)
	}
}

// TestMigrates opens a file of the first schema, which had no learnt definitions, sums,
// evidence or blames.
func TestMigrates(t *testing.T) {
	file := path(t)
	if err := open(t, file).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(
			tx.DeleteBucket([]byte("learnt")), tx.DeleteBucket([]byte("sums")),
			tx.DeleteBucket([]byte("evidence")), tx.DeleteBucket([]byte("objects")), tx.DeleteBucket([]byte("blames")),
			tx.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint32(nil, 1)),
		)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s := open(t, file)
	if err := s.PutLearnt(store.Learnt{Repository: "/src/shop", Seen: epoch}); err != nil {
		t.Error(err)
	}
	if err := s.PutBaseImage("node", "linux/amd64", store.BaseImage{}); err != nil {
		t.Error(err)
	}
	if err := s.PutSums("/src/shop", "/src/shop", maps.All(map[string][]byte{".": {1}})); err != nil {
		t.Error(err)
	}
	explained(t, s, build(0, "api"), cache.Evidence{})
}
