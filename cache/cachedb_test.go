package cache_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/dockerfile"
)

// A cacheDB is a builder's own record of the results that it has and of their
// keys (BuildKit: solver/bboltcachestorage).
type cacheDB struct {
	results map[string]bool     // ids with a result
	links   map[string][]string // link and id it leads from -> ids it leads to
}

// A link is how BuildKit writes one (BuildKit: solver, CacheInfoLink).
type link struct {
	Input    int    `json:"Input,omitempty"`
	Output   int    `json:"Output,omitempty"`
	Digest   string `json:"Digest,omitempty"`
	Selector string `json:"Selector,omitempty"`
}

func (l link) from(id string) string { return fmt.Sprintf("%s %+v", id, l) }

// readCacheDB reads a copy of the file, for the builder has it locked. No build
// runs, so that the file comes to rest.
func readCacheDB(t *testing.T, name string) *cacheDB {
	t.Helper()
	var data []byte
	for {
		again, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(data, again) {
			break
		}
		data = again
	}
	copied := filepath.Join(t.TempDir(), "cache.db")
	if err := os.WriteFile(copied, data, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(copied, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c := &cacheDB{results: map[string]bool{}, links: map[string][]string{}}
	if err := db.View(c.read); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cacheDB) read(tx *bbolt.Tx) error {
	err := tx.Bucket([]byte("_result")).ForEachBucket(func(id []byte) error {
		if k, _ := tx.Bucket([]byte("_result")).Bucket(id).Cursor().First(); k != nil {
			c.results[string(id)] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	links := tx.Bucket([]byte("_links"))
	return links.ForEachBucket(func(id []byte) error {
		return links.Bucket(id).ForEach(func(k, _ []byte) error {
			text, target, _ := strings.Cut(string(k), "@")
			var l link
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				return fmt.Errorf("link %s: %w", k, err)
			}
			c.links[l.from(string(id))] = append(c.links[l.from(string(id))], target)
			return nil
		})
	})
}

// leads reports whether a link of an operation leads on from the content of an input.
func (c *cacheDB) leads(content string, input int, op dockerfile.Op) bool {
	return len(c.links[link{Input: input, Output: op.Output, Digest: op.Digest}.from(content)]) > 0
}

// find looks up the operations of a plan as the solver does and returns the ids
// of each: those that a link from every input leads to.
func (c *cacheDB) find(ops []dockerfile.Op, keys []cache.Key) []map[string]bool {
	found := make([]map[string]bool, len(ops))
	for i, op := range ops {
		found[i] = map[string]bool{}
		if len(op.Inputs) == 0 {
			if keys[i].ID != "" {
				found[i][keys[i].ID] = true
			}
			continue
		}
		votes := map[string]int{}
		for n, in := range op.Inputs {
			ids := map[string]bool{}
			l := link{Input: n, Output: op.Output, Digest: op.Digest}
			for _, id := range c.links[l.from(keys[i].Inputs[n].Content)] {
				ids[id] = true
			}
			l.Selector = in.Selector
			for from := range found[in.Op] {
				for _, id := range c.links[l.from(from)] {
					ids[id] = true
				}
			}
			for id := range ids {
				votes[id]++
			}
		}
		for id, n := range votes {
			if n == len(op.Inputs) && c.results[id] {
				found[i][id] = true
			}
		}
	}
	return found
}
