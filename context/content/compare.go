package content

import (
	"io/fs"
	"iter"
)

// A Change is one way in which a file differs between two manifests.
type Change string

// The ways in which files differ.
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
	// Changes are all ways in which it differs, the most important first. Attribute
	// is reported only if nothing else explains that the digest differs.
	Changes       []Change
	Before, After Entry // the zero Entry if the file is not in that manifest
}

// Compare yields the differences between before and after, in the order of a walk, with
// everything below a directory that was added or removed. Only what goes into a digest
// is compared, not the time of a file. It looks only into directories in which
// something differs.
func Compare(before, after *Manifest) iter.Seq[Difference] {
	return func(yield func(Difference) bool) { compareDirs("", before.root, after.root, yield) }
}

// compareDirs compares two directories at prefix, of which either may be nil. It
// returns false if yield did.
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

// changesOf returns how y differs from x, apart from what is in a directory. The zero
// Entry stands for a file that is not there.
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

// sentType returns the type of the file as the builder gets it: a socket arrives as a
// regular file (fsutil: mkstat).
func (e *Entry) sentType() fs.FileMode { return e.Mode.Type() &^ (fs.ModeSocket | fs.ModeIrregular) }
