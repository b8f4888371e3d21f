package store

import (
	"bytes"
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"
)

// A Retention says how much history to keep. A field that is 0 sets no limit.
type Retention struct {
	Age      time.Duration // since a build's completion
	Bytes    int64         // of all records; the oldest are deleted first
	Evidence int64         // bytes of all evidence, with its objects; the oldest is deleted first
}

// Prune deletes the records that r does not keep at the time now, and what only they
// used. It returns their number, even if there is an error, since evidence is deleted in
// a second step. The file does not become smaller, but its free space is used again.
func (s *Store) Prune(now time.Time, r Retention) (removed int, err error) {
	// Other writers need not wait while all keys are read in a read transaction, and not
	// at all if there is nothing to delete.
	var old outdated
	if err := s.view("build records", func(tx *bbolt.Tx) (err error) {
		old, err = findOutdated(tx, now, r)
		return err
	}); err != nil {
		return 0, err
	}
	if len(old.records) > 0 {
		if err := s.update("retention", func(tx *bbolt.Tx) (err error) {
			if tx.ID() != old.transaction+1 { // something was written since
				if old, err = findOutdated(tx, now, r); err != nil {
					return err
				}
			}
			return old.drop(tx)
		}); err != nil {
			return 0, err
		}
		s.mu.Lock()
		clear(s.layouts) // some of them were deleted
		s.mu.Unlock()
	}
	return len(old.records), s.pruneEvidence(r.Evidence)
}

// An outdated is what can be deleted: the keys of records, and of their refs and layouts
// that no other record uses.
type outdated struct {
	transaction                       int // id of the transaction that found it
	records, refs, layouts, layoutIDs [][]byte
}

// findOutdated returns what Prune deletes, going from the newest record to the oldest.
func findOutdated(tx *bbolt.Tx, now time.Time, r Retention) (outdated, error) {
	var (
		oldest []byte
		size   int64
		dead   = map[string]bool{}
		used   = map[uint32]bool{}
		old    = outdated{transaction: tx.ID()}
		cursor = tx.Bucket(recordBucket).Cursor()
	)
	if r.Age > 0 {
		oldest = timeKey(now.Add(-r.Age))
	}
	for key, value := cursor.Last(); key != nil; key, value = cursor.Prev() {
		size += int64(len(key) + len(value))
		if bytes.Compare(key, oldest) < 0 || (r.Bytes > 0 && size > r.Bytes) {
			old.records = append(old.records, bytes.Clone(key))
			dead[string(key)] = true
			continue
		}
		d := decoder{b: value}
		used[uint32(d.unsigned())] = true
	}
	if len(old.records) == 0 {
		return old, nil
	}
	unused := func(raw []byte) bool { return len(raw) == 4 && !used[binary.BigEndian.Uint32(raw)] }
	var err error
	if old.refs, err = matching(tx.Bucket(refBucket), func(_, v []byte) bool { return len(v) >= 16 && dead[string(v[:16])] }); err != nil {
		return old, err
	}
	if old.layouts, err = matching(tx.Bucket(layoutBucket), func(k, _ []byte) bool { return unused(k) }); err != nil {
		return old, err
	}
	old.layoutIDs, err = matching(tx.Bucket(layoutIDBucket), func(_, v []byte) bool { return unused(v) })
	return old, err
}

// drop deletes what findOutdated found.
func (o outdated) drop(tx *bbolt.Tx) error {
	for _, part := range []struct {
		bucket []byte
		keys   [][]byte
	}{{recordBucket, o.records}, {refBucket, o.refs}, {layoutBucket, o.layouts}, {layoutIDBucket, o.layoutIDs}} {
		if err := drop(tx.Bucket(part.bucket), part.keys); err != nil {
			return err
		}
	}
	return nil
}

// sweep deletes the entries of a bucket that match.
func sweep(b *bbolt.Bucket, match func(k, v []byte) bool) error {
	keys, err := matching(b, match)
	if err != nil {
		return err
	}
	return drop(b, keys)
}

// matching returns the keys of the entries in a bucket that match. They are collected
// first because a cursor moves when its entry is deleted.
func matching(b *bbolt.Bucket, match func(k, v []byte) bool) (keys [][]byte, err error) {
	err = b.ForEach(func(k, v []byte) error {
		if match(k, v) {
			keys = append(keys, bytes.Clone(k))
		}
		return nil
	})
	return keys, err
}

// drop deletes entries of a bucket.
func drop(b *bbolt.Bucket, keys [][]byte) error {
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
