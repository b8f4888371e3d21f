package content

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
)

// What a builder holds is kept by path, in pages: a directory is one or, if it is
// large, several, cut as parts are. Unlike objects they have times and inodes, so
// that what is made of them is good for After.

// Pages yields by key the pages of m that are not as those of before, without a
// value if they are no more. before may be nil. It takes time as what differs does,
// where the manifests share directories.
func (m *Manifest) Pages(before *Manifest) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		var old *Dir
		if before != nil {
			old = before.root
		}
		var root *Dir
		if m != nil {
			root = m.root
		}
		changedPages("", root, old, yield)
	}
}

func changedPages(path string, d, old *Dir, yield func(string, []byte) bool) bool {
	if d == old {
		return true
	}
	now, was := pagesOf(path, d), pagesOf(path, old)
	for key, page := range was.pages {
		switch same, there := now.pages[key]; {
		case !there:
			if !yield(key, nil) {
				return false
			}
		case bytes.Equal(page, same):
			delete(now.pages, key)
		}
	}
	for key, page := range now.pages {
		if !yield(key, page) {
			return false
		}
	}
	for name, dir := range now.dirs {
		if !changedPages(path+name+"/", dir, was.dirs[name], yield) {
			return false
		}
	}
	for name, dir := range was.dirs {
		if now.dirs[name] == nil && !changedPages(path+name+"/", nil, dir, yield) {
			return false
		}
	}
	return true
}

// A paged is a directory in pages, and the directories in it.
type paged struct {
	pages map[string][]byte
	dirs  map[string]*Dir
}

func pagesOf(path string, d *Dir) paged {
	p := paged{map[string][]byte{}, map[string]*Dir{}}
	if d == nil {
		return p
	}
	first := ""
	for part := range parts(d.list()) {
		page := []byte{}
		for i := range part {
			page = appendHeld(page, &part[i])
			if part[i].Dir != nil {
				p.dirs[part[i].Name] = part[i].Dir
			}
		}
		p.pages[path+"\x00"+first] = page
		first = part[len(part)-1].Name // what follows it
	}
	return p
}

// Bits of what a page has of an entry beside what an object has.
const (
	hasLinks  = 1 // it has other names
	hasLinked = 2 // something below has
)

func appendHeld(b []byte, e *Entry) []byte {
	b = appendEntries(b, []Entry{*e})
	var flags byte
	if e.links {
		flags |= hasLinks
	}
	if e.Dir != nil && e.Dir.linked() {
		flags |= hasLinked
	}
	b = append(b, flags)
	b = binary.AppendVarint(b, e.Modified)
	return binary.AppendUvarint(b, e.inode)
}

var errPage = errors.New("a page of what a builder holds does not decode")

// FromPages returns the manifest of all its pages. Directories below the top are made
// of them when they are asked for.
func FromPages(pages map[string][]byte) (*Manifest, error) {
	byDir := map[string][][]byte{}
	for _, key := range slices.SortedFunc(maps.Keys(pages), comparePages) {
		dir, _, ok := strings.Cut(key, "\x00")
		if !ok {
			return nil, errPage
		}
		byDir[dir] = append(byDir[dir], pages[key])
	}
	var top []Entry
	for dir, list := range byDir {
		in, err := decodeHeld(byDir, dir, list)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errPage, err)
		}
		if dir == "" {
			top = in
		}
	}
	root := &Dir{source: entries(top)}
	root.digest = directoryDigest(root.rootHeader(), root.list())
	return &Manifest{root: root}, nil
}

// comparePages has the pages of a directory in the order of their entries.
func comparePages(a, b string) int {
	dirA, firstA, _ := strings.Cut(a, "\x00")
	dirB, firstB, _ := strings.Cut(b, "\x00")
	return cmp.Or(strings.Compare(dirA, dirB), strings.Compare(firstA, firstB))
}

func heldIn(byDir map[string][][]byte, dir string) []Entry {
	entries, err := decodeHeld(byDir, dir, byDir[dir])
	if err != nil {
		return nil // it was decoded before: never
	}
	return entries
}

func decodeHeld(byDir map[string][][]byte, dir string, pages [][]byte) (entries []Entry, err error) {
	for _, page := range pages {
		r := objectReader{b: page}
		for len(r.b) > 0 && !r.bad {
			e := r.entry(func(name string, digest Digest) *Dir {
				below := dir + name + "/"
				return &Dir{digest: digest, source: &loaded{load: func() []Entry { return heldIn(byDir, below) }}}
			})
			flags := r.byte()
			n, size := binary.Varint(r.b)
			r.bytes(uint64(max(0, size)))
			e.Modified, e.inode, e.links = n, r.number(), flags&hasLinks != 0
			switch {
			case r.bad || size <= 0 || e.Name == "" || strings.ContainsAny(e.Name, "/\x00"):
				return nil, errors.New("it does not decode")
			case e.Dir != nil && e.Mode&fs.ModeDir == 0:
				return nil, errors.New("a file holds others")
			case e.Dir != nil:
				e.Dir.source.(*loaded).several = flags&hasLinked != 0
			}
			entries = append(entries, e)
		}
	}
	if !slices.IsSortedFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) }) {
		return nil, errors.New("it is in no order")
	}
	return entries, nil
}
