package buildctx

import (
	"io/fs"
	"iter"
	"path"
	"path/filepath"
	"strings"
)

// A Tree is an immutable picture of the files under a directory at one moment.
// Trees share what did not change between them. Paths are slash-separated and
// relative to the root; "." is the root itself. Make one with [Scan], [NewTree],
// [Tree.Apply] or [Tree.Sub].
type Tree struct {
	root  string // absolute, links resolved
	seq   uint64
	top   *directory
	files int // entries that are not directories
}

// An Entry is one file or directory of a [Tree].
type Entry struct {
	Path   string
	Mode   fs.FileMode
	Size   int64  // bytes; 0 for a directory
	Link   string // target of a symbolic link
	Linked bool   // the file has several names; false for a directory
	Inode  uint64 // 0 where the system has none
	Err    error  // why a directory could not be read, or only in part
	Pruned bool   // a directory that was not read, since no build needs what is in it

	mtime, ctime int64 // nanoseconds; ctime is 0 where the system has none
}

// A Stamp is the metadata by which git's index tells whether a file changed: as long
// as it is the same, so is the content, with the exception that [Stamp.Settled]
// describes. Stamps are compared with ==.
type Stamp struct {
	size, mtime, ctime int64
	inode              uint64
	mode               fs.FileMode
}

// Stamp returns the stamp that e had when the tree was made.
func (e Entry) Stamp() Stamp {
	return Stamp{size: e.Size, mtime: e.mtime, ctime: e.ctime, inode: e.Inode, mode: e.Mode}
}

// Root returns the absolute path of the directory that t shows.
func (t *Tree) Root() string { return t.root }

// Sequence returns t's number: a later tree of the same root has a higher one.
func (t *Tree) Sequence() uint64 { return t.seq }

// Files returns how many entries t holds that are not directories.
func (t *Tree) Files() int { return t.files }

// Sub returns the part of t below the directory dir, with the same sequence number.
// It returns false if t has no such directory.
func (t *Tree) Sub(dir string) (*Tree, bool) {
	it, ok := t.find(dir)
	if !ok || it.dir == nil {
		return nil, false
	}
	return &Tree{root: filepath.Join(t.root, filepath.FromSlash(dir)), seq: t.seq, top: it.dir, files: countFiles(it.dir)}, true
}

// Lookup returns the entry at name, and whether there is one. Links in the path are
// not followed.
func (t *Tree) Lookup(name string) (Entry, bool) {
	it, ok := t.find(name)
	if !ok {
		return Entry{}, false
	}
	return it.public(path.Clean(name)), true
}

// All yields every entry but the root, parents before children, and the names of each
// directory in byte order, as fsutil walks.
func (t *Tree) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		yieldAll(t.top, "", yield)
	}
}

// Below is [Tree.All] for what is below the directory at name. It yields nothing if
// there is no such directory.
func (t *Tree) Below(name string) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		it, ok := t.find(name)
		if !ok || it.dir == nil {
			return
		}
		prefix := path.Clean(name) + "/"
		if prefix == "./" {
			prefix = ""
		}
		yieldAll(it.dir, prefix, yield)
	}
}

// yieldAll yields what is below d, whose path with a slash at its end is prefix, and
// reports whether to go on.
func yieldAll(d *directory, prefix string, yield func(Entry) bool) bool {
	for i := range d.entries {
		it := d.item(i)
		name := prefix + it.name
		if !yield(it.public(name)) {
			return false
		}
		if it.dir != nil && !yieldAll(it.dir, name+"/", yield) {
			return false
		}
	}
	return true
}

// public returns the item as an entry at the path name.
func (it item) public(name string) Entry {
	out := Entry{
		Path: name, Mode: it.mode, Size: it.size, Link: it.odd.link, Linked: it.linked, Inode: it.inode,
		mtime: it.mtime, ctime: it.ctime,
	}
	if it.dir != nil {
		out.Err, out.Pruned = it.dir.err(), it.dir.pruned()
	}
	return out
}

// find returns the item at name, and whether there is one. The item of the root has
// no name.
func (t *Tree) find(name string) (item, bool) {
	name = path.Clean(name)
	it := item{stat: stat{mode: fs.ModeDir | 0o755}, entry: &entry{}, dir: t.top}
	if name == "." || name == "/" {
		return it, true
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(name, "/"), "/") {
		if it.dir == nil {
			return item{}, false
		}
		i, ok := it.dir.index(part)
		if !ok {
			return item{}, false
		}
		it = it.dir.item(i)
	}
	return it, true
}

// TypeOf returns the name that the JSON output has for the type of a file: file, dir,
// symlink, fifo, socket or device.
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
