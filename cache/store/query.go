package store

import (
	"bytes"
	"fmt"
	"iter"
	"time"

	"go.etcd.io/bbolt"

	"github.com/stokerd/stoker/cache"
)

// A Query selects records. The zero value selects all of them.
type Query struct {
	Since       time.Time // completed at or after this time
	Repository  string    // root of the repository; "" for any
	Definition  string    // name of the definition; "" for any
	NewestFirst bool      // otherwise the oldest comes first
	// Borrow avoids allocations: the Steps of a record are valid only until the next
	// record is yielded.
	Borrow bool
}

// wants reports whether the query selects records with a layout.
func (q Query) wants(l *layout) bool {
	return (q.Repository == "" || q.Repository == l.repository) &&
		(q.Definition == "" || q.Definition == l.definition)
}

// Records returns the builds that q selects, sorted by their completion. The sequence
// ends after an error. It shows the store at one moment. The body of the loop must not
// write to the store, since the write may have to wait for the loop to end.
func (s *Store) Records(q Query) iter.Seq2[cache.Record, error] {
	return func(yield func(cache.Record, error) bool) {
		fail := func(err error) { yield(cache.Record{}, fmt.Errorf("read build records from the store: %w", err)) }
		tx, err := s.db.Begin(false)
		if err != nil {
			fail(err)
			return
		}
		defer func() { _ = tx.Rollback() }() // ends the read transaction
		sc := scan{store: s, query: q, tx: tx, known: map[uint32]*layout{}}
		for {
			// The body of the loop is not guarded, so that its panics are not taken
			// for damage.
			if err := guarded(sc.fill); err != nil {
				fail(err)
				return
			}
			for _, r := range sc.batch {
				if !yield(r, nil) {
					return
				}
			}
			if sc.done {
				return
			}
		}
	}
}

// A scan is one pass over the records.
type scan struct {
	store *Store
	query Query
	tx    *bbolt.Tx
	known map[uint32]*layout // by number, to avoid the store's lock; nil if not wanted
	space arena

	since []byte                     // first key that is wanted
	step  func() (key, value []byte) // moves the cursor; nil before first
	batch []cache.Record
	done  bool // there are no more records
}

// first creates the cursor and returns the first record.
func (sc *scan) first() (key, value []byte) {
	cursor := sc.tx.Bucket(recordBucket).Cursor()
	if !sc.query.Since.IsZero() {
		sc.since = timeKey(sc.query.Since)
	}
	if sc.query.NewestFirst {
		sc.step = cursor.Prev
		return cursor.Last()
	}
	sc.step = cursor.Next
	return cursor.Seek(sc.since)
}

// fill reads the next batch.
func (sc *scan) fill() error {
	const size = 128
	sc.batch = sc.batch[:0]
	if sc.query.Borrow {
		sc.space.reset()
	}
	for len(sc.batch) < size {
		step := sc.step
		if step == nil {
			step = sc.first
		}
		key, value := step()
		if key == nil || bytes.Compare(key, sc.since) < 0 {
			sc.done = true
			return nil
		}
		d := decoder{b: value}
		l, err := sc.layout(uint32(d.unsigned()))
		if err != nil {
			return err
		}
		if l == nil {
			continue
		}
		r, err := decodeRecord(&d, l, keyTime(key), &sc.space)
		if err != nil {
			return err
		}
		sc.batch = append(sc.batch, r)
	}
	return nil
}

// layout returns the layout with a number, or nil if its records are not wanted.
func (sc *scan) layout(id uint32) (*layout, error) {
	l, seen := sc.known[id]
	if seen {
		return l, nil
	}
	l, err := sc.store.layout(sc.tx, id)
	if err != nil {
		return nil, err
	}
	if !sc.query.wants(l) {
		l = nil
	}
	sc.known[id] = l
	return l, nil
}
