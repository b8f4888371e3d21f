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

// Manifests are stored as git stores trees: each directory once, by its digest,
// with those of the directories in it. Of a directory that has many entries only a
// part is written when one of them changes: it is a list of parts, each by its own
// digest. Where one ends and the next begins follows from the names, so that it
// stays where it is when files come, go and change.
//
// What is stored has no times: a stored manifest is for [Compare], not for After.

const (
	wholeObject = 1 // a directory's entries
	partsObject = 2 // the digests of its parts

	// A directory of up to partAbove entries is one object. Parts have partLength
	// entries on average, and at most four times as many.
	partAbove  = 512
	partLength = 128
)

// A Writer keeps objects by digest. Has must be true only of what Put was given,
// together with all below it.
type Writer interface {
	Has(Digest) (bool, error)
	Put(Digest, []byte) error
}

// Write stores m, and reads nothing of what is stored already.
func (m *Manifest) Write(w Writer) error { return m.root.write(w) }

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

// parts yields the entries in pieces that end where names say so.
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

// Bits of an entry's first byte.
const (
	hasDir  = 1
	hasLink = 2
	hasData = 4 // it is a regular file
)

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

// ErrObject is an object that is not there or does not decode.
var ErrObject = errors.New("a stored directory cannot be read")

// A Stored reads manifests that were written. It is safe for concurrent use as far
// as get is.
type Stored struct {
	get func(Digest) ([]byte, error)

	mu  sync.Mutex // guards err
	err error
}

// NewStored returns a reader of what get returns the objects of.
func NewStored(get func(Digest) ([]byte, error)) *Stored { return &Stored{get: get} }

// Manifest returns the manifest with a digest, whose directories are read when
// something asks for them. What cannot be read is empty, and [Stored.Err] says so.
func (s *Stored) Manifest(digest Digest) *Manifest { return &Manifest{root: s.dir(digest)} }

// Err returns the first error of reading.
func (s *Stored) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

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

// loaded is the source of a directory that is read when it is asked for its
// entries.
type loaded struct {
	load    func() []Entry
	several bool // see linked
}

func (l *loaded) list() []Entry { return l.load() }
func (l *loaded) last() string  { return entries(l.load()).last() }
func (l *loaded) linked() bool  { return l.several }

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

// digests yields the parts that a list of parts names.
func digests(object []byte) iter.Seq[Digest] {
	return func(yield func(Digest) bool) {
		for rest := object[1:]; len(rest) >= sha256.Size; rest = rest[sha256.Size:] {
			if !yield(Digest(rest[:sha256.Size])) {
				return
			}
		}
	}
}

// decode appends the entries of an object.
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

// entry reads what appendEntries wrote of one; dir gives what is in a directory.
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

// Below yields the digests of the objects that an object names: what must be kept
// as long as it is.
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

// An objectReader reads what the append functions wrote. After what cannot be, it reads
// zeros and is bad.
type objectReader struct {
	b   []byte
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
