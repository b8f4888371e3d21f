package store

import (
	"bytes"
	"iter"

	"go.etcd.io/bbolt"
)

// PutSums stores what is known about the files in a tree of a repository: a page per
// directory, which replaces the one before. An empty page deletes it. A tree is
// identified by its root. If the call fails, the pages are lost, and the files have to be
// read again after the next start.
func (s *Store) PutSums(repository, tree string, pages iter.Seq2[string, []byte]) error {
	next, stop := iter.Pull2(pages)
	defer stop()
	dir, page, more := next()
	if !more {
		return nil // the usual case, which needs no transaction
	}
	return s.update("sums", func(tx *bbolt.Tx) error {
		b, err := tx.Bucket(sumBucket).CreateBucketIfNotExists([]byte(repository))
		if err != nil {
			return err
		}
		for ; more; dir, page, more = next() {
			key := []byte(join(tree, dir))
			if len(page) == 0 {
				err = b.Delete(key)
			} else {
				err = b.Put(key, page)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Sums calls load with the pages of a tree, and deletes those for which it returns false.
// A page is valid only during the call.
func (s *Store) Sums(repository, tree string, load func(dir string, page []byte) bool) error {
	var refused [][]byte
	err := s.view("sums", func(tx *bbolt.Tx) error {
		b := tx.Bucket(sumBucket).Bucket([]byte(repository))
		if b == nil {
			return nil
		}
		prefix := []byte(join(tree, ""))
		cursor := b.Cursor()
		for key, page := cursor.Seek(prefix); bytes.HasPrefix(key, prefix); key, page = cursor.Next() {
			if !load(string(key[len(prefix):]), page) {
				refused = append(refused, bytes.Clone(key))
			}
		}
		return nil
	})
	if err != nil || len(refused) == 0 {
		return err
	}
	return s.update("sums", func(tx *bbolt.Tx) error {
		b := tx.Bucket(sumBucket).Bucket([]byte(repository))
		for _, key := range refused {
			if b == nil {
				break // the repository was forgotten meanwhile
			}
			if err := b.Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// addSums migrates to the schema with sums.
func addSums(tx *bbolt.Tx) error {
	_, err := tx.CreateBucket(sumBucket)
	return err
}
