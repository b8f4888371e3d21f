package buildctx

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

// A treeFS presents a directory of a tree to fsutil as fsutil.NewFS presents one on
// disk: in the same order, with the same errors, and with the same stats apart from
// owners and extended attributes. BuildKit's own code can then run over a tree without
// system calls.
type treeFS struct {
	top  *directory
	root string // on disk, for Open
}

var _ fsutil.FS = (*treeFS)(nil)

// Walk calls fn for target and what is below it as filepath.WalkDir would, except for
// the root itself (fsutil: fs.Walk).
func (t *treeFS) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	w := &treeWalk{ctx: ctx, fn: fn, seen: map[uint64]*treeDirEntry{}}
	target = strings.TrimPrefix(path.Clean(filepath.ToSlash(target)), "/")
	if target == "." || target == "" {
		return unlessSkip(w.children(t.top, ""))
	}
	it, ok := (&Tree{top: t.top}).find(target)
	if !ok && t.behindLink(target) {
		// The operating system follows links in a path, wherever they lead.
		disk, err := fsutil.NewFS(t.root)
		if err != nil {
			return err
		}
		return disk.Walk(ctx, filepath.FromSlash(target), fn)
	}
	if !ok {
		err := &fs.PathError{Op: "lstat", Path: target, Err: fs.ErrNotExist}
		return unlessSkip(skipMissing(fn(filepath.FromSlash(target), nil, err)))
	}
	return unlessSkip(w.visit(it, target))
}

// behindLink reports whether a parent of target is a symbolic link.
func (t *treeFS) behindLink(target string) bool {
	for dir := path.Dir(target); dir != "."; dir = path.Dir(dir) {
		if it, ok := (&Tree{top: t.top}).find(dir); ok {
			return it.mode&fs.ModeSymlink != 0
		}
	}
	return false
}

// Open opens the file at name on disk.
func (t *treeFS) Open(name string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(t.root, name))
}

// unlessSkip returns err, or nil if it is one that only steers a walk.
func unlessSkip(err error) error {
	if err == filepath.SkipDir || err == filepath.SkipAll {
		return nil
	}
	return err
}

// skipMissing turns the error of a file that disappeared during the walk into SkipDir
// (fsutil: fs.Walk).
func skipMissing(err error) error {
	if err != nil && missing(err) {
		return filepath.SkipDir
	}
	return err
}

// A treeWalk is one call of [treeFS.Walk].
type treeWalk struct {
	ctx  context.Context // of that call
	fn   fs.WalkDirFunc
	seen map[uint64]*treeDirEntry // by inode: the first name whose Info was called
}

// visit calls fn for the item at the path name, and for what is below it.
func (w *treeWalk) visit(it item, name string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	d := &treeDirEntry{item: it, path: name, walk: w}
	if err := skipMissing(w.fn(filepath.FromSlash(name), d, nil)); err != nil || it.dir == nil {
		if err == filepath.SkipDir && it.dir != nil {
			err = nil
		}
		return err
	}
	if err := it.dir.err(); err != nil {
		if err := skipMissing(w.fn(filepath.FromSlash(name), d, err)); err != nil {
			if err == filepath.SkipDir {
				err = nil
			}
			return err
		}
	}
	err := w.children(it.dir, name+"/")
	if err == filepath.SkipDir {
		err = nil
	}
	return err
}

// children visits the entries of d, whose path with a slash at its end is prefix.
func (w *treeWalk) children(d *directory, prefix string) error {
	for i := range d.entries {
		it := d.item(i)
		if err := w.visit(it, prefix+it.name); err != nil {
			return err
		}
	}
	return nil
}

// A treeDirEntry makes its stat when Info is called, and not before: of a file with
// several names, the first one whose Info is called counts as the file, the others as
// links to it (fsutil: setUnixOpt).
type treeDirEntry struct {
	item
	path string
	walk *treeWalk
	made *types.Stat // nil before the first call of Info
}

func (d *treeDirEntry) Name() string      { return d.item.name }
func (d *treeDirEntry) IsDir() bool       { return d.mode.IsDir() }
func (d *treeDirEntry) Type() fs.FileMode { return d.mode.Type() }

func (d *treeDirEntry) Info() (fs.FileInfo, error) {
	if d.made != nil {
		return &fsutil.StatInfo{Stat: d.made}, nil
	}
	st := &types.Stat{
		Path: filepath.FromSlash(d.path), Mode: uint32(d.mode &^ fs.ModeSocket), Size: d.size,
		ModTime: d.mtime, Linkname: d.odd.link,
	}
	if d.mode&fs.ModeDevice != 0 {
		st.Devmajor, st.Devminor = deviceNumbers(d.odd.device)
	}
	if d.mode&(fs.ModeDir|fs.ModeSymlink) == 0 && d.inode != 0 {
		// It is enough if one of the two names was seen to have another: when a
		// name is added, no event refreshes the stat of the others.
		first, ok := d.walk.seen[d.inode]
		switch {
		case ok && (d.linked || first.linked):
			st.Linkname = first.path
		case !ok:
			d.walk.seen[d.inode] = d
		}
	}
	d.made = st
	return &fsutil.StatInfo{Stat: st}, nil
}
