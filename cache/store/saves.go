package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/stokerd/stoker/internal/changes"
)

// saveBucket has a bucket per repository, by root, with its saves in order. It is created
// when first needed.
var saveBucket = []byte("saves")

const (
	// maxSaves is how many saves are kept of one repository, the newest. They are weeks
	// of work.
	maxSaves = 2000
	// maxSaved is how many paths are kept of one save. If there are more, it was not an
	// edit but something like the unpacking of an archive.
	maxSaved = 200
	// saveApart is how long after the beginning of a save a change counts as another one.
	// What an editor and then a formatter write belongs to one build.
	saveApart = 10 * time.Second
)

// PutSave stores that files of a repository changed, as a save of its own or as part of
// the one right before. Only their names are stored.
func (s *Store) PutSave(repository string, save changes.Save) error {
	if len(save.Paths) == 0 {
		return nil
	}
	return s.update("a save", func(tx *bbolt.Tx) error {
		b, err := makeNested(tx, saveBucket, []byte(repository))
		if err != nil {
			return err
		}
		key, value := b.Cursor().Last()
		key = bytes.Clone(key)
		last, err := decodeSave(value)
		if since := save.At.Sub(last.At); key == nil || err != nil || since > saveApart || since < 0 {
			n, err := b.NextSequence()
			if err != nil {
				return err
			}
			key, last = binary.BigEndian.AppendUint64(nil, n), changes.Save{At: save.At}
			if err := dropOldSaves(b, n); err != nil {
				return err
			}
		}
		for _, p := range save.Paths {
			if len(last.Paths) < maxSaved && p != "" && !slices.Contains(last.Paths, p) {
				last.Paths = append(last.Paths, p)
			}
		}
		return b.Put(key, append(timeKey(last.At), strings.Join(last.Paths, "\x00")...))
	})
}

// dropOldSaves deletes the saves that are too many once save number n is stored.
func dropOldSaves(b *bbolt.Bucket, n uint64) error {
	c := b.Cursor()
	for key, _ := c.First(); key != nil && binary.BigEndian.Uint64(key)+maxSaves <= n; key, _ = c.First() {
		if err := b.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// Saves returns the saves of a repository, the oldest first.
func (s *Store) Saves(repository string) (list []changes.Save, err error) {
	err = s.view("saves", func(tx *bbolt.Tx) error {
		b := nested(tx, saveBucket, []byte(repository))
		if b == nil {
			return nil
		}
		return b.ForEach(func(_, value []byte) error {
			one, err := decodeSave(value)
			if err == nil {
				list = append(list, one)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func decodeSave(value []byte) (changes.Save, error) {
	if len(value) < 8 {
		return changes.Save{}, fmt.Errorf("%w: a save", ErrCorrupt)
	}
	return changes.Save{At: keyTime(value[:8]), Paths: strings.Split(string(value[8:]), "\x00")}, nil
}
