package buildctx

import (
	"io/fs"
	"path"
)

// NewTree returns a tree of what is not on disk: the given entries below root,
// an absolute path with links resolved. Of each, its path, mode, size and link
// target; directories on the way need no entry of their own. It is for trees to
// compute over, not to apply changes to.
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

// An assembly holds the directories of a tree in the making by path.
type assembly map[string]*parts

// parts are a directory and what will be packed into it.
type parts struct {
	dir  *directory
	list []draft
}

// directory returns the directory at name, and makes it if need be.
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
