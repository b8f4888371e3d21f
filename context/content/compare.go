package content

import (
	"io/fs"
	"iter"
	"slices"
)

// A Change is what of a file differs between two manifests.
type Change string

// The changes.
const (
	Added     Change = "added"
	Removed   Change = "removed"
	Type      Change = "type"    // a file became a directory, a link …
	Link      Change = "link"    // target of a symbolic link
	Device    Change = "device"  // numbers of a device
	Content   Change = "content" // of a regular file
	Mode      Change = "mode"
	Attribute Change = "xattr" // an extended attribute that counts
)

// A Difference is a path that differs between two manifests.
type Difference struct {
	Path string // slash-separated, relative to the context
	// Changes are all that differs, the most telling first. That an attribute
	// changed is only seen where nothing else did.
	Changes       []Change
	Before, After Entry // the zero Entry where there is none
}

// Compare yields what differs from a in b, in the order of a walk, in time that
// follows what differs and the size of the directories that hold it. Of a
// directory that came or went all that is below it is yielded too. Only what
// counts for a digest does: not the time of a file.
func Compare(a, b *Manifest) iter.Seq[Difference] {
	return func(yield func(Difference) bool) { compareDirs("", a.root, b.root, yield) }
}

func compareDirs(prefix string, a, b *Dir, yield func(Difference) bool) bool {
	if a == b || a != nil && b != nil && a.digest == b.digest {
		return true
	}
	var left, right []Entry
	if a != nil {
		left = a.entries
	}
	if b != nil {
		right = b.entries
	}
	for len(left) > 0 || len(right) > 0 {
		var x, y Entry
		if len(right) == 0 || len(left) > 0 && left[0].Name <= right[0].Name {
			x = left[0]
		}
		if len(left) == 0 || len(right) > 0 && right[0].Name <= left[0].Name {
			y, right = right[0], right[1:]
		}
		if x.Name != "" {
			left = left[1:]
		}
		path := prefix + x.Name
		if x.Name == "" {
			path = prefix + y.Name
		}
		if changes := changesOf(&x, &y); len(changes) > 0 && !yield(Difference{path, changes, x, y}) {
			return false
		}
		if !compareDirs(path+"/", x.Dir, y.Dir, yield) {
			return false
		}
	}
	return true
}

// changesOf returns how the entry itself differs, apart from what is in it.
func changesOf(x, y *Entry) []Change {
	switch {
	case x.Name == "":
		return []Change{Added}
	case y.Name == "":
		return []Change{Removed}
	case x.Digest == y.Digest:
		return nil
	case x.sentType() != y.sentType():
		return []Change{Type}
	}
	var list []Change
	if x.Link != y.Link {
		list = append(list, Link)
	}
	if x.sentType() == 0 && (x.Size != y.Size || x.Data != y.Data) {
		list = append(list, Content)
	}
	if permissions(x.Mode) != permissions(y.Mode) {
		list = append(list, Mode)
	}
	switch {
	case len(list) > 0:
		return list
	case x.Mode&fs.ModeDevice != 0:
		return []Change{Device}
	}
	return []Change{Attribute}
}

// sentType is the type that arrives: a socket comes as a file (fsutil: mkstat).
func (e *Entry) sentType() fs.FileMode { return e.Mode.Type() &^ (fs.ModeSocket | fs.ModeIrregular) }

// After returns what a builder has once it, holding sent, was sent m. BuildKit
// asks for a file again only if its size, time, mode or link target differs, and
// never looks again at a directory that stays one (fsutil: sameFile,
// DiskWriter.HandleChange). What else changed is not seen: [Compare] of the
// result with m says what that is. It takes time as Compare does.
func (m *Manifest) After(sent *Manifest) *Manifest {
	entries := m.root.held(sent.root)
	if entries == nil {
		return m
	}
	return &Manifest{root: &Dir{digest: directoryDigest(m.root.rootHeader(), entries), entries: entries}}
}

// held returns d's entries as they are once d was sent to where sent was, nil if
// that is what they are.
func (d *Dir) held(sent *Dir) []Entry {
	var held []Entry
	left := sent.entries
	for i := range d.entries {
		for len(left) > 0 && left[0].Name < d.entries[i].Name {
			left = left[1:]
		}
		if len(left) == 0 || left[0].Name != d.entries[i].Name {
			continue
		}
		if e, other := d.entries[i].held(&left[0]); other {
			if held == nil {
				held = slices.Clone(d.entries)
			}
			held[i] = e
		}
	}
	return held
}

// held returns e as it is once it was sent to where old was, and whether that is
// other than it should be.
func (e Entry) held(old *Entry) (Entry, bool) {
	switch {
	case e.sentType() != old.sentType() || e.whole() == old.whole():
		return e, false
	case e.Dir != nil:
		entries := e.Dir.held(old.Dir)
		if entries == nil && e.Digest == old.Digest {
			return e, false
		}
		if entries == nil {
			entries = e.Dir.entries
		}
		e.Digest, e.Mode = old.Digest, old.Mode
		e.Dir = &Dir{digest: directoryDigest(e.Digest, entries), entries: entries}
		return e, true
	case e.Mode&fs.ModeDevice != 0:
		return e, false // its numbers are looked at
	case e.Size != old.Size || e.Modified != old.Modified || permissions(e.Mode) != permissions(old.Mode) || e.Link != old.Link:
		return e, false
	}
	e.Digest, e.Data = old.Digest, old.Data
	return e, true
}
