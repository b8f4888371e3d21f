package buildctx

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"sync"
)

// A Sum is what somebody found out by looking into a file. The zero Sum stands
// for none.
type Sum struct {
	Digest [sha256.Size]byte
	Data   uint32 // checksum of the content, 0 for none
}

// sums are those of a directory's entries, parallel to them. They are made when
// the first one is noted, and go with the entries from tree to tree for as long
// as these are the same: a tree is its own index of what needs no second
// reading.
type sums struct {
	mu   sync.Mutex // guards what follows
	list []Sum
	kept bool // they are as they were last taken or loaded
}

// Sum returns what was noted of f with [SentFile.SetSum], in its tree or in one
// that this follows, false if there is nothing or f has changed since. It is safe
// for concurrent use.
func (f SentFile) Sum() (Sum, bool) { return f.in.sum(f.at) }

// SetSum notes what was found out while the file had f's stamp. It is safe for
// concurrent use, and no change of the tree as far as readers are concerned.
func (f SentFile) SetSum(s Sum) { f.in.setSum(f.at, s) }

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
	s := d.madeSums()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list[i], s.kept = sum, false
}

func (d *directory) madeSums() *sums {
	s := d.sums.Load()
	if s == nil {
		d.sums.CompareAndSwap(nil, &sums{list: make([]Sum, len(d.entries))})
		s = d.sums.Load()
	}
	return s
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
		if a.entry != nil && b.entry != nil && a.same(b) {
			list[j] = s.list[i]
		}
		if a.entry != nil {
			i++
		}
		if b.entry != nil {
			j++
		}
	}
	d.sums.Store(&sums{list: list, kept: s.kept})
}

// Sums yields the directories, by path, of which something was noted since they
// were last taken, with all that is known of their files: to be kept, and given
// to [Tree.LoadSums] of a later tree.
func (t *Tree) Sums() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) { t.top.yieldSums(".", yield) }
}

func (d *directory) yieldSums(name string, yield func(string, []byte) bool) bool {
	if page := d.takePage(); page != nil && !yield(name, page) {
		return false
	}
	if d.dirs == nil {
		return true // as most, whose entries need not be looked at
	}
	for i, e := range d.entries {
		if e.mode.IsDir() && !(*d.dirs)[e.size].yieldSums(join(name, d.name(i)), yield) {
			return false
		}
	}
	return true
}

// takePage encodes the sums, nil if they are kept already.
func (d *directory) takePage() []byte {
	s := d.sums.Load()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept {
		return nil
	}
	s.kept = true
	page := []byte{}
	for i, sum := range s.list {
		if sum == (Sum{}) {
			continue
		}
		it := d.item(i)
		page = binary.AppendUvarint(page, uint64(len(it.name)))
		page = append(append(page, it.name...), sum.Digest[:]...)
		page = binary.BigEndian.AppendUint32(page, sum.Data)
		page = it.stamp().append(page)
	}
	return page
}

// sumSize is the length of an encoded sum with its stamp.
const sumSize = sha256.Size + 4 + stampSize

// LoadSums notes what [Tree.Sums] gave of a directory, of the files that have
// the same stamps still. It reports false if there is no such directory, or if
// page is none: it can be dropped then.
func (t *Tree) LoadSums(dir string, page []byte) bool {
	it, ok := t.find(dir)
	if !ok || it.dir == nil {
		return false
	}
	s := it.dir.madeSums()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(page) > 0 {
		length, n := binary.Uvarint(page)
		if n <= 0 || length > uint64(len(page)-n) || len(page)-n-int(length) < sumSize {
			return false
		}
		name, rest := string(page[n:n+int(length)]), page[n+int(length):]
		if i, ok := it.dir.index(name); ok && string(it.dir.stat(i).stamp().append(nil)) == string(rest[sumSize-stampSize:sumSize]) {
			sum := Sum{Data: binary.BigEndian.Uint32(rest[sha256.Size:])}
			copy(sum.Digest[:], rest)
			s.list[i] = sum
		}
		page = rest[sumSize:]
	}
	s.kept = true
	return true
}
