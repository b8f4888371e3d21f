package content

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
)

// ErrUnlike says that an edit does not fit a file: it does not have the text that was
// edited, is not a regular file, or has several names or extended attributes.
var ErrUnlike = errors.New("the file is not what was edited")

// An Edit replaces the text of a file in what is sent.
type Edit struct {
	Was, Text []byte // before and after; Was is nil if the file does not exist
	Modified  int64  // the time that it is sent with, in nanoseconds
}

// Edited returns the manifest of what is sent if files are edited, by slash-separated
// path. An existing file that m does not have is left out of the result too, since it
// is not sent; a new one is added, which is possible only in the root. The error is
// [ErrUnlike].
func (m *Manifest) Edited(edits map[string]Edit) (*Manifest, error) {
	root := m.root
	for name, edit := range edits {
		change := root.edited
		if edit.Was == nil {
			change = root.added
		}
		next, err := change(name, sha256.Sum256(nil), edit)
		if err != nil {
			return nil, err
		}
		root = next
	}
	return &Manifest{root: root}, nil
}

// added returns d with a new file. header is the digest of d itself.
func (d *Dir) added(name string, header Digest, edit Edit) (*Dir, error) {
	list := slices.Clone(d.list())
	i, there := slices.BinarySearchFunc(list, name, func(e Entry, name string) int { return strings.Compare(e.Name, name) })
	if there || strings.Contains(name, "/") {
		return nil, ErrUnlike
	}
	head := Header{Mode: 0o644, Size: int64(len(edit.Text))}
	list = slices.Insert(list, i, Entry{
		Name: name, Mode: head.Mode, Size: head.Size, Modified: edit.Modified, Data: checksum(edit.Text), Digest: head.DigestOf(edit.Text),
	})
	return &Dir{digest: directoryDigest(header, list), source: entries(list)}, nil
}

// edited returns d with a file edited, or d if it does not have the file. header is the
// digest of d itself.
func (d *Dir) edited(name string, header Digest, edit Edit) (*Dir, error) {
	first, rest, deep := strings.Cut(name, "/")
	list := slices.Clone(d.list())
	e := find(list, first)
	switch {
	case e == nil:
		return d, nil
	case deep && e.Dir != nil:
		dir, err := e.Dir.edited(rest, e.Digest, edit)
		if err != nil {
			return nil, err
		}
		e.Dir = dir
	case !deep && e.Mode.IsRegular() && !e.links:
		head := Header{Mode: e.Mode, Size: int64(len(edit.Was))}
		if head.DigestOf(edit.Was) != e.Digest {
			return nil, ErrUnlike
		}
		head.Size = int64(len(edit.Text))
		e.Size, e.Modified, e.Data, e.Digest = head.Size, edit.Modified, checksum(edit.Text), head.DigestOf(edit.Text)
	default:
		return nil, ErrUnlike
	}
	return &Dir{digest: directoryDigest(header, list), source: entries(list)}, nil
}
