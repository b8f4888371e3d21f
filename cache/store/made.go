package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// madeBucket has a bucket per builder's cache, with executions by time. It is created
// when first needed.
var madeBucket = []byte("made")

const (
	// maxMade is how many executions are kept of one cache, which take some ten
	// megabytes. Without the older ones it is not known what made some entries.
	maxMade = 50_000
	// madeFor is how long executions are kept.
	madeFor = 180 * 24 * time.Hour
)

// A Made is the execution of a step, which made an entry of a builder's cache.
type Made struct {
	// Record identifies the entry: what the builder lists the result as
	// (dockerfile.Op.Record), sealed ([Store.Seal]).
	Record             []byte    `json:"record"`
	Started, Completed time.Time // by the builder's clock
	Repository         string    `json:"repository"`
	Definition         string    `json:"definition"`
	Step               string    `json:"step"` // as in a record of a build
}

// PutMade stores executions on a builder's cache. Those that are stored already do not
// change. name identifies the cache, and is not stored.
func (s *Store) PutMade(name string, now time.Time, list []Made) error {
	if len(list) == 0 {
		return nil
	}
	return s.update("what was executed", func(tx *bbolt.Tx) error {
		b, err := makeNested(tx, madeBucket, s.ledgerID(name))
		if err != nil {
			return err
		}
		count := b.Sequence()
		for _, m := range list {
			key := append(timeKey(m.Started), m.Record...)
			if b.Get(key) != nil {
				continue
			}
			value, err := json.Marshal(m)
			if err != nil {
				return err
			}
			if err := b.Put(key, value); err != nil {
				return err
			}
			count++
		}
		return dropOldMade(b, count, now)
	})
}

// dropOldMade deletes the executions in b that are too old or too many. count is the
// number of entries, which is kept as the sequence number of b.
func dropOldMade(b *bbolt.Bucket, count uint64, now time.Time) error {
	oldest := timeKey(now.Add(-madeFor))
	c := b.Cursor()
	for key, _ := c.First(); key != nil && (count > maxMade || bytes.Compare(key, oldest) < 0); key, _ = c.First() {
		if err := b.Delete(key); err != nil {
			return err
		}
		count--
	}
	return b.SetSequence(count)
}

// Made returns the executions on a builder's cache, the oldest first.
func (s *Store) Made(name string) (list []Made, err error) {
	err = s.view("what was executed", func(tx *bbolt.Tx) error {
		b := nested(tx, madeBucket, s.ledgerID(name))
		if b == nil {
			return nil
		}
		return b.ForEach(func(_, value []byte) error {
			var m Made
			if err := json.Unmarshal(value, &m); err != nil {
				return fmt.Errorf("%w: an execution: %w", ErrCorrupt, err)
			}
			list = append(list, m)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
