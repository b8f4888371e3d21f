package content

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
)

// ErrUnlike is a file that cannot be taken to hold another text: it does not hold
// what was edited, is no regular file, has several names, or attributes that count.
var ErrUnlike = errors.New("the file is not what was edited")

// An Edit is a text that a file is sent with in place of what it holds, or nil where
// there is none.
type Edit struct {
	Was, Text []byte
	Modified  int64 // the time that it is sent with, in nanoseconds
}

// Edited returns the manifest of what is sent where files, by slash-separated path,
// have other texts. One that is there and m does not have is not sent with another
// text either; one that is not is added to the root. The error is [ErrUnlike].
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

// added returns d, which has this header, with one more plain file.
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

// edited returns d, which has this header, with a file edited.
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
