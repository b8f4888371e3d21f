package store

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/stokerd/stoker/context/content"
)

// A marking finds the objects that are in use.
type marking struct {
	objects objects
	live    map[content.Digest]bool
	size    int64 // of them
}

// A sweeping is what can go, as one reading of the store found it.
type sweeping struct {
	evidence map[string][32]byte // digests of all that is kept, by key
	gone     [][]byte            // keys of it that can go
	blames   [][]byte
	objects  []content.Digest
}

// pruneEvidence drops the evidence of records that are gone, and the oldest that is
// beyond limit, all objects included (0: no limit); then what no evidence names any
// more. All is decoded before the write transaction begins: builds that end meanwhile
// have to wait for that.
func (s *Store) pruneEvidence(limit int64) error {
	var found sweeping
	err := s.view("evidence", func(tx *bbolt.Tx) (err error) {
		found, err = sweepable(tx, limit)
		return err
	})
	if err != nil || len(found.gone)+len(found.blames)+len(found.objects) == 0 {
		return err
	}
	return s.update("retention", found.sweep)
}

func sweepable(tx *bbolt.Tx, limit int64) (sweeping, error) {
	records := tx.Bucket(recordBucket)
	s := sweeping{evidence: map[string][32]byte{}}
	m := marking{objects: objects{tx.Bucket(objectBucket)}, live: map[content.Digest]bool{}}
	cursor := tx.Bucket(evidenceBucket).Cursor()
	for key, raw := cursor.Last(); key != nil; key, raw = cursor.Prev() {
		s.evidence[string(key)] = sha256.Sum256(raw)
		if records.Get(key) == nil || limit > 0 && m.size > limit {
			s.gone = append(s.gone, bytes.Clone(key))
		} else if err := m.markEvidence(raw); err != nil {
			return s, err
		}
	}
	var err error
	if s.blames, err = matching(tx.Bucket(blameBucket), func(k, _ []byte) bool { return records.Get(k) == nil }); err != nil {
		return s, err
	}
	return s, m.objects.ForEach(func(k, _ []byte) error {
		if len(k) == len(content.Digest{}) && !m.live[content.Digest(k)] {
			s.objects = append(s.objects, content.Digest(k))
		}
		return nil
	})
}

// sweep drops what can go, and keeps what was stored since, with the objects that
// it names.
func (s sweeping) sweep(tx *bbolt.Tx) error {
	evidence := tx.Bucket(evidenceBucket)
	m := marking{objects: objects{tx.Bucket(objectBucket)}, live: map[content.Digest]bool{}}
	news := map[string]bool{}
	err := evidence.ForEach(func(key, raw []byte) error {
		if was, known := s.evidence[string(key)]; known && was == sha256.Sum256(raw) {
			return nil
		}
		news[string(key)] = true
		return m.markEvidence(raw)
	})
	if err != nil {
		return err
	}
	s.gone = slices.DeleteFunc(s.gone, func(key []byte) bool { return news[string(key)] })
	s.objects = slices.DeleteFunc(s.objects, func(d content.Digest) bool { return m.live[d] })
	if err := drop(evidence, s.gone); err != nil {
		return err
	}
	if err := drop(tx.Bucket(blameBucket), s.blames); err != nil {
		return err
	}
	for _, d := range s.objects {
		if err := m.objects.Delete(d[:]); err != nil {
			return err
		}
	}
	return nil
}

// markEvidence marks what the evidence of one build names.
func (m *marking) markEvidence(raw []byte) error {
	m.size += int64(len(raw))
	var k kept
	if err := decodeEvidence(raw, &k); err != nil {
		return err
	}
	if k.Dockerfile != nil {
		m.mark(*k.Dockerfile)
	}
	for _, op := range k.Operations {
		m.mark(op.Definition)
		for _, in := range op.Inputs {
			if digest, err := content.ParseDigest(in.Taken); err == nil {
				m.markDirectory(digest)
			}
		}
	}
	return nil
}

// mark marks an object, and reports whether it was not yet.
func (m *marking) mark(d content.Digest) bool {
	if m.live[d] {
		return false
	}
	m.live[d] = true
	m.size += int64(len(m.objects.Get(d[:])))
	return true
}

// markDirectory marks a directory and all in it. Directories that builds share are
// looked into once.
func (m *marking) markDirectory(d content.Digest) {
	if m.mark(d) {
		for below := range content.Below(m.objects.Get(d[:])) {
			m.markDirectory(below)
		}
	}
}
