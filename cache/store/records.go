package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/stokerd/stoker/cache"
)

// Put stores finished builds in one transaction, and returns how many of them it stored.
//
// A record is identified by its builder and ref. If it is stored already, it is replaced
// if its generation is higher than that of the stored one, and skipped otherwise, so that
// the history of a builder can be stored any number of times.
func (s *Store) Put(records ...cache.Record) (added int, err error) {
	for _, r := range records {
		if err := complete(r); err != nil {
			return 0, err
		}
	}
	err = s.update("build records", func(tx *bbolt.Tx) error {
		for _, r := range records {
			key, err := putRecord(tx, r)
			if err != nil {
				return err
			}
			if key != nil {
				added++
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return added, nil
}

// complete returns an error if a record lacks what it is identified and sorted by.
func complete(r cache.Record) error {
	if r.Builder == "" || r.Ref == "" || r.Completed.IsZero() || r.Created.IsZero() {
		return fmt.Errorf("write a build record to the store: record %q of builder %q lacks a name or a time", r.Ref, r.Builder)
	}
	return nil
}

// putRecord stores r and returns its key, or nil if r was skipped because it is stored in
// the same or a higher generation. The evidence of a record that is replaced is kept.
func putRecord(tx *bbolt.Tx, r cache.Record) (key []byte, err error) {
	refs, records := tx.Bucket(refBucket), tx.Bucket(recordBucket)
	name := refKey(r.Builder, r.Ref)
	var (
		sequence uint64
		replaced []byte
	)
	if entry := refs.Get(name); entry != nil {
		key, generation, err := decodeRef(entry)
		if err != nil || generation >= r.Generation {
			return nil, err
		}
		sequence = binary.BigEndian.Uint64(key[8:])
		if err := records.Delete(key); err != nil {
			return nil, err
		}
		replaced = key
	} else if sequence, err = records.NextSequence(); err != nil {
		return nil, err
	}
	id, err := layoutID(tx, encodeLayout(r))
	if err != nil {
		return nil, err
	}
	key = binary.BigEndian.AppendUint64(timeKey(r.Completed), sequence)
	if err := records.Put(key, encodeRecord(id, r)); err != nil {
		return nil, err
	}
	if err := moveEvidence(tx, replaced, key); err != nil {
		return nil, err
	}
	return key, refs.Put(name, binary.AppendVarint(key[:len(key):len(key)], int64(r.Generation)))
}

// layoutID returns the number of a layout, and stores the layout if it is new.
func layoutID(tx *bbolt.Tx, encoded []byte) (uint32, error) {
	ids, layouts := tx.Bucket(layoutIDBucket), tx.Bucket(layoutBucket)
	digest := sha256.Sum256(encoded)
	if raw := ids.Get(digest[:]); len(raw) == 4 {
		return binary.BigEndian.Uint32(raw), nil
	}
	next, err := layouts.NextSequence()
	if err != nil {
		return 0, err
	}
	raw := binary.BigEndian.AppendUint32(nil, uint32(next))
	if err := layouts.Put(raw, encoded); err != nil {
		return 0, err
	}
	return uint32(next), ids.Put(digest[:], raw)
}

// Record returns a build by its builder and ref; ok is false if it is not stored.
func (s *Store) Record(builder, ref string) (r cache.Record, ok bool, err error) {
	err = s.view("a build record", func(tx *bbolt.Tx) error {
		key, err := recordKey(tx, builder, ref)
		if err != nil || key == nil {
			return err
		}
		d := decoder{b: tx.Bucket(recordBucket).Get(key)}
		l, err := s.layout(tx, uint32(d.unsigned()))
		if err != nil {
			return err
		}
		ok = true
		r, err = decodeRecord(&d, l, keyTime(key), &arena{})
		return err
	})
	return r, ok && err == nil, err
}

// layout returns the layout with a number.
func (s *Store) layout(tx *bbolt.Tx, id uint32) (*layout, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.layouts[id]; l != nil {
		return l, nil
	}
	l, err := decodeLayout(tx.Bucket(layoutBucket).Get(binary.BigEndian.AppendUint32(nil, id)))
	if err != nil {
		return nil, err
	}
	s.layouts[id] = l
	return l, nil
}

// recordKey returns the key of a build's record, or nil if there is none.
func recordKey(tx *bbolt.Tx, builder, ref string) ([]byte, error) {
	entry := tx.Bucket(refBucket).Get(refKey(builder, ref))
	if entry == nil {
		return nil, nil
	}
	key, _, err := decodeRef(entry)
	return key, err
}

func refKey(builder, ref string) []byte { return []byte(builder + "\x00" + ref) }

// decodeRef splits an entry of refs into the record's key and generation.
func decodeRef(entry []byte) (key []byte, generation int32, err error) {
	if len(entry) < 17 {
		return nil, 0, fmt.Errorf("%w: a ref of %d bytes", ErrCorrupt, len(entry))
	}
	d := decoder{b: entry[16:]}
	generation = int32(d.signed())
	return bytes.Clone(entry[:16]), generation, d.end("ref")
}

// timeKey returns a key that sorts by time, for times since the year 1678.
func timeKey(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.UnixNano())^1<<63)
}

// keyTime is the inverse of timeKey.
func keyTime(key []byte) time.Time {
	return time.Unix(0, int64(binary.BigEndian.Uint64(key)^1<<63)).UTC()
}
