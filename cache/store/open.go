package store

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// lockWait is how long Open waits for another process to close the file. A daemon that
// is stopping takes up to a second.
const lockWait = 1500 * time.Millisecond

// migrations has the migration from schema n to n+1 at index n.
var migrations = [schema]func(*bbolt.Tx) error{create, addLearnt, addSums, addEvidence, addBlames, addRemoteUse}

// Open opens the store at path. If there is none it creates one (mode 0600, its
// directory 0700), and if it has an older schema it migrates it.
//
// A corrupt file is not deleted, but renamed to path.corrupt-TIME, which
// [Store.Replaced] returns, and a new one is created. The error wraps [ErrLocked] if
// another process has the file open, and [ErrNewer] if a newer stoker wrote it; the
// file is not changed then.
func Open(path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create the store's directory: %w", err)
	}
	s, err := open(path)
	if !errors.Is(err, ErrCorrupt) {
		return s, err
	}
	aside := path + ".corrupt-" + time.Now().UTC().Format("20060102T150405.000Z")
	if renameErr := os.Rename(path, aside); renameErr != nil {
		return nil, fmt.Errorf("open %s: %w; move it aside: %w", path, err, renameErr)
	}
	if s, err = open(path); err != nil {
		return nil, err
	}
	s.replaced = aside
	return s, nil
}

// open is Open without the replacement of a corrupt file.
func open(path string) (*Store, error) {
	s := &Store{layouts: map[uint32]*layout{}}
	var file *os.File
	err := guarded(func() (err error) {
		s.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:      lockWait,
			FreelistType: bbolt.FreelistMapType,
			NoStatistics: true,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				var err error
				file, err = os.OpenFile(name, flag, mode)
				return file, err
			},
		})
		return err
	})
	if err == nil {
		err = s.prepare(path)
	}
	switch {
	case err == nil:
		return s, nil
	case s.db != nil:
		_ = s.db.Close()
	case file != nil:
		_ = file.Close() // bbolt panicked, with the file open and locked
	}
	return nil, fmt.Errorf("open %s: %w", path, classify(err))
}

// classify returns an error of bbolt with the sentinel that it means, if any.
func classify(err error) error {
	if errors.Is(err, bolterrors.ErrTimeout) {
		return ErrLocked
	}
	for _, damage := range []error{bolterrors.ErrInvalid, bolterrors.ErrChecksum, bolterrors.ErrVersionMismatch} {
		if errors.Is(err, damage) {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	return explain(err)
}

// prepare checks the open file, migrates it if needed, and reads the key.
func (s *Store) prepare(path string) error {
	if err := tighten(path); err != nil {
		return err
	}
	var from uint32
	err := guarded(func() error {
		return s.db.View(func(tx *bbolt.Tx) (err error) {
			if from, err = version(tx); err != nil || from != schema {
				return err
			}
			return s.check(tx)
		})
	})
	if err != nil {
		return err
	}
	if from > schema {
		return fmt.Errorf("%w (schema %d, this one knows %d): upgrade stoker, or move the file away", ErrNewer, from, schema)
	}
	if from == schema {
		return nil
	}
	return guarded(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			for n := from; n < schema; n++ {
				if err := migrations[n](tx); err != nil {
					return fmt.Errorf("migrate from schema %d: %w", n, err)
				}
			}
			if err := tx.Bucket(metaBucket).Put(schemaKey, binary.BigEndian.AppendUint32(nil, schema)); err != nil {
				return err
			}
			return s.check(tx)
		})
	})
}

// check looks for damage that can be found quickly, however large the file is, and reads
// the key.
func (s *Store) check(tx *bbolt.Tx) error {
	if size := tx.Size(); size > 0 {
		info, err := os.Stat(s.db.Path())
		if err != nil {
			return err
		}
		if info.Size() < size {
			return fmt.Errorf("%w: %d bytes of %d", ErrCorrupt, info.Size(), size)
		}
	}
	for _, name := range slices.Concat(recordBuckets, documentBuckets, evidenceBuckets, [][]byte{sumBucket}) {
		b := tx.Bucket(name)
		if b == nil {
			return fmt.Errorf("%w: no bucket %s", ErrCorrupt, name)
		}
		b.Cursor().First()
		b.Cursor().Last()
	}
	if n := copy(s.key[:], tx.Bucket(metaBucket).Get(randomKey)); n != len(s.key) {
		return fmt.Errorf("%w: key of %d bytes", ErrCorrupt, n)
	}
	return nil
}

// create creates the first schema.
func create(tx *bbolt.Tx) error {
	meta, err := tx.CreateBucket(metaBucket)
	if err != nil {
		return err
	}
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return fmt.Errorf("draw the store's key: %w", err)
	}
	if err := meta.Put(randomKey, key[:]); err != nil {
		return err
	}
	for _, name := range [][]byte{
		layoutBucket, layoutIDBucket, recordBucket, refBucket, repositories.bucket, images.bucket, warmths.bucket,
	} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return nil
}

// addLearnt migrates to the schema with learnt definitions. It deletes the base images,
// whose keys are different from then on.
func addLearnt(tx *bbolt.Tx) error {
	if err := tx.DeleteBucket(images.bucket); err != nil {
		return err
	}
	for _, name := range [][]byte{images.bucket, learnt.bucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return nil
}

// addRemoteUse migrates to the schema in which records have the use of remote caches. Those that
// are there stay as they are: it is only that earlier versions cannot read the new ones.
func addRemoteUse(*bbolt.Tx) error { return nil }

// tighten makes the file private if it is not, as after it was copied or restored.
func tighten(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&^fs.FileMode(0o600) == 0 {
		return nil
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("make the store private: %w", err)
	}
	return nil
}
