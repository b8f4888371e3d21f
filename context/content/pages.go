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

// The manifest of what a builder has of local files is stored in pages, by path. A
// directory is one page or, if it is large, one for each of its parts (see parts).
// Unlike objects, pages have times and inodes, so that a manifest made of them is good
// for [Manifest.After].
//
// The key of a page is the path of the directory, with a slash behind each name, a zero
// byte, and the name before its first entry, "" in the first page.

// Pages yields the pages of m that differ from those of before, by key; nil stands for
// a page that m does not have. Both manifests may be nil. Directories that the
// manifests share are not looked into.
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

// changedPages is Pages for the directories d and old at path, of which either may be
// nil. It returns false if yield did.
func changedPages(path string, d, old *Dir, yield func(string, []byte) bool) bool {
	if d == old {
		return true
	}
	now, before := pagesOf(path, d), pagesOf(path, old)
	for key, page := range before.pages {
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
		if !changedPages(path+name+"/", dir, before.dirs[name], yield) {
			return false
		}
	}
	for name, dir := range before.dirs {
		if now.dirs[name] == nil && !changedPages(path+name+"/", nil, dir, yield) {
			return false
		}
	}
	return true
}

// A paged is a directory as its pages and its subdirectories.
type paged struct {
	pages map[string][]byte // by key
	dirs  map[string]*Dir   // by name
}

// pagesOf returns the pages of d, which is at path and may be nil.
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
		first = part[len(part)-1].Name // the next page begins behind this name
	}
	return p
}

// Bits of the byte that follows an entry in a page.
const (
	hasLinks  = 1 // the file has other names
	hasLinked = 2 // a file below the directory has
)

// appendHeld appends the encoding of e in a page: that in an object, then flags, time
// and inode.
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

// FromPages returns the manifest that has these pages, or an error if one of them does
// not decode. It keeps the pages, and not the entries of directories below the root.
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

// comparePages compares keys. It orders the pages of a directory as their entries.
func comparePages(a, b string) int {
	dirA, firstA, _ := strings.Cut(a, "\x00")
	dirB, firstB, _ := strings.Cut(b, "\x00")
	return cmp.Or(strings.Compare(dirA, dirB), strings.Compare(firstA, firstB))
}

// heldIn returns the entries of the directory at path dir, whose pages have been
// decoded before.
func heldIn(byDir map[string][][]byte, dir string) []Entry {
	entries, err := decodeHeld(byDir, dir, byDir[dir])
	if err != nil {
		return nil // cannot happen
	}
	return entries
}

// decodeHeld decodes pages, which are those of the directory at path dir.
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
				e.Dir.source.(*loaded).hasLinks = flags&hasLinked != 0
			}
			entries = append(entries, e)
		}
	}
	if !slices.IsSortedFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) }) {
		return nil, errors.New("it is in no order")
	}
	return entries, nil
}
