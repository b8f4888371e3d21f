package image

import (
	"path"
	"strings"
)

// Bounds of what is kept in memory, far beyond real images (the largest public ones have some 300,000 paths), and
// small enough that a hostile one cannot fill it.
const (
	maxPaths   = 3_000_000
	maxEntries = 4_000_000 // of all layers together
	maxName    = 4096      // PATH_MAX of Linux
)

const root int32 = 0

// paths holds every path that occurs in an image once, as a tree, so that a path is a number.
type paths struct {
	nodes []pathNode
	index map[pathKey]int32
	// Entries of a directory follow each other, so the last one is remembered.
	lastDir  string
	lastNode int32
}

type pathKey struct {
	parent int32
	name   string
}

type pathNode struct {
	parent        int32
	child, beside int32 // the newest child, the next older one of the same parent; 0 for none
	name          string
}

func newPaths() *paths {
	return &paths{nodes: []pathNode{{parent: -1}}, index: map[pathKey]int32{}}
}

// add returns the number of a clean path relative to the root; "" is the root itself.
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

// addDir adds each directory on the way: a loop, since hostile paths are deep.
func (p *paths) addDir(dir string) int32 {
	at := root
	for part := range strings.SplitSeq(dir, "/") {
		if part != "" {
			at = p.kid(at, part)
		}
	}
	return at
}

func (p *paths) kid(parent int32, name string) int32 {
	if at, ok := p.index[pathKey{parent, name}]; ok {
		return at
	}
	name = strings.Clone(name) // not the whole header that it was cut out of
	at := int32(len(p.nodes))
	p.nodes = append(p.nodes, pathNode{parent: parent, name: name, beside: p.nodes[parent].child})
	p.nodes[parent].child = at
	p.index[pathKey{parent, name}] = at
	return at
}

// find returns the number of a path, -1 if it does not occur.
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

// name spells a path, relative and slash separated; "." is the root.
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

// clean makes a name of a tar header relative to the root. outside reports that it would lead out of it, which
// engines refuse.
func clean(name string) (rel string, outside bool) {
	relative := path.Clean(strings.TrimLeft(name, "/"))
	outside = relative == ".." || strings.HasPrefix(relative, "../")
	return strings.TrimPrefix(path.Clean("/"+name), "/"), outside
}
