package content

import (
	"crypto/sha256"
	"io/fs"
	"slices"
	"strings"
)

// A Manifest is what was sent of one local context: a Merkle tree of files. It
// is immutable; manifests share the directories that are equal in both.
type Manifest struct{ root *Dir }

// A Dir is a directory of a manifest.
type Dir struct {
	digest  Digest
	entries []Entry // by name, in byte order
}

// An Entry is a name in a directory.
type Entry struct {
	Name string
	Mode fs.FileMode
	Size int64  // of a regular file
	Link string // target of a symbolic link
	// Digest is the file's own: of a directory, of it without what is in it.
	Digest Digest
	// Dir holds what is in a directory; nil for anything else.
	Dir *Dir
}

// find returns the entry of this name, nil if there is none.
func (d *Dir) find(name string) *Entry {
	i, ok := slices.BinarySearchFunc(d.entries, name, func(e Entry, name string) int {
		return strings.Compare(e.Name, name)
	})
	if !ok {
		return nil
	}
	return &d.entries[i]
}

// whole returns the digest of e and, of a directory, of all below.
func (e *Entry) whole() Digest {
	if e.Dir != nil {
		return e.Dir.digest
	}
	return e.Digest
}

// newDir makes the directory with this header; entries are sorted, and its own
// from then on.
func newDir(header Digest, entries []Entry) *Dir {
	return &Dir{digest: directoryDigest(header, entries), entries: entries}
}

// directoryDigest hashes a header and names with digests, each name after a
// zero byte (BuildKit: cache/contenthash, checksum).
func directoryDigest(header Digest, entries []Entry) Digest {
	sum := sha256.New()
	b := header.appendText([]byte{0})
	for i := range entries {
		e := &entries[i]
		b = e.whole().appendText(append(append(b, 0), e.Name...))
		if e.Dir != nil {
			b = e.Dir.appendHigh(b, "\x00"+e.Name)
		}
		if len(b) > 1<<14 {
			sum.Write(b)
			b = b[:0]
		}
	}
	sum.Write(b)
	return Digest(sum.Sum(nil))
}

// appendHigh appends the names in d that begin with the byte 0xff: having
// hashed a directory, BuildKit goes on behind the key of its path with that byte
// below it, and so comes by them once more.
func (d *Dir) appendHigh(b []byte, prefix string) []byte {
	for i := len(d.entries) - 1; i >= 0 && d.entries[i].Name[0] == 0xff; i-- {
		if i > 0 && d.entries[i-1].Name[0] == 0xff {
			continue
		}
		for _, e := range d.entries[i:] {
			name := prefix + "\x00" + e.Name
			b = e.whole().appendText(append(b, name...))
			if e.Dir != nil {
				b = e.Dir.appendHigh(b, name)
			}
		}
	}
	return b
}

// A Builder makes a manifest of files that come in the order of a walk: parents
// before children, the names of a directory in byte order.
type Builder struct {
	open []building // the directories on the way, the root first
}

// building is a directory whose entries are coming in.
type building struct {
	name    string // its path with a slash at its end; "" for the root
	entry   Entry
	entries []Entry
	before  *Dir // what it was in an earlier manifest, to share
}

// NewBuilder returns a builder whose manifest shares with before what did not
// change; before may be nil.
func NewBuilder(before *Manifest) *Builder {
	root := building{}
	if before != nil {
		root.before = before.root
	}
	return &Builder{open: []building{root}}
}

// Add adds the file at path, whose name e need not have; Dir of e is not looked
// at. A directory that was not added before a file in it is not in the manifest.
func (b *Builder) Add(path string, e Entry) {
	for !strings.HasPrefix(path, b.top().name) {
		b.close()
	}
	top := b.top()
	e.Name, e.Dir = path[len(top.name):], nil
	if !e.Mode.IsDir() {
		top.entries = append(top.entries, e)
		return
	}
	next := building{name: path + "/", entry: e}
	if top.before != nil {
		if was := top.before.find(e.Name); was != nil && was.Digest == e.Digest {
			next.before = was.Dir
		}
	}
	b.open = append(b.open, next)
}

func (b *Builder) top() *building { return &b.open[len(b.open)-1] }

// close ends the last directory and puts it into the one that holds it.
func (b *Builder) close() {
	last := *b.top()
	b.open = b.open[:len(b.open)-1]
	last.entry.Dir = last.dir()
	top := b.top()
	top.entries = append(top.entries, last.entry)
}

// dir returns the directory itself, the earlier one if it is equal.
func (b *building) dir() *Dir {
	if b.before != nil && slices.Equal(b.before.entries, b.entries) {
		return b.before
	}
	return newDir(b.entry.Digest, b.entries)
}

// Manifest ends the walk.
func (b *Builder) Manifest() *Manifest {
	for len(b.open) > 1 {
		b.close()
	}
	root := &b.open[0]
	root.entry.Digest = (&Dir{entries: root.entries}).rootHeader()
	return &Manifest{root: root.dir()}
}

// rootHeader returns the digest of the root's header, if d is one. The root is
// never sent, so a constant stands for it (BuildKit: cache/contenthash,
// HandleChange); but where nothing was sent at all, the header is read from the
// empty directory that the builder has made.
func (d *Dir) rootHeader() Digest {
	if len(d.entries) == 0 {
		return Header{Mode: fs.ModeDir | 0o755}.Digest()
	}
	return sha256.Sum256(nil)
}
