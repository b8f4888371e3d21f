package buildctx

import (
	"io/fs"
	"iter"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
)

// A directory holds its entries sorted by name. The layout is packed, since there
// is a directory for each of a repository's and an entry for each of its files.
// Trees share directories: apart from the sums, one is never edited once its tree
// was handed out.
type directory struct {
	names   string // the names of all entries, one after the other
	entries []entry
	dirs    *[]*directory // the entries that are directories, in their order; nil for none
	odd     *oddities     // nil for most
	sums    atomic.Pointer[sums]
}

// An entry is what lstat said about one name in a directory, packed. What only few
// files have is in directory.odd.
type entry struct {
	mtime, ctime int64 // nanoseconds
	inode        uint64
	// size is an index where there is no size to keep, or it is kept elsewhere: for
	// a directory into dirs, for an odd entry into odd.list.
	size int64
	mode fs.FileMode
	// end is where the name ends in directory.names, with the flags below. It
	// begins where the name before it ends.
	end uint32
}

// The flags in entry.end. They leave a directory 1 GiB for its names.
const (
	isOdd    = 1 << 31 // directory.odd has more about the entry
	isLinked = 1 << 30 // the file has several names
)

// stat is the metadata that decides whether a file is sent again, and that is part
// of its cache key. Owners are left out: BuildKit's client does not send them
// (BuildKit: client.prepareSyncedFiles).
type stat struct {
	size   int64 // 0 for a directory
	mtime  int64 // nanoseconds
	ctime  int64 // nanoseconds; 0 where the system has none
	inode  uint64
	mode   fs.FileMode
	linked bool // the file has several names; false for a directory
}

// oddities are what only few directories need to keep.
type oddities struct {
	pruned bool  // the directory was not read, since nothing below it matters
	err    error // why some or all entries could not be read
	list   []oddEntry
}

// unseen is shared by all directories that were not read.
var unseen = &oddities{pruned: true}

// An oddEntry is what an entry with the flag isOdd has no room for.
type oddEntry struct {
	oddity
	size int64
}

// An oddity is the metadata that only symbolic links and device nodes have.
type oddity struct {
	link   string // target of a symbolic link
	device uint64 // number of a device node
}

// An item is an unpacked entry. The zero item, whose entry is nil, stands for none.
type item struct {
	stat
	entry *entry
	name  string
	dir   *directory // its contents, if it is a directory
	odd   oddity
}

// item unpacks the entry at i.
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

// stat returns the stat of the entry at i.
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

// stamp returns the stamp of a file with this stat.
func (st stat) stamp() Stamp {
	return Stamp{size: st.size, mtime: st.mtime, ctime: st.ctime, inode: st.inode, mode: st.mode}
}

// put packs st into e, which must not be odd. The name stays, and so does the index
// of a directory.
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

// name returns the name of the entry at i.
func (d *directory) name(i int) string {
	from := uint32(0)
	if i > 0 {
		from = d.entries[i-1].nameEnd()
	}
	return d.names[from:d.entries[i].nameEnd()]
}

func (e *entry) nameEnd() uint32 { return e.end &^ (isOdd | isLinked) }

// kids returns the directories in d, sorted by name.
func (d *directory) kids() []*directory {
	if d.dirs == nil {
		return nil
	}
	return *d.dirs
}

// index returns the place of name in d.entries, and whether it is there; if not, the
// place is where it would be inserted.
func (d *directory) index(name string) (int, bool) {
	i := sort.Search(len(d.entries), func(i int) bool { return d.name(i) >= name })
	return i, i < len(d.entries) && d.name(i) == name
}

// err returns why some or all of the directory's entries could not be read.
func (d *directory) err() error {
	if d.odd == nil {
		return nil
	}
	return d.odd.err
}

// pruned reports whether d was not read, since nothing below it matters.
func (d *directory) pruned() bool { return d.odd == unseen }

// same reports whether two entries of the same name have the same metadata. What
// is in a directory does not count.
func (it item) same(o item) bool {
	if it.dir == nil || o.dir == nil {
		return it.stat == o.stat && it.odd == o.odd
	}
	// The mtime and inode of a directory reach no build, so they do not count. Its
	// ctime does, although it moves with every entry that comes or goes: nothing
	// else tells of a change to an extended attribute, which is sent.
	return it.mode == o.mode && it.ctime == o.ctime && sameError(it.dir.err(), o.dir.err())
}

func sameError(a, b error) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Error() == b.Error()
}

// pairs yields the entries of two directories by name, in order. Where only one of
// them has a name, the other's item is zero.
func pairs(a, b *directory) iter.Seq2[item, item] {
	return func(yield func(item, item) bool) { eachPair(a, b, nil, yield) }
}

// differing yields the pairs that are not [directory.plainlySame]. Some of them may
// still turn out to be equal.
func differing(a, b *directory) iter.Seq2[item, item] {
	return func(yield func(item, item) bool) { eachPair(a, b, a.plainlySame, yield) }
}

// plainlySame reports whether the entry at i in d equals the one at j in o, as far as
// that can be told without unpacking them. Their names are not compared.
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

// eachPair is pairs without those of which skip, if not nil, returns true.
func eachPair(a, b *directory, skip func(b *directory, i, j int) bool, yield func(item, item) bool) {
	alike := a.names == b.names // so far all names were the same, and their strings are equal
	for i, j := 0, 0; i < len(a.entries) || j < len(b.entries); {
		order := 0
		switch {
		case i == len(a.entries):
			order = 1
		case j == len(b.entries):
			order = -1
		case alike && i == j && a.entries[i].nameEnd() == b.entries[j].nameEnd():
			// The usual case: only stats differ, and no name has to be compared.
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

// pack fills d with drafts, which it sorts by name. err is why drafts may be
// incomplete, or nil.
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

// A packer collects the entries of a directory, which have to be added in the order
// of their names.
type packer struct {
	names   strings.Builder
	entries []entry
	dirs    []*directory
	odd     []oddEntry
}

// newPacker returns a packer with room for a number of entries, whose names have a
// total length in bytes.
func newPacker(entries, names int) *packer {
	p := &packer{entries: make([]entry, 0, entries)}
	p.names.Grow(names)
	return p
}

// add appends an entry; dir is its contents if it is a directory.
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

// fill moves the entries into d. err is why they may be incomplete, or nil.
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

// countFiles returns the number of entries below d that are not directories.
func countFiles(d *directory) int {
	n := len(d.entries) - len(d.kids())
	for _, sub := range d.kids() {
		n += countFiles(sub)
	}
	return n
}
