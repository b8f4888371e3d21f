package buildctx

import (
	"crypto/sha256"
	"sync"
)

// A Sum is a digest that somebody made of a file. The zero Sum stands for none.
type Sum [sha256.Size]byte

// sums are those of a directory's entries, parallel to them. They are made when
// the first one is noted, and go with the entries from tree to tree for as long
// as these are the same: a tree is its own index of what needs no second
// reading.
type sums struct {
	mu   sync.Mutex // guards list
	list []Sum
}

// Sum returns what was noted for the file at name with [Tree.SetSum], in t or in
// a tree that t follows, and false if there is nothing or the file has changed
// since. It is safe for concurrent use.
func (t *Tree) Sum(name string) (Sum, bool) {
	d, i, ok := t.place(name)
	if !ok {
		return Sum{}, false
	}
	return d.sum(i)
}

// SetSum notes the sum of the file at name, which was computed while the file
// had the stamp. It reports false, and notes nothing, if t shows the file with
// another one. It is safe for concurrent use, and no change of the tree as far
// as readers are concerned.
func (t *Tree) SetSum(name string, stamp Stamp, sum Sum) bool {
	d, i, ok := t.place(name)
	if !ok || d.item(i).public(name).Stamp() != stamp {
		return false
	}
	d.setSum(i, sum)
	return true
}

// place returns the directory that holds name, and where in there.
func (t *Tree) place(name string) (*directory, int, bool) {
	dir, base := splitPath(name)
	up, ok := t.find(dir)
	if !ok || up.dir == nil {
		return nil, 0, false
	}
	i, ok := up.dir.index(base)
	return up.dir, i, ok
}

func (d *directory) sum(i int) (Sum, bool) {
	s := d.sums.Load()
	if s == nil {
		return Sum{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list[i], s.list[i] != Sum{}
}

func (d *directory) setSum(i int, sum Sum) {
	s := d.sums.Load()
	if s == nil {
		d.sums.CompareAndSwap(nil, &sums{list: make([]Sum, len(d.entries))})
		s = d.sums.Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list[i] = sum
}

// takeSums takes over the sums of the entries that are the same in old.
func (d *directory) takeSums(old *directory) {
	s := old.sums.Load()
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Sum, len(d.entries))
	i, j := 0, 0
	for a, b := range pairs(old, d) {
		if a.entry != nil && b.entry != nil && a.dir == nil && a.same(b) {
			list[j] = s.list[i]
		}
		if a.entry != nil {
			i++
		}
		if b.entry != nil {
			j++
		}
	}
	d.sums.Store(&sums{list: list})
}
