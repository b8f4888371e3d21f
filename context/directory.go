package buildctx

import (
	"io/fs"
	"iter"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
)

// A directory holds its entries sorted by name, packed: there is one for each of
// a repository's directories, and an entry for each of its files. It is shared
// between trees and, but for its sums, never edited once its tree was handed
// out.
type directory struct {
	names   string // of all entries, in a row
	entries []entry
	dirs    *[]*directory // of the entries that are directories, in their order; nil for none
	odd     *oddities     // nil for most
	sums    atomic.Pointer[sums]
}

// An entry is what lstat said of a name in a directory, packed. What few files
// have is elsewhere.
type entry struct {
	mtime, ctime int64
	inode        uint64
	// size is also an index, as neither needs one: of a directory in dirs, of an
	// odd entry in odd.list.
	size int64
	mode fs.FileMode
	end  uint32 // of the name in directory.names, which begins where the one before ends; and flags
}

// The flags in an entry's end. They leave a directory 1 GiB of names.
const (
	isOdd    = 1 << 31
	isLinked = 1 << 30
)

// stat is what of a file decides whether it is sent again and how it is keyed.
// Owners are left out, as BuildKit's client does not send them (BuildKit:
// client.prepareSyncedFiles).
type stat struct {
	size   int64 // 0 for a directory
	mtime  int64 // nanoseconds
	ctime  int64 // nanoseconds; 0 where the system has none
	inode  uint64
	mode   fs.FileMode
	linked bool // it has several names; false for a directory
}

// oddities are what few directories and files have.
type oddities struct {
	pruned bool  // nobody looked into the directory, for nothing below matters
	err    error // why the entries could not be read
	list   []oddEntry
}

// unseen are those of every directory that nobody looked into.
var unseen = &oddities{pruned: true}

// An oddEntry is what an odd entry has no room for.
type oddEntry struct {
	oddity
	size int64
}

// An oddity is the rest of the stat of a link or a device node.
type oddity struct {
	link   string // target of a symbolic link
	device uint64 // of a device node
}

// An item is an entry with what belongs to it. The zero item is no entry.
type item struct {
	stat
	entry *entry
	name  string
	dir   *directory // of a directory
	odd   oddity
}

func (d *directory) item(i int) item {
	e := &d.entries[i]
	it := item{stat: d.stat(i), entry: e, name: d.name(i)}
	switch {
	case e.mode.IsDir():
		it.dir = (*d.dirs)[e.size]
	case e.end&isOdd != 0:
		it.odd = d.odd.list[e.size].oddity
	}
	return it
}

// stat returns that of the entry at i.
func (d *directory) stat(i int) stat {
	e := &d.entries[i]
	st := stat{size: e.size, mtime: e.mtime, ctime: e.ctime, inode: e.inode, mode: e.mode, linked: e.end&isLinked != 0}
	switch {
	case e.mode.IsDir():
		st.size = 0
	case e.end&isOdd != 0:
		st.size = d.odd.list[e.size].size
	}
	return st
}

// stamp returns what stands for the content of a file with this stat.
func (st stat) stamp() Stamp {
	return Stamp{size: st.size, mtime: st.mtime, ctime: st.ctime, inode: st.inode, mode: st.mode}
}

// put packs the stat of what is not odd. The name stays, and of a directory the
// index too.
func (e *entry) put(st stat) {
	e.mtime, e.ctime, e.inode, e.mode = st.mtime, st.ctime, st.inode, st.mode
	if !st.mode.IsDir() {
		e.size = st.size
	}
	e.end &^= isLinked
	if st.linked {
		e.end |= isLinked
	}
}

func (d *directory) name(i int) string {
	from := uint32(0)
	if i > 0 {
		from = d.entries[i-1].nameEnd()
	}
	return d.names[from:d.entries[i].nameEnd()]
}

func (e *entry) nameEnd() uint32 { return e.end &^ (isOdd | isLinked) }

// kids returns the directories in d, in their order.
func (d *directory) kids() []*directory {
	if d.dirs == nil {
		return nil
	}
	return *d.dirs
}

// index returns where name is, or would be.
func (d *directory) index(name string) (int, bool) {
	i := sort.Search(len(d.entries), func(i int) bool { return d.name(i) >= name })
	return i, i < len(d.entries) && d.name(i) == name
}

// err says why the directory's entries could not be read.
func (d *directory) err() error {
	if d.odd == nil {
		return nil
	}
	return d.odd.err
}

// pruned reports whether nobody looked into d.
func (d *directory) pruned() bool { return d.odd == unseen }

