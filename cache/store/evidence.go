package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/content"
)

// What explains a build, its evidence, is stored beside its record. What builds have in
// common is stored once, as an object, by its digest: the Dockerfile, the definition of
// an operation, and the directories that were taken (content.Manifest). An object is
// deleted with the last evidence that refers to it.

// A storedEvidence is a [cache.Evidence] as it is stored, with the digests of objects in
// place of what builds share.
type storedEvidence struct {
	Dockerfile *content.Digest   `json:"d,omitempty"`
	Args       map[string]string `json:"a,omitempty"`
	NoCache    []string          `json:"n,omitempty"`
	Self       []string          `json:"s,omitempty"`
	Presumed   bool              `json:"p,omitempty"`
	Bare       cache.Gap         `json:"b,omitempty"`
	Operations []storedOperation `json:"o"`
}

type storedOperation struct {
	Definition content.Digest `json:"d"`
	Key        string         `json:"k,omitempty"`
	Fate       cache.Fate     `json:"f,omitempty"`
	Steps      []int          `json:"s,omitempty"`
	Line       int            `json:"l,omitempty"`
	Inputs     []cache.Intake `json:"i,omitempty"`
}

// PutExplained stores a finished build as [Store.Put] does, together with its evidence
// and the manifests that this refers to, in one transaction.
func (s *Store) PutExplained(r cache.Record, e cache.Evidence, taken ...*content.Manifest) (added int, err error) {
	if err := complete(r); err != nil {
		return 0, err
	}
	err = s.update("a build and its evidence", func(tx *bbolt.Tx) error {
		key, err := putRecord(tx, r)
		if err != nil || key == nil {
			return err
		}
		added = 1
		to := objects{tx.Bucket(objectBucket)}
		for _, m := range taken {
			if err := m.Write(to); err != nil {
				return err
			}
		}
		raw, err := to.keep(e)
		if err != nil {
			return err
		}
		return tx.Bucket(evidenceBucket).Put(key, raw)
	})
	if err != nil {
		return 0, err
	}
	return added, nil
}

// moveEvidence moves the evidence and the blames of a build whose record gets another
// key. from is nil if the record is new.
func moveEvidence(tx *bbolt.Tx, from, to []byte) error {
	for _, name := range [][]byte{evidenceBucket, blameBucket} {
		b := tx.Bucket(name)
		raw := bytes.Clone(b.Get(from))
		if from == nil || raw == nil {
			continue
		}
		if err := b.Delete(from); err != nil {
			return err
		}
		if err := b.Put(to, raw); err != nil {
			return err
		}
	}
	return nil
}

// Evidence returns what explains a build; ok is false if there is none.
func (s *Store) Evidence(builder, ref string) (e cache.Evidence, ok bool, err error) {
	err = s.view("a build's evidence", func(tx *bbolt.Tx) error {
		key, err := recordKey(tx, builder, ref)
		if err != nil || key == nil {
			return err
		}
		raw := tx.Bucket(evidenceBucket).Get(key)
		if ok = raw != nil; !ok {
			return nil
		}
		e, err = objects{tx.Bucket(objectBucket)}.read(raw)
		return err
	})
	return e, ok && err == nil, err
}

// FirstMade returns the index of the first of refs, builds of one builder, after which
// that had the results of all keys (see [cache.Evidence.Made]), or -1 if there is none.
func (s *Store) FirstMade(builder string, refs, keys []string) (first int, err error) {
	first = -1
	var quoted [][]byte
	for _, key := range keys {
		raw, err := json.Marshal(key)
		if err != nil {
			return -1, fmt.Errorf("encode a key: %w", err)
		}
		quoted = append(quoted, raw)
	}
	err = s.view("what builds made", func(tx *bbolt.Tx) error {
		for i, ref := range refs {
			record, err := recordKey(tx, builder, ref)
			if err != nil {
				return err
			}
			raw := tx.Bucket(evidenceBucket).Get(record)
			// Decoding takes a hundred times as long as finding out that a key is missing.
			if raw == nil || slices.ContainsFunc(quoted, func(key []byte) bool { return !bytes.Contains(raw, key) }) {
				continue
			}
			var k storedEvidence
			if err := decodeEvidence(raw, &k); err != nil {
				return err
			}
			if e := k.withoutShared(); e.Made(keys) {
				first = i
				return nil
			}
		}
		return nil
	})
	return first, err
}

// Compare calls yield with each difference between two manifests, given by the digests
// that evidence has for them, until it returns false.
func (s *Store) Compare(before, after string, yield func(content.Difference) bool) error {
	digest, err := content.ParseDigest(after)
	if err != nil {
		return fmt.Errorf("compare manifests: %w", err)
	}
	return s.compare(before, func(from *content.Stored) *content.Manifest { return from.Manifest(digest) }, yield)
}

