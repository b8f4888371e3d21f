package content

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"sync"
)

// Manifests are stored as git stores trees. A directory is an object, stored by its
// digest, that names the objects of its subdirectories; equal directories are stored
// once.
//
// A large directory is an object that names its parts, each with some of the entries, so
// that a change of one entry does not store all of them again. Where a part ends
// depends only on names, so that most parts stay the same when files are added or
// removed.
//
// Times and inodes are not stored: a manifest that is read back is good for [Compare],
// but not for [Manifest.After].

const (
	// The first byte of an object.
	wholeObject = 1 // entries follow
	partsObject = 2 // the digests of parts follow, which are whole objects

	// A directory of up to partAbove entries is one object. Parts have partLength
	// entries on average, and at most four times as many.
	partAbove  = 512
	partLength = 128
)

// A Writer stores objects by digest. Has must return true only for an object that Put
// was given, and that is still there with all objects that it names.
type Writer interface {
	Has(Digest) (bool, error)
	Put(Digest, []byte) error
}

// Write stores the directories of m that w does not have. It does not look into those
// that it has.
func (m *Manifest) Write(w Writer) error { return m.root.write(w) }

// write stores what d names before d, so that Has is true only of complete objects.
func (d *Dir) write(w Writer) error {
	if has, err := w.Has(d.digest); has || err != nil {
		return err
	}
	entries := d.list()
	for i := range entries {
		if sub := entries[i].Dir; sub != nil {
			if err := sub.write(w); err != nil {
				return err
			}
		}
	}
	if len(entries) <= partAbove {
		return w.Put(d.digest, appendEntries([]byte{wholeObject}, entries))
	}
	list := []byte{partsObject}
	for part := range parts(entries) {
		object := appendEntries([]byte{wholeObject}, part)
		digest := Digest(sha256.Sum256(object))
		list = append(list, digest[:]...)
		has, err := w.Has(digest)
		if err == nil && !has {
			err = w.Put(digest, object)
		}
		if err != nil {
			return err
		}
	}
	return w.Put(d.digest, list)
}

// parts divides the entries of a directory. A part ends behind a name whose hash says
// so, or when it is full.
func parts(entries []Entry) iter.Seq[[]Entry] {
	return func(yield func([]Entry) bool) {
		begin := 0
		for i := range entries {
			sum := sha256.Sum256([]byte(entries[i].Name))
			end := binary.LittleEndian.Uint16(sum[:])%partLength == 0
			if end || i+1-begin == 4*partLength || i+1 == len(entries) {
				if !yield(entries[begin : i+1]) {
					return
				}
				begin = i + 1
			}
		}
	}
}

// The first byte of an entry: what follows its name, mode and digest.
const (
	hasDir  = 1 // the digest of a directory with all that is in it
	hasLink = 2 // the target of a link
	hasData = 4 // size and checksum of a regular file
)

// appendEntries appends the encoding of entries.
func appendEntries(b []byte, entries []Entry) []byte {
	for i := range entries {
		e := &entries[i]
		var flags byte
		switch {
		case e.Dir != nil:
			flags = hasDir
		case e.Link != "":
			flags = hasLink
		case e.sentType() == 0:
			flags = hasData
		}
		b = append(b, flags)
		b = append(binary.AppendUvarint(b, uint64(len(e.Name))), e.Name...)
		b = binary.AppendUvarint(b, uint64(e.Mode))
		b = append(b, e.Digest[:]...)
		switch flags {
		case hasDir:
			b = append(b, e.Dir.digest[:]...)
		case hasLink:
			b = append(binary.AppendUvarint(b, uint64(len(e.Link))), e.Link...)
		case hasData:
			b = binary.BigEndian.AppendUint32(binary.AppendUvarint(b, uint64(e.Size)), e.Data)
		}
	}
	return b
}

// ErrObject says that an object is missing or cannot be decoded.
var ErrObject = errors.New("a stored directory cannot be read")

// A Stored reads manifests that [Manifest.Write] wrote. It is safe for concurrent use if
// get is.
type Stored struct {
	get func(Digest) ([]byte, error)

	mu  sync.Mutex // guards err
	err error
}

// NewStored returns a Stored that reads objects with get.
func NewStored(get func(Digest) ([]byte, error)) *Stored { return &Stored{get: get} }

