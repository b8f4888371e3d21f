package content

import "strings"

// A FileAt is a file of a manifest that a test makes.
type FileAt struct {
	Path  string
	Entry Entry
}

// NewManifest returns the manifest of files that come in the order of a walk.
func NewManifest(files []FileAt) *Manifest {
	var dir func(prefix string) []Entry
	dir = func(prefix string) []Entry {
		var list []Entry
		for len(files) > 0 && strings.HasPrefix(files[0].Path, prefix) {
			f := files[0]
			files = files[1:]
			f.Entry.Name = f.Path[len(prefix):]
			if f.Entry.Mode.IsDir() {
				below := dir(f.Path + "/")
				f.Entry.Dir = &Dir{digest: directoryDigest(f.Entry.Digest, below), source: entries(below)}
			}
			list = append(list, f.Entry)
		}
		return list
	}
	root := &Dir{source: entries(dir(""))}
	root.digest = directoryDigest(root.rootHeader(), root.list())
	return &Manifest{root: root}
}

// Empty reports whether nothing is in m.
func (m *Manifest) Empty() bool { return len(m.root.list()) == 0 }
