package store

import (
	"bytes"
	"errors"
	"iter"
	"time"

	"go.etcd.io/bbolt"
)

// ledgerBucket has a bucket per ledger. It is created when first needed.
var ledgerBucket = []byte("ledgers")

const (
	// ledgerFor is how long a ledger is kept after it was last written to. Its builder
	// may not exist any more, or have been created again.
	ledgerFor = 60 * 24 * time.Hour
	// ledgerFormat is the format of entries and of their keys. A ledger in another
	// format is not found, and is deleted when it is old.
	ledgerFormat = "1"
)

// writtenKey is the key of the time at which a ledger was last written to. No entry has
// a key that begins with a zero byte.
var writtenKey = []byte("\x00written")

// UpdateLedger makes changes to a ledger, which is created if there is none, in one
// transaction. Each change is the key of an entry and its new value; nil deletes the entry.
// name identifies the ledger, and is not stored.
func (s *Store) UpdateLedger(name string, now time.Time, changes iter.Seq2[string, []byte]) error {
	return s.update("a ledger", func(tx *bbolt.Tx) error {
		return s.updateLedger(tx, name, now, changes)
	})
}

// ReplaceLedger deletes all entries of a ledger and then updates it, as [Store.UpdateLedger]
// does, in one transaction.
func (s *Store) ReplaceLedger(name string, now time.Time, changes iter.Seq2[string, []byte]) error {
	return s.update("a ledger", func(tx *bbolt.Tx) error {
		if err := dropNested(tx, ledgerBucket, s.ledgerID(name)); err != nil {
			return err
		}
		return s.updateLedger(tx, name, now, changes)
	})
}

// updateLedger is UpdateLedger within a transaction. When it creates a ledger it deletes
// old ones.
func (s *Store) updateLedger(tx *bbolt.Tx, name string, now time.Time, changes iter.Seq2[string, []byte]) error {
	all, err := tx.CreateBucketIfNotExists(ledgerBucket)
	if err != nil {
		return err
	}
	id := s.ledgerID(name)
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
}

// Ledger returns the entries of a ledger by key. If there is no such ledger the map is
// empty.
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

// ledgerID returns the key for a ledger, from which its name, with the address of a
// builder, cannot be told.
func (s *Store) ledgerID(name string) []byte { return []byte(ledgerFormat + s.Digest(name)) }

// dropOldLedgers deletes the ledgers that were not written to for ledgerFor.
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
