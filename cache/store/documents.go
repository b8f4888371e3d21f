package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// A Repository is a repository that is or was watched, with what its owner allowed.
// Consent is kept here, and not in the repository, so that nothing in a cloned one can
// grant it.
type Repository struct {
	Root    string    `json:"root"`          // path, links resolved
	Owner   int       `json:"owner"`         // uid of the owner of Root when consent was given
	Allowed bool      `json:"allowed"`       // its steps may run while prewarming
	Pulls   bool      `json:"pulls"`         // even for commits that came from elsewhere
	Trusted string    `json:"trusted"`       // the newest commit that the user made, built or allowed
	Watched bool      `json:"watched"`       // to be watched when the daemon starts
	Since   time.Time `json:"since"`         // when it was first watched
	Left    time.Time `json:"left,omitzero"` // when it was last watched or changed here; zero while Watched
}

// Warmth is how a definition's cache was left by the last prewarm.
type Warmth struct {
	Repository string    `json:"repository"`
	Definition string    `json:"definition"`
	Level      string    `json:"level"` // base, deps or all
	State      string    `json:"state"` // ready or failed
	Reason     string    `json:"reason,omitempty"`
	At         time.Time `json:"at"`
}

// A document is a kind of value that is stored as JSON in a bucket of its own, by a
// natural key.
type document[T any] struct {
	bucket []byte
	name   string // in errors
	key    func(T) string
}

var (
	repositories = document[Repository]{[]byte("repositories"), "a repository", func(r Repository) string { return r.Root }}
	images       = document[BaseImage]{[]byte("images"), "a base image", func(i BaseImage) string { return i.Key }}
	learnt       = document[Learnt]{[]byte("learnt"), "a learnt definition", func(l Learnt) string { return join(l.Repository, l.identity()) }}
	warmths      = document[Warmth]{[]byte("warmth"), "a warmth", func(w Warmth) string { return join(w.Repository, w.Definition) }}
)

// join returns a key of two parts, which cannot have a NUL in them.
func join(a, b string) string { return a + "\x00" + b }

// PutRepository stores a repository, replacing what was stored for its root.
func (s *Store) PutRepository(r Repository) error { return repositories.put(s, r) }

// Repository returns the repository with a root; ok is false if there is none.
func (s *Store) Repository(root string) (r Repository, ok bool, err error) {
	return repositories.get(s, root)
}

// Repositories returns all repositories, sorted by root.
func (s *Store) Repositories() ([]Repository, error) { return repositories.all(s, "") }

// Forget deletes the repositories that were not watched for longer than unwatched, and
// returns their number. It also deletes their consent, what was learnt about them and
// what is known about their files, but not the records of builds. If a repository has
// no time at which it was left, that is set to now.
func (s *Store) Forget(now time.Time, unwatched time.Duration) (forgotten int, err error) {
	all, err := s.Repositories()
	if err != nil {
		return 0, err
	}
	for _, r := range all {
		switch {
		case r.Watched:
		case r.Left.IsZero():
			r.Left = now
			err = s.PutRepository(r)
		case now.Sub(r.Left) > unwatched:
			if err = s.removeRepository(r.Root); err == nil {
				forgotten++
			}
		}
		if err != nil {
			return forgotten, err
		}
	}
	return forgotten, nil
}

func (s *Store) removeRepository(root string) error {
	return s.update(repositories.name, func(tx *bbolt.Tx) error {
		for _, bucket := range [][]byte{sumBucket, saveBucket} {
			if err := dropNested(tx, bucket, []byte(root)); err != nil {
				return err
			}
		}
		prefix := []byte(join(root, ""))
		for _, bucket := range [][]byte{learnt.bucket, warmths.bucket} {
			if err := sweep(tx.Bucket(bucket), func(k, _ []byte) bool { return bytes.HasPrefix(k, prefix) }); err != nil {
				return err
			}
		}
		return tx.Bucket(repositories.bucket).Delete([]byte(root))
	})
}

// PutWarmth stores how a definition was left, replacing what was stored for it.
func (s *Store) PutWarmth(w Warmth) error { return warmths.put(s, w) }

// Warmths returns how the definitions of a repository were left, sorted by name.
func (s *Store) Warmths(repository string) ([]Warmth, error) {
	return warmths.all(s, join(repository, ""))
}

func (d document[T]) put(s *Store, value T) error {
	return s.update(d.name, func(tx *bbolt.Tx) error { return d.write(tx, value) })
}

func (d document[T]) get(s *Store, key string) (value T, ok bool, err error) {
	err = s.view(d.name, func(tx *bbolt.Tx) (err error) {
		value, ok, err = d.find(tx, key)
		return err
	})
	return value, ok, err
}

// all returns the documents whose keys have a prefix, sorted by key.
func (d document[T]) all(s *Store, prefix string) (values []T, err error) {
	err = s.view(d.name, func(tx *bbolt.Tx) (err error) {
		values, err = d.list(tx, prefix)
		return err
	})
	return values, err
}

// The methods below are for transactions that do more than one thing.

func (d document[T]) write(tx *bbolt.Tx, value T) error {
	key := d.key(value)
	if strings.Trim(key, "\x00") == "" {
		return errors.New("it has no name")
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", d.name, err)
	}
	return tx.Bucket(d.bucket).Put([]byte(key), raw)
}

func (d document[T]) find(tx *bbolt.Tx, key string) (value T, ok bool, err error) {
	raw := tx.Bucket(d.bucket).Get([]byte(key))
	if raw == nil {
		return value, false, nil
	}
	err = d.decode(raw, &value)
	return value, err == nil, err
}

func (d document[T]) list(tx *bbolt.Tx, prefix string) (values []T, err error) {
	cursor := tx.Bucket(d.bucket).Cursor()
	for k, raw := cursor.Seek([]byte(prefix)); k != nil && strings.HasPrefix(string(k), prefix); k, raw = cursor.Next() {
		var value T
		if err := d.decode(raw, &value); err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

func (d document[T]) remove(tx *bbolt.Tx, value T) error {
	return tx.Bucket(d.bucket).Delete([]byte(d.key(value)))
}

func (d document[T]) decode(raw []byte, value *T) error {
	if err := json.Unmarshal(raw, value); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, d.name, err)
	}
	return nil
}
