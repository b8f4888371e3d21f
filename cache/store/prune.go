package store

import (
	"bytes"
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"
)

// Retention says how much history is kept. Zero fields set no limit.
type Retention struct {
	Age   time.Duration // since a build's completion
	Bytes int64         // of all records together; the oldest go first
	// Evidence is of all that explains builds together; that of the oldest builds goes
	// first, and before their records.
	Evidence int64
}

// Prune removes the records beyond r as of now, and what only they used. It
// returns how many it removed, also beside an error: what explains builds goes
// after they do. The file does not shrink; what is freed is used again.
func (s *Store) Prune(now time.Time, r Retention) (removed int, err error) {
	// Nobody waits while all keys are read, nor at all where nothing has to go.
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
		clear(s.layouts) // some of them are no more
		s.mu.Unlock()
	}
	return len(old.records), s.pruneEvidence(r.Evidence)
}

// An outdated is what of the builds can go, as keys: records, and the refs and
// layouts of these alone.
type outdated struct {
	transaction                       int // that found it
	records, refs, layouts, layoutIDs [][]byte
}

// findOutdated walks from the newest record to the oldest.
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

// drop deletes what was found.
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

// matching returns the keys of a bucket's entries that match: deleting under a
// cursor moves it.
func matching(b *bbolt.Bucket, match func(k, v []byte) bool) (keys [][]byte, err error) {
	err = b.ForEach(func(k, v []byte) error {
		if match(k, v) {
			keys = append(keys, bytes.Clone(k))
		}
		return nil
	})
	return keys, err
}

func drop(b *bbolt.Bucket, keys [][]byte) error {
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
