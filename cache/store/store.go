package store

import (
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"sync"

	"go.etcd.io/bbolt"
)

// schema is the version of the file's layout that this code writes.
const schema = 6

// The buckets of the file, as doc.go describes them.
var (
	metaBucket      = []byte("meta")
	layoutBucket    = []byte("layouts")
	layoutIDBucket  = []byte("layoutIDs")
	recordBucket    = []byte("records")
	refBucket       = []byte("refs")
	sumBucket       = []byte("sums")
	evidenceBucket  = []byte("evidence")
	objectBucket    = []byte("objects")
	blameBucket     = []byte("blames")
	schemaKey       = []byte("schema")
	randomKey       = []byte("key")
	recordBuckets   = [][]byte{layoutBucket, layoutIDBucket, recordBucket, refBucket}
	evidenceBuckets = [][]byte{evidenceBucket, objectBucket, blameBucket}
	documentBuckets = [][]byte{repositories.bucket, images.bucket, warmths.bucket, learnt.bucket}
)

// A Store is an open file. Make one with [Open].
type Store struct {
	db       *bbolt.DB
	key      [32]byte // see Key
	replaced string   // see Replaced

	mu      sync.Mutex         // guards layouts
	layouts map[uint32]*layout // those that were read so far; a number is never used again
}

// Close waits for transactions under way and releases the file.
func (s *Store) Close() error { return s.db.Close() }

// Key returns the store's random key, which was drawn when the file was created. It is
// the key of the HMACs that are stored in place of BuildKit's digests, which are
// unsalted hashes over values of args and environment variables.
func (s *Store) Key() [32]byte { return s.key }

// Replaced returns the path to which a corrupt file was moved when this one was created
// in its place, or "", which is the usual case. The user should be told.
func (s *Store) Replaced() string { return s.replaced }

// view runs f in a read transaction. what is read, for errors.
func (s *Store) view(what string, f func(*bbolt.Tx) error) error {
	if err := guarded(func() error { return s.db.View(f) }); err != nil {
		return fmt.Errorf("read %s from the store: %w", what, err)
	}
	return nil
}

// update runs f in a write transaction, which is on disk if update returns nil. what is
// written, for errors.
func (s *Store) update(what string, f func(*bbolt.Tx) error) error {
	if err := guarded(func() error { return s.db.Update(f) }); err != nil {
		return fmt.Errorf("write %s to the store: %w", what, explain(err))
	}
	return nil
}

// nested returns the bucket name in the bucket in, or nil if one of the two does not
// exist: such buckets are created when first needed.
func nested(tx *bbolt.Tx, in, name []byte) *bbolt.Bucket {
	if all := tx.Bucket(in); all != nil {
		return all.Bucket(name)
	}
	return nil
}

// makeNested is nested, and creates the buckets if needed.
func makeNested(tx *bbolt.Tx, in, name []byte) (*bbolt.Bucket, error) {
	all, err := tx.CreateBucketIfNotExists(in)
	if err != nil {
		return nil, err
	}
	return all.CreateBucketIfNotExists(name)
}

// dropNested deletes the bucket name in the bucket in, if there is one.
func dropNested(tx *bbolt.Tx, in, name []byte) error {
	if nested(tx, in, name) == nil {
		return nil
	}
	return tx.Bucket(in).DeleteBucket(name)
}

// guarded runs f, and returns [ErrCorrupt] if that panics or faults. bbolt panics if a
// page contradicts its parent. If the file is too short, an access to the mapping of a
// missing page faults.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrCorrupt, r)
		}
	}()
	return f()
}

// version returns the schema version of the file, which is 0 if it was just created.
func version(tx *bbolt.Tx) (uint32, error) {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		return 0, nil
	}
	raw := meta.Get(schemaKey)
	if len(raw) != 4 {
		return 0, fmt.Errorf("%w: schema version of %d bytes", ErrCorrupt, len(raw))
	}
	return binary.BigEndian.Uint32(raw), nil
}
