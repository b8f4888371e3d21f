package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxLinks is how many links are followed on the way to a path (containerd:
// continuity/fs.RootPath).
const maxLinks = 255

// A tree is the file system of an image while its layers are applied. It follows
// what containerd does to a directory (pkg/archive/tar.go), and the image
// specification where that is said to be wrong: a whiteout is about the layers
// below, wherever in its layer it stands.
type tree struct {
	root  *node
	layer int // the one that is being applied, from 1
}

// A node is a name in the tree.
type node struct {
	inode    *inode
	layer    int // that wrote it last
	children map[string]*node
}

// An inode is what several names may share.
type inode struct {
	attrs  *attrs
	shared bool // there is, or was, another name
}

func newTree() *tree { return &tree{root: &node{inode: implied()}} }

// implied is a directory that no layer says anything of.
func implied() *inode { return &inode{attrs: &attrs{kind: Directory, mode: 0o755}} }

func (n *node) dir() bool { return n.inode.attrs.kind == Directory }

func (n *node) set(name string, child *node) {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	n.children[name] = child
}

// apply puts a layer on top.
func (t *tree) apply(l *layer) error {
	t.layer++
	for _, e := range l.entries {
		if err := t.one(e); err != nil {
			return fmt.Errorf("%q: %w", e.name, err)
		}
	}
	return nil
}

func (t *tree) one(e entry) error {
	if e.do == empty {
		dir, err := t.open(e.name, 0)
		if err != nil {
			return err
		}
		for name, child := range dir.children {
			if !t.keeps(child) {
				delete(dir.children, name)
			}
		}
		return nil
	}
	folder, base := split(e.name)
	by := t.layer
	if e.do == remove {
		by = 0 // a folder that is made only to remove something from it is nobody's
	}
	dir, err := t.open(folder, by)
	if err != nil {
		return err
	}
	there := dir.children[base]
	switch e.do {
	case remove:
		if there != nil && !t.keeps(there) {
			delete(dir.children, base)
		}
	case link:
		return t.link(dir, base, e)
	case put:
		n := &node{inode: &inode{attrs: e.attrs}, layer: t.layer}
		if there != nil && there.dir() && n.dir() {
			n.children = there.children
		}
		dir.set(base, n)
	}
	return nil
}

// link gives a file another name. Mode and owner are those of the file, and so
// the link's own header sets them for all its names (containerd: createTarFile).
func (t *tree) link(dir *node, base string, e entry) error {
	folder, from := split(e.target)
	other, err := t.open(folder, t.layer)
	if err != nil {
		return err
	}
	target := other.children[from]
	switch {
	case target == nil || target.dir():
		return fmt.Errorf("there is no file %q that it could be a link to", e.target)
	case target == dir.children[base]:
		return nil
	}
	attrs := *target.inode.attrs
	attrs.uid, attrs.gid, attrs.xattrs = e.attrs.uid, e.attrs.gid, cmp.Or(e.attrs.xattrs, attrs.xattrs)
	if attrs.kind != Symlink {
		attrs.mode = e.attrs.mode
	}
	target.inode.attrs, target.inode.shared = &attrs, true
	dir.set(base, &node{inode: target.inode, layer: t.layer})
	return nil
}

// keeps removes from below n what lower layers put there, and reports whether
// anything of the layer being applied is left.
func (t *tree) keeps(n *node) bool {
	kept := n.layer == t.layer
	for name, child := range n.children {
		if t.keeps(child) {
			kept = true
		} else {
			delete(n.children, name)
		}
	}
	return kept
}

// A place is a directory, and how many bytes the path to it has.
type place struct {
	node *node
	size int
}

// open returns the directory at a path, following links that stay in the image
// whatever they say, and makes what is missing, as the layer's.
func (t *tree) open(name string, layer int) (*node, error) {
	stack := []place{{node: t.root}}
	todo := elements(name)
	for links := 0; len(todo) > 0; {
		at := todo[0]
		todo = todo[1:]
		here := stack[len(stack)-1]
		if at == ".." {
			stack = stack[:max(len(stack)-1, 1)]
			continue
		}
		next := here.node.children[at]
		switch {
		case next == nil:
			next = &node{inode: implied(), layer: layer}
			here.node.set(at, next)
		case next.inode.attrs.kind == Symlink:
			links++
			if links > maxLinks {
				return nil, fmt.Errorf("too many links on the way to %q", name)
			}
			to := next.inode.attrs.link
			if strings.HasPrefix(to, "/") {
				stack = stack[:1]
			}
			todo = append(elements(to), todo...)
			continue
		case !next.dir():
			return nil, fmt.Errorf("%q lies below a file", name)
		}
		size := here.size + 1 + len(at)
		if size > maxPath { // links make longer ones of short ones
			return nil, fmt.Errorf("%q leads to a path of more than %d bytes", name, maxPath)
		}
		stack = append(stack, place{next, size})
	}
	return stack[len(stack)-1].node, nil
}

// elements returns the names in a path.
func elements(name string) []string {
	return slices.DeleteFunc(strings.Split(name, "/"), func(s string) bool { return s == "" || s == "." })
}

func split(name string) (dir, base string) {
	i := strings.LastIndexByte(name, '/')
	return name[:max(i, 0)], name[i+1:]
}

// files returns what the tree holds, by path.
func (t *tree) files() []File {
	var list []File
	shared := map[*inode][]int{}
	var visit func(prefix string, n *node)
	visit = func(prefix string, n *node) {
		for _, name := range slices.Sorted(maps.Keys(n.children)) {
			child := n.children[name]
			if child.inode.shared {
				shared[child.inode] = append(shared[child.inode], len(list))
			}
			list = append(list, File{Path: prefix + name, attrs: child.inode.attrs})
			visit(prefix+name+"/", child)
		}
	}
	visit("", t.root)
	for _, names := range shared {
		// By path, each is told by the first of the others: two images with the
		// same of these have the same sets of names.
		slices.SortFunc(names, func(a, b int) int { return strings.Compare(list[a].Path, list[b].Path) })
		for i, at := range names[1:] {
			list[at].Shares = list[names[0]].Path
			if i == 0 {
				list[names[0]].Shares = list[at].Path
			}
		}
	}
	slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return list
}
