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
	// Evidence is of all together that explains builds; that of the oldest goes
	// first, before their records.
	Evidence int64
}

// Prune removes the records beyond r as of now, and what only they used. It
// returns how many it removed, also beside an error: what explains builds goes
// after they do. The file does not shrink; what is freed is used again.
func (s *Store) Prune(now time.Time, r Retention) (removed int, err error) {
	n := 0
	if err := s.update("retention", func(tx *bbolt.Tx) (err error) {
		n, err = prune(tx, now, r)
		return err
	}); err != nil {
		return 0, err
	}
	if n > 0 {
		s.mu.Lock()
		clear(s.layouts) // some of them are no more
		s.mu.Unlock()
	}
	return n, s.pruneEvidence(r.Evidence)
}

// prune walks from the newest record to the oldest.
func prune(tx *bbolt.Tx, now time.Time, r Retention) (removed int, err error) {
	var (
		oldest []byte
		size   int64
		gone   [][]byte
		used   = map[uint32]bool{}
		cursor = tx.Bucket(recordBucket).Cursor()
	)
	if r.Age > 0 {
		oldest = timeKey(now.Add(-r.Age))
	}
	for key, value := cursor.Last(); key != nil; key, value = cursor.Prev() {
		size += int64(len(key) + len(value))
		if bytes.Compare(key, oldest) < 0 || (r.Bytes > 0 && size > r.Bytes) {
			gone = append(gone, bytes.Clone(key))
			continue
		}
		d := decoder{b: value}
		used[uint32(d.unsigned())] = true
	}
	if len(gone) == 0 {
		return 0, nil
	}
	dead := make(map[string]bool, len(gone))
	for _, key := range gone {
		dead[string(key)] = true
		if err := tx.Bucket(recordBucket).Delete(key); err != nil {
			return 0, err
		}
	}
	if err := sweep(tx.Bucket(refBucket), func(_, v []byte) bool { return len(v) >= 16 && dead[string(v[:16])] }); err != nil {
		return 0, err
	}
	unused := func(raw []byte) bool { return len(raw) == 4 && !used[binary.BigEndian.Uint32(raw)] }
	if err := sweep(tx.Bucket(layoutBucket), func(k, _ []byte) bool { return unused(k) }); err != nil {
		return 0, err
	}
	return len(gone), sweep(tx.Bucket(layoutIDBucket), func(_, v []byte) bool { return unused(v) })
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
