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

// A treeFS shows a directory of a tree to fsutil as fsutil.NewFS would show it
// on disk: the same order, the same stats but for owners and extended attributes, the same
// errors. It makes BuildKit's own filter run without a system call.
type treeFS struct {
	top  *directory
	root string // on disk, for Open
}

var _ fsutil.FS = (*treeFS)(nil)

// Walk calls fn as filepath.WalkDir would, leaving out the root (fsutil:
// fs.Walk).
func (t *treeFS) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	w := &treeWalk{ctx: ctx, fn: fn, seen: map[uint64]*treeDirEntry{}}
	target = strings.TrimPrefix(path.Clean(filepath.ToSlash(target)), "/")
	if target == "." || target == "" {
		return unlessSkip(w.children(t.top, ""))
	}
	it, ok := (&Tree{top: t.top}).find(target)
	if !ok && t.behindLink(target) {
		// The system follows links on the way, wherever they lead.
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

// behindLink reports whether a directory on the way to target is a link.
func (t *treeFS) behindLink(target string) bool {
	for dir := path.Dir(target); dir != "."; dir = path.Dir(dir) {
		if it, ok := (&Tree{top: t.top}).find(dir); ok {
			return it.mode&fs.ModeSymlink != 0
		}
	}
	return false
}

func (t *treeFS) Open(name string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(t.root, name))
}

// unlessSkip drops the errors that only steer a walk.
func unlessSkip(err error) error {
	if err == filepath.SkipDir || err == filepath.SkipAll {
		return nil
	}
	return err
}

// skipMissing passes over what vanished (fsutil: fs.Walk).
func skipMissing(err error) error {
	if err != nil && missing(err) {
		return filepath.SkipDir
	}
	return err
}

type treeWalk struct {
	ctx  context.Context // of one walk
	fn   fs.WalkDirFunc
	seen map[uint64]*treeDirEntry // by inode: the first name that was looked at
}

// visit calls fn for it and what is below it.
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

func (w *treeWalk) children(d *directory, prefix string) error {
	for i := range d.entries {
		it := d.item(i)
		if err := w.visit(it, prefix+it.name); err != nil {
			return err
		}
	}
	return nil
}

// A treeDirEntry makes its stat when it is asked for one: which name of a file
// with several counts as the first depends on which are looked at (fsutil:
// setUnixOpt).
type treeDirEntry struct {
	item
	path string
	walk *treeWalk
	made *types.Stat
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
		// The count of either name will do: no event tells that the other
		// name's count has changed.
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