// Manifest returns the manifest with the given digest. A directory is read when its
// entries are first needed. One that cannot be read is empty: the caller has to look at
// [Stored.Err] when it is done with the manifest.
func (s *Stored) Manifest(digest Digest) *Manifest { return &Manifest{root: s.dir(digest)} }

// Err returns the first error that reading any of the manifests gave.
func (s *Stored) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// dir returns the directory with a digest, which is read later.
func (s *Stored) dir(digest Digest) *Dir {
	return &Dir{digest: digest, source: &loaded{load: sync.OnceValue(func() []Entry {
		entries, err := s.entries(digest)
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.err == nil {
				s.err = fmt.Errorf("%w: %s: %w", ErrObject, digest, err)
			}
		}
		return entries
	})}}
}

// loaded is the source of a directory whose entries are read when they are needed.
type loaded struct {
	load     func() []Entry
	hasLinks bool // see source.linked
}

func (l *loaded) list() []Entry { return l.load() }
func (l *loaded) last() string  { return entries(l.load()).last() }
func (l *loaded) linked() bool  { return l.hasLinks }

// entries reads the entries of the directory with a digest.
func (s *Stored) entries(digest Digest) ([]Entry, error) {
	object, err := s.get(digest)
	if err != nil {
		return nil, err
	}
	if len(object) == 0 {
		return nil, errors.New("it is empty")
	}
	if object[0] == wholeObject {
		return s.decode(nil, object[1:])
	}
	var entries []Entry
	for part := range digests(object) {
		piece, err := s.get(part)
		if err == nil && (len(piece) == 0 || piece[0] != wholeObject) {
			err = errors.New("a part of it is none")
		}
		if err == nil {
			entries, err = s.decode(entries, piece[1:])
		}
		if err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// digests yields the digests of the parts that a partsObject names.
func digests(object []byte) iter.Seq[Digest] {
	return func(yield func(Digest) bool) {
		for rest := object[1:]; len(rest) >= sha256.Size; rest = rest[sha256.Size:] {
			if !yield(Digest(rest[:sha256.Size])) {
				return
			}
		}
	}
}

// decode decodes what appendEntries wrote, and appends it to entries.
func (s *Stored) decode(entries []Entry, b []byte) ([]Entry, error) {
	for len(b) > 0 {
		r := objectReader{b: b}
		e := r.entry(func(_ string, digest Digest) *Dir { return s.dir(digest) })
		if r.bad || e.Name == "" {
			return nil, errors.New("it does not decode")
		}
		entries, b = append(entries, e), r.b
	}
	return entries, nil
}

// entry reads one entry that appendEntries wrote. dir returns the directory with a
// digest, of the entry with that name.
func (r *objectReader) entry(dir func(name string, digest Digest) *Dir) Entry {
	e := Entry{}
	flags := r.byte()
	e.Name = string(r.bytes(r.number()))
	e.Mode = fs.FileMode(r.number())
	e.Digest = r.digest()
	switch flags {
	case hasDir:
		e.Dir = dir(e.Name, r.digest())
	case hasLink:
		e.Link = string(r.bytes(r.number()))
		e.Size = int64(len(e.Link)) // as the system has it
	case hasData:
		e.Size = int64(r.number())
		if data := r.bytes(4); len(data) == 4 {
			e.Data = binary.BigEndian.Uint32(data)
		}
	}
	return e
}

// Below yields the digests of the objects that an object names, which must be kept as
// long as it is.
func Below(object []byte) iter.Seq[Digest] {
	return func(yield func(Digest) bool) {
		if len(object) > 0 && object[0] == partsObject {
			digests(object)(yield)
			return
		}
		var none Stored
		entries, err := none.decode(nil, object[min(1, len(object)):])
		if err != nil {
			return
		}
		for i := range entries {
			if d := entries[i].Dir; d != nil && !yield(d.digest) {
				return
			}
		}
	}
}

// An objectReader decodes objects and pages. Once something does not decode it is bad,
// and reads zeros.
type objectReader struct {
	b   []byte // what is left
	bad bool
}

func (r *objectReader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *objectReader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *objectReader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *objectReader) digest() (d Digest) {
	copy(d[:], r.bytes(sha256.Size))
	return d
}