// same reports whether two entries of one name say the same, apart from what is
// in a directory.
func (it item) same(o item) bool {
	if it.dir == nil || o.dir == nil {
		return it.stat == o.stat && it.odd == o.odd
	}
	// The rest changes whenever a name in the directory does, and reaches no
	// build. The time of the last change of anything does too; but it is all that
	// tells of a change to an extended attribute, which is sent.
	return it.mode == o.mode && it.ctime == o.ctime && sameError(it.dir.err(), o.dir.err())
}

func sameError(a, b error) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Error() == b.Error()
}

// pairs yields the entries of two directories by name, in order; the zero item
// stands for one that is not there.
func pairs(a, b *directory) iter.Seq2[item, item] {
	return func(yield func(item, item) bool) { eachPair(a, b, nil, yield) }
}

// differing yields those of pairs that are not plainly the same.
func differing(a, b *directory) iter.Seq2[item, item] {
	return func(yield func(item, item) bool) { eachPair(a, b, a.plainlySame, yield) }
}

// plainlySame reports whether the entry at i in d is that at j in o, names apart.
func (d *directory) plainlySame(o *directory, i, j int) bool {
	a, b := &d.entries[i], &o.entries[j]
	switch {
	case a.mtime != b.mtime || a.ctime != b.ctime || a.inode != b.inode || a.mode != b.mode || (a.end^b.end)&isLinked != 0:
		return false
	case a.mode.IsDir():
		return (*d.dirs)[a.size] == (*o.dirs)[b.size]
	}
	return a.size == b.size && (a.end|b.end)&isOdd == 0
}

func eachPair(a, b *directory, skip func(b *directory, i, j int) bool, yield func(item, item) bool) {
	alike := a.names == b.names
	for i, j := 0, 0; i < len(a.entries) || j < len(b.entries); {
		order := 0
		switch {
		case i == len(a.entries):
			order = 1
		case j == len(b.entries):
			order = -1
		case alike && i == j && a.entries[i].nameEnd() == b.entries[j].nameEnd():
			// Nearly always only stats have changed.
		default:
			alike = false
			order = strings.Compare(a.name(i), b.name(j))
		}
		var x, y item
		if order == 0 && skip != nil && skip(b, i, j) {
			i, j = i+1, j+1
			continue
		}
		if order <= 0 {
			x = a.item(i)
			i++
		}
		if order >= 0 {
			y = b.item(j)
			j++
		}
		if !yield(x, y) {
			return
		}
	}
}

// pack fills d with drafts, which it sorts by name. err says why there may be
// others.
func (d *directory) pack(drafts []draft, err error) {
	slices.SortFunc(drafts, func(a, b draft) int { return strings.Compare(a.name, b.name) })
	names := 0
	for i := range drafts {
		names += len(drafts[i].name)
	}
	p := newPacker(len(drafts), names)
	for i := range drafts {
		dr := &drafts[i]
		p.add(dr.name, dr.stat, dr.odd, dr.dir)
	}
	p.fill(d, err)
}

// A packer fills a directory with entries, which come in the order of their
// names.
type packer struct {
	names   strings.Builder
	entries []entry
	dirs    []*directory
	odd     []oddEntry
}

// newPacker makes room for a number of entries and the bytes of their names.
func newPacker(entries, names int) *packer {
	p := &packer{entries: make([]entry, 0, entries)}
	p.names.Grow(names)
	return p
}

func (p *packer) add(name string, st stat, odd oddity, dir *directory) {
	p.names.WriteString(name)
	e := entry{end: uint32(p.names.Len())}
	e.put(st)
	switch {
	case st.mode.IsDir():
		e.size = int64(len(p.dirs))
		p.dirs = append(p.dirs, dir)
	case odd != oddity{}:
		e.size, e.end = int64(len(p.odd)), e.end|isOdd
		p.odd = append(p.odd, oddEntry{odd, st.size})
	}
	p.entries = append(p.entries, e)
}

// fill puts the entries into d. err says why there may be others.
func (p *packer) fill(d *directory, err error) {
	d.names, d.entries = p.names.String(), p.entries
	if len(p.dirs) > 0 {
		dirs := slices.Clone(p.dirs)
		d.dirs = &dirs
	}
	if err != nil || len(p.odd) > 0 {
		d.odd = &oddities{err: err, list: p.odd}
	}
}

func countFiles(d *directory) int {
	n := len(d.entries) - len(d.kids())
	for _, sub := range d.kids() {
		n += countFiles(sub)
	}
	return n
}
