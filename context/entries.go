package buildctx

import (
	"io/fs"
	"path"
)

// NewTree returns a tree of the given entries, which need not be on disk. root is
// an absolute path with links resolved. Of each entry the path, mode, size and
// link target are used; parent directories need no entry of their own. The tree
// is for computing selections: [Tree.Apply] on it would read the disk.
func NewTree(root string, entries []Entry) *Tree {
	a := assembly{".": &parts{dir: &directory{}}}
	for _, e := range entries {
		if e.Mode.IsDir() {
			a.directory(e.Path)
			continue
		}
		parent := a.directory(path.Dir(e.Path))
		parent.list = append(parent.list, draft{
			name: path.Base(e.Path), stat: stat{mode: e.Mode, size: e.Size}, odd: oddity{link: e.Link},
		})
	}
	for _, d := range a {
		d.dir.pack(d.list, nil)
	}
	top := a["."].dir
	return &Tree{root: root, seq: 1, top: top, files: countFiles(top)}
}

// An assembly is a tree under construction: its directories by path.
type assembly map[string]*parts

// parts are a directory and what will be packed into it.
type parts struct {
	dir  *directory
	list []draft
}

// directory returns the directory at name, making it and its parents if needed.
func (a assembly) directory(name string) *parts {
	if d, ok := a[name]; ok {
		return d
	}
	d := &parts{dir: &directory{}}
	a[name] = d
	parent := a.directory(path.Dir(name))
	parent.list = append(parent.list, draft{name: path.Base(name), stat: stat{mode: fs.ModeDir | 0o755}, dir: d.dir})
	return d
}
