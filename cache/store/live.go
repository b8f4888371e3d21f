package store

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/stokerd/stoker/context/content"
)

// A marker finds the objects that evidence refers to.
type marker struct {
	objects objects
	live    map[content.Digest]bool
	size    int64 // bytes of the evidence and of the live objects
}

// garbage is what can be deleted, as a read transaction found it.
type garbage struct {
	evidence map[string][32]byte // digest of every evidence in the store, by key
	gone     [][]byte            // keys of the evidence that can be deleted
	blames   [][]byte            // keys
	objects  []content.Digest
}

// pruneEvidence deletes the evidence of records that are gone, and the oldest evidence
// beyond limit, in bytes with all objects (0 for no limit). It also deletes the objects
// that no evidence refers to any more. Everything is decoded in a read transaction,
// since other writers have to wait for a write transaction.
func (s *Store) pruneEvidence(limit int64) error {
	var found garbage
	err := s.view("evidence", func(tx *bbolt.Tx) (err error) {
		found, err = findGarbage(tx, limit)
		return err
	})
	if err != nil || len(found.gone)+len(found.blames)+len(found.objects) == 0 {
		return err
	}
	return s.update("retention", found.sweep)
}

// findGarbage returns what pruneEvidence deletes. It goes from the newest evidence to
// the oldest.
func findGarbage(tx *bbolt.Tx, limit int64) (garbage, error) {
	records := tx.Bucket(recordBucket)
	g := garbage{evidence: map[string][32]byte{}}
	m := marker{objects: objects{tx.Bucket(objectBucket)}, live: map[content.Digest]bool{}}
	cursor := tx.Bucket(evidenceBucket).Cursor()
	for key, raw := cursor.Last(); key != nil; key, raw = cursor.Prev() {
		g.evidence[string(key)] = sha256.Sum256(raw)
		if records.Get(key) == nil || limit > 0 && m.size > limit {
			g.gone = append(g.gone, bytes.Clone(key))
		} else if err := m.markEvidence(raw); err != nil {
			return g, err
		}
	}
	var err error
	if g.blames, err = matching(tx.Bucket(blameBucket), func(k, _ []byte) bool { return records.Get(k) == nil }); err != nil {
		return g, err
	}
	err = m.objects.ForEach(func(k, _ []byte) error {
		if len(k) == len(content.Digest{}) && !m.live[content.Digest(k)] {
			g.objects = append(g.objects, content.Digest(k))
		}
		return nil
	})
	return g, err
}

// sweep deletes the garbage, except for evidence that was stored since it was found,
// and the objects that such evidence refers to.
func (g garbage) sweep(tx *bbolt.Tx) error {
	evidence := tx.Bucket(evidenceBucket)
	m := marker{objects: objects{tx.Bucket(objectBucket)}, live: map[content.Digest]bool{}}
	news := map[string]bool{} // keys of evidence that was stored since
	err := evidence.ForEach(func(key, raw []byte) error {
		if was, known := g.evidence[string(key)]; known && was == sha256.Sum256(raw) {
			return nil
		}
		news[string(key)] = true
		return m.markEvidence(raw)
	})
	if err != nil {
		return err
	}
	g.gone = slices.DeleteFunc(g.gone, func(key []byte) bool { return news[string(key)] })
	g.objects = slices.DeleteFunc(g.objects, func(d content.Digest) bool { return m.live[d] })
	if err := drop(evidence, g.gone); err != nil {
		return err
	}
	if err := drop(tx.Bucket(blameBucket), g.blames); err != nil {
		return err
	}
	for _, d := range g.objects {
		if err := m.objects.Delete(d[:]); err != nil {
			return err
		}
	}
	return nil
}

// markEvidence marks the objects that the evidence of one build refers to.
func (m *marker) markEvidence(raw []byte) error {
	m.size += int64(len(raw))
	var k storedEvidence
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

// mark marks an object, and reports whether it was not marked before.
func (m *marker) mark(d content.Digest) bool {
	if m.live[d] {
		return false
	}
	m.live[d] = true
	m.size += int64(len(m.objects.Get(d[:])))
	return true
}

// markDirectory marks a directory and everything in it. It looks only once into a
// directory that builds share.
func (m *marker) markDirectory(d content.Digest) {
	if m.mark(d) {
		for below := range content.Below(m.objects.Get(d[:])) {
			m.markDirectory(below)
		}
	}
}
