package store

import (
	"bytes"

	"go.etcd.io/bbolt"

	"github.com/stokerd/stoker/context/content"
)

// A marking finds the objects that are in use.
type marking struct {
	objects objects
	live    map[content.Digest]bool
	size    int64 // of them
}

// pruneEvidence drops the evidence of records that are gone, and the oldest from
// where on all of it, objects included, takes more than limit (0: no limit); then
// what no evidence names any more.
func pruneEvidence(tx *bbolt.Tx, limit int64) error {
	evidence, records := tx.Bucket(evidenceBucket), tx.Bucket(recordBucket)
	m := marking{objects: objects{tx.Bucket(objectBucket)}, live: map[content.Digest]bool{}}
	var gone [][]byte
	cursor := evidence.Cursor()
	for key, raw := cursor.Last(); key != nil; key, raw = cursor.Prev() {
		if records.Get(key) == nil || limit > 0 && m.size > limit {
			gone = append(gone, bytes.Clone(key))
			continue
		}
		if err := m.evidence(raw); err != nil {
			return err
		}
	}
	if err := sweep(tx.Bucket(blameBucket), func(k, _ []byte) bool { return records.Get(k) == nil }); err != nil {
		return err
	}
	for _, key := range gone {
		if err := evidence.Delete(key); err != nil {
			return err
		}
	}
	return sweep(m.objects.Bucket, func(k, _ []byte) bool { return len(k) == len(content.Digest{}) && !m.live[content.Digest(k)] })
}

// evidence marks what one build's names.
func (m *marking) evidence(raw []byte) error {
	m.size += int64(len(raw))
	var k kept
	if err := decodeEvidence(raw, &k); err != nil {
		return err
	}
	if k.Dockerfile != nil {
		m.one(*k.Dockerfile)
	}
	for _, op := range k.Operations {
		m.one(op.Definition)
		for _, in := range op.Inputs {
			if digest, err := content.ParseDigest(in.Taken); err == nil {
				m.directory(digest)
			}
		}
	}
	return nil
}

// one marks an object, and reports whether it was not yet.
func (m *marking) one(d content.Digest) bool {
	if m.live[d] {
		return false
	}
	m.live[d] = true
	m.size += int64(len(m.objects.Get(d[:])))
	return true
}

// directory marks a directory and all in it. Directories that builds share are
// looked into once.
func (m *marking) directory(d content.Digest) {
	if m.one(d) {
		for below := range content.Below(m.objects.Get(d[:])) {
			m.directory(below)
		}
	}
}
