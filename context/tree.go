package buildctx

import (
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
)

// A Tree is an immutable picture of the files under a directory at one moment.
// Trees share what did not change between them. Paths are slash-separated and
// relative to the root; "." is the root itself.
type Tree struct {
	root  string // absolute, links resolved
	seq   uint64
	top   *directory
	files int
}

// A directory holds its entries sorted by name. It is shared between trees and
// never edited once its tree was handed out.
type directory struct {
	entries []entry
	err     error // why its entries could not be read
	pruned  bool  // nobody looked, for nothing below matters
}

// An entry is a name in a directory and what lstat said of it.
type entry struct {
	name string
	stat
	dir *directory // of a directory
}

// stat is what of a file decides whether it is sent again and how it is keyed.
type stat struct {
	mode     fs.FileMode
	size     int64
	mtime    int64 // nanoseconds
	ctime    int64 // nanoseconds; 0 where the system has none
	inode    uint64
	links    uint32
	uid, gid uint32
	device   uint64 // of a device node
	link     string // target of a symbolic link
}

// An Entry is one file of a [Tree].
type Entry struct {
	Path  string
	Mode  fs.FileMode
	Size  int64
	Link  string // target of a symbolic link
	Links uint32 // number of names the file has
	Inode uint64
	// Err says why a directory could not be read.
	Err error

	mtime, ctime int64
}

// A Stamp stands for a file's content as git's index does: while it is the
// same, so is the content.
type Stamp struct {
	size, mtime, ctime int64
	inode              uint64
	mode               fs.FileMode
}

// Stamp returns the stamp that e had when it was pictured.
func (e Entry) Stamp() Stamp {
	return Stamp{size: e.Size, mtime: e.mtime, ctime: e.ctime, inode: e.Inode, mode: e.Mode}
}

// Root returns the absolute path of the directory that t shows.
func (t *Tree) Root() string { return t.root }

// Sequence returns t's number: a later tree of the same root has a higher one.
func (t *Tree) Sequence() uint64 { return t.seq }

// Files returns how many entries t holds that are not directories.
func (t *Tree) Files() int { return t.files }

// Lookup returns the entry at name. Links on the way are not followed.
func (t *Tree) Lookup(name string) (Entry, bool) {
	e := t.find(name)
	if e == nil {
		return Entry{}, false
	}
	return e.public(path.Clean(name)), true
}

// All yields every entry but the root, parents before children, the names of a
// directory in byte order (the order in which fsutil walks).
func (t *Tree) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		yieldAll(t.top, "", yield)
	}
}

func yieldAll(d *directory, prefix string, yield func(Entry) bool) bool {
	for i := range d.entries {
		e := &d.entries[i]
		name := prefix + e.name
		if !yield(e.public(name)) {
			return false
		}
		if e.dir != nil && !yieldAll(e.dir, name+"/", yield) {
			return false
		}
	}
	return true
}

func (e *entry) public(name string) Entry {
	out := Entry{Path: name, Mode: e.mode, Size: e.size, Link: e.link, Links: e.links, Inode: e.inode, mtime: e.mtime, ctime: e.ctime}
	if e.dir != nil {
		out.Err = e.dir.err
	}
	return out
}

// find returns the entry at name, nil if there is none; for the root, one that
// has no name.
func (t *Tree) find(name string) *entry {
	name = path.Clean(name)
	e := &entry{stat: stat{mode: fs.ModeDir | 0o755}, dir: t.top}
	if name == "." || name == "/" {
		return e
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(name, "/"), "/") {
		if e.dir == nil {
			return nil
		}
		i, ok := e.dir.index(part)
		if !ok {
			return nil
		}
		e = &e.dir.entries[i]
	}
	return e
}

func (d *directory) index(name string) (int, bool) {
	return slices.BinarySearchFunc(d.entries, name, func(e entry, name string) int {
		return strings.Compare(e.name, name)
	})
}

func countFiles(d *directory) int {
	if d == nil {
		return 0
	}
	n := 0
	for i := range d.entries {
		if e := &d.entries[i]; e.dir != nil {
			n += countFiles(e.dir)
		} else {
			n++
		}
	}
	return n
}

// TypeOf names the type of a file as JSON shows it: file, dir, symlink, fifo,
// socket or device.
func TypeOf(mode fs.FileMode) string {
	switch mode.Type() {
	case 0:
		return "file"
	case fs.ModeDir:
		return "dir"
	case fs.ModeSymlink:
		return "symlink"
	case fs.ModeNamedPipe:
		return "fifo"
	case fs.ModeSocket:
		return "socket"
	}
	return "device"
}
