package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/stokerd/stoker/cache"
)

// A BuildID identifies a build: its builder's name, and BuildKit's ref of it.
type BuildID struct{ Builder, Ref string }

// PutBlames stores what broke the cache in a build, replacing what was stored about it
// before. If the build is not stored (any more), nothing is.
func (s *Store) PutBlames(id BuildID, blames []cache.Blame) error {
	return s.update("what broke the cache", func(tx *bbolt.Tx) error {
		key, err := recordKey(tx, id.Builder, id.Ref)
		if err != nil || key == nil {
			return err
		}
		raw := appendString(appendString(nil, id.Builder), id.Ref)
		for _, b := range blames {
			raw = appendString(appendString(binary.AppendUvarint(raw, uint64(b.Step)), string(b.Kind)), b.Name)
		}
		return tx.Bucket(blameBucket).Put(key, raw)
	})
}

// Blames returns what broke the cache in the builds that ended at or after a time.
func (s *Store) Blames(since time.Time) (map[BuildID][]cache.Blame, error) {
	all := map[BuildID][]cache.Blame{}
	err := s.view("what broke the cache", func(tx *bbolt.Tx) error {
		from := timeKey(since)
		cursor := tx.Bucket(blameBucket).Cursor()
		for key, raw := cursor.Seek(from); key != nil && bytes.Compare(key, from) >= 0; key, raw = cursor.Next() {
			d := decoder{b: raw}
			id := BuildID{d.text(), d.text()}
			var list []cache.Blame
			for len(d.b) > 0 {
				list = append(list, cache.Blame{Step: int(d.unsigned()), Kind: cache.CauseKind(d.text()), Name: d.text()})
			}
			if d.bad {
				return fmt.Errorf("%w: blames that do not decode", ErrCorrupt)
			}
			all[id] = list
		}
		return nil
	})
	return all, err
}

// addBlames migrates to the schema with blames.
func addBlames(tx *bbolt.Tx) error {
	_, err := tx.CreateBucketIfNotExists(blameBucket)
	return err
}
