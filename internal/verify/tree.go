package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxLinks is how many symbolic links are followed to resolve a path, as many as
// containerd follows (continuity/fs.RootPath).
const maxLinks = 255

// A tree is the file system of an image while its layers are applied. It does what
// containerd does in a directory (pkg/archive/tar.go), except where the image
// specification says otherwise: a whiteout hides only what lower layers have, no
// matter where in its own layer it comes.
type tree struct {
	root  *node
	layer int // the number of the layer that is being applied, from 1
}

// A node is a name in the tree.
type node struct {
	inode    *inode
	layer    int // the last one that wrote it; 0 for a directory that none did
	children map[string]*node
}

// An inode is a file, which may have several names.
type inode struct {
	attrs  *attrs
	shared bool // it has, or had, several names
}

func newTree() *tree { return &tree{root: &node{inode: implied()}} }

// implied returns a directory that no layer has an entry for.
func implied() *inode { return &inode{attrs: &attrs{kind: Directory, mode: 0o755}} }

func (n *node) dir() bool { return n.inode.attrs.kind == Directory }

func (n *node) set(name string, child *node) {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	n.children[name] = child
}

// apply applies a layer on top of those before.
func (t *tree) apply(l *layer) error {
	t.layer++
	for _, e := range l.entries {
		if err := t.applyEntry(e); err != nil {
			return fmt.Errorf("%q: %w", e.name, err)
		}
	}
	return nil
}

func (t *tree) applyEntry(e entry) error {
	if e.do == empty {
		dir, err := t.openDir(e.name, 0)
		if err != nil {
			return err
		}
		t.removeLower(dir)
		return nil
	}
	folder, base := split(e.name)
	by := t.layer
	if e.do == remove {
		by = 0 // a whiteout does not write the folder that it is in
	}
	dir, err := t.openDir(folder, by)
	if err != nil {
		return err
	}
	there := dir.children[base]
	switch e.do {
	case remove:
		if there != nil && !t.removeLower(there) {
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

// link adds base in dir as another name of the file e.target. All names of a file have
// the same mode and owner, so those in the header of the link apply to all of them
// (containerd: createTarFile).
func (t *tree) link(dir *node, base string, e entry) error {
	folder, from := split(e.target)
	other, err := t.openDir(folder, t.layer)
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

// removeLower removes what lower layers wrote below n. It reports whether the layer that
// is being applied wrote n or anything below it.
func (t *tree) removeLower(n *node) (written bool) {
	written = n.layer == t.layer
	for name, child := range n.children {
		if t.removeLower(child) {
			written = true
		} else {
			delete(n.children, name)
		}
	}
	return written
}

// A place is a directory, and the length in bytes of the path to it.
type place struct {
	node *node
	size int
}

// openDir returns the directory at a path. It makes directories that are missing, as
// written by layer. Symbolic links are resolved as if the image's root were that of the
// file system, so that none leads out of it.
func (t *tree) openDir(name string, layer int) (*node, error) {
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
		if size > maxPath { // links can make a long path of a short one
			return nil, fmt.Errorf("%q leads to a path of more than %d bytes", name, maxPath)
		}
		stack = append(stack, place{next, size})
	}
	return stack[len(stack)-1].node, nil
}

// elements returns the names that a path consists of, which may be "..".
func elements(name string) []string {
	return slices.DeleteFunc(strings.Split(name, "/"), func(s string) bool { return s == "" || s == "." })
}

// split splits a path at its last slash, which is in neither part.
func split(name string) (dir, base string) {
	i := strings.LastIndexByte(name, '/')
	return name[:max(i, 0)], name[i+1:]
}

// files returns the files and directories of the tree, sorted by path.
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
		// Shares of each name is the first one of the others. If it is equal for all
		// paths of two images, they have the same sets of hard links.
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
