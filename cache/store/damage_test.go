package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// TestMigrates opens files of each older schema. What they had is there afterwards, but for the
// base images of the first schema, and so is what they had no place for.
func TestMigrates(t *testing.T) {
	later := map[uint32][]string{2: {"learnt"}, 3: {"sums"}, 4: {"evidence", "objects"}, 5: {"blames"}} // buckets, by the schema that began with them
	for from := uint32(1); from < 5; from++ {
		t.Run(fmt.Sprint(from), func(t *testing.T) {
			file := path(t)
			s := open(t, file)
			old, shop := build(0, "api"), store.Repository{Root: "/src/shop", Allowed: true, Owner: 1000, Watched: true, Since: epoch}
			put(t, s, old)
			if err := errors.Join(s.PutRepository(shop), s.PutBaseImage("node", "linux/amd64", store.BaseImage{WorkingDir: "/app"})); err != nil {
				t.Fatal(err)
			}
			key := s.Key()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			rewrite(t, file, func(tx *bbolt.Tx) error {
				for n := from + 1; n <= 5; n++ {
					for _, name := range later[n] {
						if err := tx.DeleteBucket([]byte(name)); err != nil {
							return err
						}
					}
				}
				return tx.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint32(nil, from))
			})
			s = open(t, file)
			if s.Key() != key || s.Replaced() != "" {
				t.Errorf("the key was drawn anew, or the file replaced by %q", s.Replaced())
			}
			if r, ok, err := s.Record(old.Builder, old.Ref); !ok || err != nil || !cmp.Equal(r, old) {
				t.Errorf("the build that it had is %+v, %v, %v", r, ok, err)
			}
			if r, ok, err := s.Repository(shop.Root); !ok || err != nil || !cmp.Equal(r, shop) {
				t.Errorf("the repository that it had is %+v, %v, %v", r, ok, err)
			}
			images, err := s.Images()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := images.Resolve(t.Context(), "node", "linux/amd64"); (err == nil) != (from > 1) {
				t.Errorf("the base image that it had: %v", err)
			}
			if err := errors.Join(
				s.PutLearnt(store.Learnt{Repository: "/src/shop", Seen: epoch}),
				s.PutBaseImage("node", "linux/arm64", store.BaseImage{}),
				s.PutSums("/src/shop", "/src/shop", maps.All(map[string][]byte{".": {1}})),
			); err != nil {
				t.Error(err)
			}
			next := build(1, "api")
			explained(t, s, next, cache.Evidence{})
			id := store.BuildID{Builder: next.Builder, Ref: next.Ref}
			if err := s.PutBlames(id, []cache.Blame{{Kind: cache.ByFiles, Name: "a"}}); err != nil {
				t.Error(err)
			}
			s = reopened(t, s, file)
			if blames, err := s.Blames(epoch); err != nil || len(blames[id]) != 1 {
				t.Errorf("what broke the cache is %v, %v", blames, err)
			}
			if got := refs(t, s, store.Query{}); len(got) != 2 {
				t.Errorf("it has the builds %v, want both", got)
			}
		})
	}
}

// rewrite changes a closed store in one transaction.
func rewrite(t *testing.T, file string, change func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
}
