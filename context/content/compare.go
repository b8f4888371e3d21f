package content

import (
	"io/fs"
	"iter"
)

// A Change is what differs of a file between two manifests.
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
		left = a.list()
	}
	if b != nil {
		right = b.list()
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
