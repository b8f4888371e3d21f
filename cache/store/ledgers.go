package store

import (
	"bytes"
	"errors"
	"iter"
	"time"

	"go.etcd.io/bbolt"
)

// ledgerBucket holds a bucket per ledger. It is made when the first one is kept.
var ledgerBucket = []byte("ledgers")

const (
	// ledgerFor is for how long a ledger is kept that nobody wrote to: that of a
	// builder which is not there any more, or was made anew.
	ledgerFor = 60 * 24 * time.Hour
	// ledgerFormat is the format of entries and of their keys' seals. Ledgers in
	// another one are not found any more, and dropped when they are old.
	ledgerFormat = "1"
)

// writtenKey is where a ledger keeps when it was last written to. No entry has a key
// that begins with a zero.
var writtenKey = []byte("\x00written")

// PutLedger stores changes of a ledger in one transaction: an entry without a
// value is deleted. anew drops all entries that were there. name is any text; it
// is not kept.
func (s *Store) PutLedger(name string, now time.Time, anew bool, changes iter.Seq2[string, []byte]) error {
	return s.update("a ledger", func(tx *bbolt.Tx) error {
		all, err := tx.CreateBucketIfNotExists(ledgerBucket)
		if err != nil {
			return err
		}
		id := s.ledgerID(name)
		if anew {
			if err := dropNested(tx, ledgerBucket, id); err != nil {
				return err
			}
		}
		if all.Bucket(id) == nil {
			if err := dropOldLedgers(all, now); err != nil {
				return err
			}
		}
		b, err := all.CreateBucketIfNotExists(id)
		if err != nil {
			return err
		}
		if err := b.Put(writtenKey, timeKey(now)); err != nil {
			return err
		}
		for key, value := range changes {
			if value == nil {
				err = b.Delete([]byte(key))
			} else {
				err = b.Put([]byte(key), value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Ledger returns the entries of a ledger, none if none is kept, and none beside an
// error.
func (s *Store) Ledger(name string) (entries map[string][]byte, err error) {
	entries = map[string][]byte{}
	err = s.view("a ledger", func(tx *bbolt.Tx) error {
		b := nested(tx, ledgerBucket, s.ledgerID(name))
		if b == nil {
			return nil
		}
		return b.ForEach(func(key, value []byte) error {
			if !bytes.Equal(key, writtenKey) {
				entries[string(key)] = bytes.Clone(value)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// ledgerID does not show the builder's address.
func (s *Store) ledgerID(name string) []byte { return []byte(ledgerFormat + s.Digest(name)) }

// dropOldLedgers makes room when another ledger begins.
func dropOldLedgers(all *bbolt.Bucket, now time.Time) error {
	var old [][]byte
	oldest := timeKey(now.Add(-ledgerFor))
	err := all.ForEachBucket(func(id []byte) error {
		if bytes.Compare(all.Bucket(id).Get(writtenKey), oldest) < 0 {
			old = append(old, bytes.Clone(id))
		}
		return nil
	})
	for _, id := range old {
		err = errors.Join(err, all.DeleteBucket(id))
	}
	return err
}
