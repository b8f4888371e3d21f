package content

import (
	"errors"
	"slices"
	"strings"
)

// ErrUnlike is a file that cannot be taken to hold another text: it does not hold
// what was edited, is no regular file, has several names, or attributes that count.
var ErrUnlike = errors.New("the file is not what was edited")

// An Edit is a text that a file is sent with in place of what it holds.
type Edit struct {
	Was, Text []byte
	Modified  int64 // the time that it is sent with, in nanoseconds
}

// Edited returns the manifest of what is sent where files, by slash-separated path,
// have other texts. What m does not have is not sent with another text either. The
// error is [ErrUnlike].
func (m *Manifest) Edited(edits map[string]Edit) (*Manifest, error) {
	root := m.root
	for name, edit := range edits {
		next, err := root.edited(name, root.rootHeader(), edit)
		if err != nil {
			return nil, err
		}
		root = next
	}
	return &Manifest{root: root}, nil
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
