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

// Digest returns the digest of all of m.
func (m *Manifest) Digest() Digest { return m.root.digest }

// A Dir is a directory of a manifest.
type Dir struct {
	digest Digest
	source
}

// A source is where the entries of a directory are had from: most directories do
// not hold what can be had again.
type source interface {
	// list returns the entries by name, in byte order. Nobody writes to them.
	list() []Entry
	// last returns the name of the last entry, "" if there is none.
	last() string
	// linked reports whether something below has several names.
	linked() bool
}

// entries are a source that is one.
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
	// Digest is the file's own: of a directory, of it without what is in it.
	Digest Digest
	// Modified is the time of the last change of content in nanoseconds, which
	// decides whether a file is sent again.
	Modified int64
	// Data is a checksum of the content alone. It tells where a digest changed
	// whether that did.
	Data uint32
	// Dir holds what is in a directory; nil for anything else.
	Dir *Dir
	// inode is that of a file, which others may be names of, too: no event tells
	// so, but links then tells it of one of them.
	inode uint64
	links bool
}

// find returns the entry of this name, nil if there is none.
func (d *Dir) find(name string) *Entry { return find(d.list(), name) }

func find(entries []Entry, name string) *Entry {
	i, ok := slices.BinarySearchFunc(entries, name, func(e Entry, name string) int {
		return strings.Compare(e.Name, name)
	})
	if !ok {
		return nil
	}
	return &entries[i]
}

// whole returns the digest of e and, of a directory, of all below.
func (e *Entry) whole() Digest {
	if e.Dir != nil {
		return e.Dir.digest
	}
	return e.Digest
}

// directoryDigest hashes a header and names with digests, each name after a
// zero byte (BuildKit: cache/contenthash, checksum).
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

// appendHigh appends the names in d that begin with the byte 0xff: having
// hashed a directory, BuildKit goes on behind the key of its path with that byte
// below it, and so comes by them once more.
func (d *Dir) appendHigh(b []byte, prefix string) []byte {
	if last := d.last(); last == "" || last[0] != 0xff {
		return b // as nearly always
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

// rootHeader returns the digest of the root's header, if d is one. The root is
// never sent, so a constant stands for it (BuildKit: cache/contenthash,
// HandleChange); but where nothing was sent at all, the header is read from the
// empty directory that the builder has made.
func (d *Dir) rootHeader() Digest {
	if len(d.list()) == 0 {
		return Header{Mode: fs.ModeDir | 0o755}.Digest()
	}
	return sha256.Sum256(nil)
}
