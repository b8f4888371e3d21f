package content

import (
	"crypto/sha256"
	"io/fs"
	"slices"
	"strings"
)

// A Manifest is what is sent of a local context, as a Merkle tree of files. It is
// immutable, and manifests share the directories that they have in common.
type Manifest struct{ root *Dir }

// Digest returns the digest of the root with all that is in it.
func (m *Manifest) Digest() Digest { return m.root.digest }

// A Dir is a directory of a manifest.
type Dir struct {
	digest Digest // of the directory with all that is in it
	source
}

// A source gives the entries of a directory. To save memory, most sources keep only
// what the entries can be made of again.
type source interface {
	// list returns the entries in byte order of their names. They must not be changed.
	list() []Entry
	// last returns the name of the last entry, "" if there is none.
	last() string
	// linked reports whether a file below, at any depth, has several names.
	linked() bool
}

// entries is a source that keeps the entries themselves.
type entries []Entry

func (e entries) list() []Entry { return e }

func (e entries) last() string {
	if len(e) == 0 {
		return ""
	}
	return e[len(e)-1].Name
}

func (e entries) linked() bool {
	return slices.ContainsFunc(e, func(e Entry) bool { return e.links || e.Dir != nil && e.Dir.linked() })
}

// An Entry is a name in a directory.
type Entry struct {
	Name string
	Mode fs.FileMode
	Size int64  // of a regular file
	Link string // target of a symbolic link
	// Digest is the digest of the file itself; that of a directory does not depend on
	// what is in it.
	Digest Digest
	// Modified is the modification time in nanoseconds, which helps to decide whether
	// the file is sent again.
	Modified int64
	// Data is a checksum of the content alone, which tells whether a change of Digest
	// is one of content.
	Data uint32
	// Dir has what is in a directory; nil for anything else.
	Dir *Dir

	inode uint64 // 0 if unknown
	// links says that the file had several names when it was last looked at. A new
	// name elsewhere causes no event, so the entries of other names may not say so.
	links bool
}

// find returns the entry with the given name, nil if there is none.
func (d *Dir) find(name string) *Entry { return find(d.list(), name) }

// find returns the entry with the given name, nil if there is none.
func find(entries []Entry, name string) *Entry {
	i, ok := slices.BinarySearchFunc(entries, name, func(e Entry, name string) int {
		return strings.Compare(e.Name, name)
	})
	if !ok {
		return nil
	}
	return &entries[i]
}

// whole returns the digest of e, for a directory with all that is in it.
func (e *Entry) whole() Digest {
	if e.Dir != nil {
		return e.Dir.digest
	}
	return e.Digest
}

// directoryDigest returns the digest of a directory with all that is in it: the hash of
// the digest of the directory itself, header, and of the names and digests of entries,
// each after a zero byte (BuildKit: cache/contenthash, checksum).
func directoryDigest(header Digest, entries []Entry) Digest {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.sha.Reset()
	b := header.appendText(append(s.buf[:0], 0))
	for i := range entries {
		e := &entries[i]
		b = e.whole().appendText(append(append(b, 0), e.Name...))
		if e.Dir != nil {
			b = e.Dir.appendHigh(b, "\x00"+e.Name)
		}
		if len(b) > 1<<14 {
			s.sha.Write(b)
			b = b[:0]
		}
	}
	s.sha.Write(b)
	return s.end().Digest
}

// appendHigh appends the entries of d whose names begin with the byte 0xff a second
// time, as BuildKit does: to go on behind a directory, it looks for the first key
// greater than the path of the directory and that byte, and meets those entries again.
func (d *Dir) appendHigh(b []byte, prefix string) []byte {
	if last := d.last(); last == "" || last[0] != 0xff {
		return b // there are none
	}
	entries := d.list()
	for i := len(entries) - 1; i >= 0 && entries[i].Name[0] == 0xff; i-- {
		if i > 0 && entries[i-1].Name[0] == 0xff {
			continue
		}
		for _, e := range entries[i:] {
			name := prefix + "\x00" + e.Name
			b = e.whole().appendText(append(b, name...))
			if e.Dir != nil {
				b = e.Dir.appendHigh(b, name)
			}
		}
	}
	return b
}

// rootHeader returns the digest of d itself if d is a root. The root is not sent, and
// has a constant digest (BuildKit: cache/contenthash, HandleChange). But if nothing at
// all is sent, it is the digest of the empty directory that the builder made.
func (d *Dir) rootHeader() Digest {
	if len(d.list()) == 0 {
		return Header{Mode: fs.ModeDir | 0o755}.Digest()
	}
	return sha256.Sum256(nil)
}