// CompareWith is [Store.Compare] with a manifest that need not be stored.
func (s *Store) CompareWith(before string, after *content.Manifest, yield func(content.Difference) bool) error {
	return s.compare(before, func(*content.Stored) *content.Manifest { return after }, yield)
}

func (s *Store) compare(before string, after func(*content.Stored) *content.Manifest, yield func(content.Difference) bool) error {
	digest, err := content.ParseDigest(before)
	if err != nil {
		return fmt.Errorf("compare manifests: %w", err)
	}
	return s.view("manifests", func(tx *bbolt.Tx) error {
		from := content.NewStored(objects{tx.Bucket(objectBucket)}.get)
		for d := range content.Compare(from.Manifest(digest), after(from)) {
			if !yield(d) {
				break
			}
		}
		return from.Err()
	})
}

// objects is the bucket of values that are stored by their digests.
type objects struct{ *bbolt.Bucket }

var _ content.Writer = objects{}

// Has reports whether there is an object with a digest.
func (o objects) Has(d content.Digest) (bool, error) { return o.Get(d[:]) != nil, nil }

// Put stores an object.
func (o objects) Put(d content.Digest, object []byte) error { return o.Bucket.Put(d[:], object) }

func (o objects) get(d content.Digest) ([]byte, error) {
	object := o.Get(d[:])
	if object == nil {
		return nil, fmt.Errorf("%w: no object %s", ErrCorrupt, d)
	}
	return object, nil
}

// share stores a value as JSON if it is not there yet, and returns its digest.
func (o objects) share(value any) (content.Digest, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return content.Digest{}, fmt.Errorf("encode evidence: %w", err)
	}
	digest := content.Digest(sha256.Sum256(raw))
	if o.Get(digest[:]) != nil {
		return digest, nil
	}
	return digest, o.Put(digest, raw)
}

// shared is the inverse of share.
func (o objects) shared(d content.Digest, value any) error {
	raw, err := o.get(d)
	if err != nil {
		return err
	}
	return decodeEvidence(raw, value)
}

// keep stores what e shares with other builds as objects, and returns an encoding of the
// rest.
func (o objects) keep(e cache.Evidence) ([]byte, error) {
	k := storedEvidence{Args: e.Args, NoCache: e.NoCache, Self: e.Self, Presumed: e.Presumed, Bare: e.Bare, Operations: make([]storedOperation, len(e.Operations))}
	if e.Dockerfile != nil {
		digest, err := o.share(e.Dockerfile)
		if err != nil {
			return nil, err
		}
		k.Dockerfile = &digest
	}
	for i, op := range e.Operations {
		digest, err := o.share(op.Definition)
		if err != nil {
			return nil, err
		}
		k.Operations[i] = storedOperation{digest, op.Key, op.Fate, op.Steps, op.Line, op.Inputs}
	}
	return json.Marshal(k)
}

// read is the inverse of keep.
func (o objects) read(raw []byte) (cache.Evidence, error) {
	var k storedEvidence
	if err := decodeEvidence(raw, &k); err != nil {
		return cache.Evidence{}, err
	}
	e := k.withoutShared()
	if k.Dockerfile != nil {
		if err := o.shared(*k.Dockerfile, &e.Dockerfile); err != nil {
			return cache.Evidence{}, err
		}
	}
	for i, op := range k.Operations {
		if err := o.shared(op.Definition, &e.Operations[i].Definition); err != nil {
			return cache.Evidence{}, err
		}
	}
	return e, nil
}

// withoutShared returns k as evidence that lacks what is in objects: the Dockerfile and
// the definitions of operations.
func (k *storedEvidence) withoutShared() cache.Evidence {
	e := cache.Evidence{Args: k.Args, NoCache: k.NoCache, Self: k.Self, Presumed: k.Presumed, Bare: k.Bare, Operations: make([]cache.Operation, len(k.Operations))}
	for i, op := range k.Operations {
		e.Operations[i] = cache.Operation{Key: op.Key, Fate: op.Fate, Steps: op.Steps, Line: op.Line, Inputs: op.Inputs}
	}
	return e
}

func decodeEvidence(raw []byte, value any) error {
	if err := json.Unmarshal(raw, value); err != nil {
		return fmt.Errorf("%w: evidence: %w", ErrCorrupt, err)
	}
	return nil
}

// addEvidence migrates to the schema with evidence.
func addEvidence(tx *bbolt.Tx) error {
	for _, name := range [][]byte{evidenceBucket, objectBucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return nil
}
