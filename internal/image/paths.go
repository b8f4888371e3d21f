package image

import (
	"path"
	"strings"
)

// Bounds of what is kept in memory. They are much larger than real images need, of which the largest public ones have
// some 300,000 paths, and small enough that a malicious image cannot exhaust it.
const (
	maxPaths   = 3_000_000
	maxEntries = 4_000_000 // of all layers together
	maxName    = 4096      // bytes: PATH_MAX of Linux
)

// root is the number of the root directory.
const root int32 = 0

// paths numbers all paths that occur in an image. It stores them as a tree. A path has a higher number than the
// directory that it is in.
type paths struct {
	nodes []pathNode // by number
	index map[pathKey]int32
	// The last directory is remembered, because the entries of a directory usually follow each other.
	lastDir  string
	lastNode int32
}

type pathKey struct {
	parent int32
	name   string // of one element
}

type pathNode struct {
	parent int32  // -1 for the root
	child  int32  // the child that was added last; 0 for none
	beside int32  // the child of the same parent that was added before this one; 0 for none
	name   string // of one element
}

func newPaths() *paths {
	return &paths{nodes: []pathNode{{parent: -1}}, index: map[pathKey]int32{}}
}

// add returns the number of a path, which is clean and relative to the root; "" is the root itself.
func (p *paths) add(name string) int32 {
	if name == "" {
		return root
	}
	dir, base := "", name
	if cut := strings.LastIndexByte(name, '/'); cut >= 0 {
		dir, base = name[:cut], name[cut+1:]
	}
	at := p.lastNode
	if dir != p.lastDir {
		at = p.addDir(dir)
		p.lastDir, p.lastNode = strings.Clone(dir), at
	}
	return p.kid(at, base)
}

// addDir returns the number of a directory. It is not recursive, since malicious paths may be deep.
func (p *paths) addDir(dir string) int32 {
	at := root
	for part := range strings.SplitSeq(dir, "/") {
		if part != "" {
			at = p.kid(at, part)
		}
	}
	return at
}

// kid returns the number of a path in the directory parent, and adds it if it is new.
func (p *paths) kid(parent int32, name string) int32 {
	if at, ok := p.index[pathKey{parent, name}]; ok {
		return at
	}
	name = strings.Clone(name) // so that the header that it is a part of can be freed
	at := int32(len(p.nodes))
	p.nodes = append(p.nodes, pathNode{parent: parent, name: name, beside: p.nodes[parent].child})
	p.nodes[parent].child = at
	p.index[pathKey{parent, name}] = at
	return at
}

// find returns the number of a path, which is not the root, or -1 if it does not occur.
func (p *paths) find(name string) int32 {
	at := root
	for part := range strings.SplitSeq(name, "/") {
		next, ok := p.index[pathKey{at, part}]
		if !ok {
			return -1
		}
		at = next
	}
	return at
}

// name returns the path with a number, relative to the root and slash-separated; "." is the root itself.
func (p *paths) name(at int32) string {
	if at == root {
		return "."
	}
	var parts []string
	for ; at != root; at = p.nodes[at].parent {
		parts = append(parts, p.nodes[at].name)
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString(parts[i])
		if i > 0 {
			b.WriteByte('/')
		}
	}
	return b.String()
}

// clean returns the name of a tar header as a clean path relative to the root. outside reports whether the name leads
// out of the root, which engines refuse; rel is inside nevertheless.
func clean(name string) (rel string, outside bool) {
	relative := path.Clean(strings.TrimLeft(name, "/"))
	outside = relative == ".." || strings.HasPrefix(relative, "../")
	return strings.TrimPrefix(path.Clean("/"+name), "/"), outside
}
