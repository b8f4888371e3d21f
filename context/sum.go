package buildctx

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"sync"
)

// A Sum is what was computed by reading a file, and is kept with the tree so that
// the file need not be read again. The zero Sum means that nothing is known.
type Sum struct {
	Digest [sha256.Size]byte
	Data   uint32 // checksum of the content; 0 if there is none
}

// sums hold a Sum for each entry of a directory. They are allocated when the first
// one is set. An entry that does not change takes its sum along from tree to tree
// (see takeSums).
type sums struct {
	mu   sync.Mutex // guards the fields that follow
	list []Sum      // parallel to directory.entries
	kept bool       // nothing was set since Tree.Sums or Tree.LoadSums
}

// Sum returns the sum that was set for the file with [Handle.SetSum], in its tree or in
// an earlier one that it comes from. It returns false if there is none, or if the file
// has changed since. It is safe for concurrent use.
func (h Handle) Sum() (Sum, bool) { return h.in.sum(h.at) }

// SetSum sets what was computed from the file's content while it had its stamp. It
// is safe for concurrent use, and does not count as a change of the tree.
func (h Handle) SetSum(s Sum) { h.in.setSum(h.at, s) }

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
	s := d.ensureSums()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list[i], s.kept = sum, false
}

// ensureSums returns d's sums, allocating them if there are none.
func (d *directory) ensureSums() *sums {
	s := d.sums.Load()
	if s == nil {
		d.sums.CompareAndSwap(nil, &sums{list: make([]Sum, len(d.entries))})
		s = d.sums.Load()
	}
	return s
}

// takeSums copies the sums of the entries that are the same in old.
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

// Sums yields, for every directory in which a sum was set since the last call, its
// path and an encoding of all its sums. They can be stored and passed to
// [Tree.LoadSums] of a later tree.
func (t *Tree) Sums() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) { t.top.yieldSums(".", yield) }
}

func (d *directory) yieldSums(name string, yield func(string, []byte) bool) bool {
	if page := d.takePage(); page != nil && !yield(name, page) {
		return false
	}
	if d.dirs == nil {
		return true // most directories: there is no need to go through the entries
	}
	for i, e := range d.entries {
		if e.mode.IsDir() && !(*d.dirs)[e.size].yieldSums(join(name, d.name(i)), yield) {
			return false
		}
	}
	return true
}

// takePage encodes the sums and marks them as kept. It returns nil if none was ever
// set, or if they were kept already.
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

// LoadSums sets the sums of a directory from what [Tree.Sums] yielded, for the files
// that still have the same stamps. It returns false if there is no such directory or
// page is malformed; a stored page can be deleted then.
func (t *Tree) LoadSums(dir string, page []byte) bool {
	it, ok := t.find(dir)
	if !ok || it.dir == nil {
		return false
	}
	s := it.dir.ensureSums()
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
