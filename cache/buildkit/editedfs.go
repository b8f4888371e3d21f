package buildkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	gofs "io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

// An editedFS is a directory in which some files have other contents than on disk, and others
// exist that are not on disk.
type editedFS struct {
	fsutil.FS
	replaced, added map[string][]byte // by path below the directory
}

var _ fsutil.FS = editedFS{}

// openContext opens a local context with those of the edits that are in it. edits has contents
// by absolute path.
func openContext(dir string, edits map[string][]byte) (fsutil.FS, error) {
	fs, err := fsutil.NewFS(dir)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	e := editedFS{FS: fs, replaced: map[string][]byte{}, added: map[string][]byte{}}
	for name, text := range edits {
		into := e.replaced
		real, err := filepath.EvalSymlinks(name)
		if errors.Is(err, gofs.ErrNotExist) {
			into = e.added
			if real, err = filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
				real = filepath.Join(real, filepath.Base(name))
			}
		}
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", name, err)
		}
		if rel, err := filepath.Rel(dir, real); err == nil && filepath.IsLocal(rel) {
			into[rel] = text
		}
	}
	if len(e.replaced)+len(e.added) == 0 {
		return fs, nil
	}
	return e, nil
}

// Walk implements [fsutil.FS]. It comes to added files in the order in which a walk would if
// they were on disk.
func (e editedFS) Walk(ctx context.Context, target string, fn gofs.WalkDirFunc) error {
	root := strings.Trim(filepath.Clean(filepath.FromSlash(target)), string(filepath.Separator))
	if text, ok := e.added[root]; ok {
		return fn(root, textEntry(root, text, nil), nil)
	}
	var pending []string
	for name := range e.added {
		if root == "." || root == "" || below(name, root) {
			pending = append(pending, name)
		}
	}
	slices.SortFunc(pending, byWalk)
	// emit walks the added files that come before this path, or all that are left for "".
	emit := func(before string) error {
		for len(pending) > 0 && (before == "" || byWalk(pending[0], before) < 0) {
			name := pending[0]
			pending = pending[1:]
			// SkipDir for a file would skip the rest of its directory, of which an added file
			// is no part: it is ignored.
			if err := fn(name, textEntry(name, e.added[name], nil), nil); err != nil && !errors.Is(err, filepath.SkipDir) {
				return err
			}
		}
		return nil
	}
	err := e.FS.Walk(ctx, target, func(name string, d gofs.DirEntry, walkErr error) error {
		if err := emit(name); err != nil {
			return err
		}
		if text, ok := e.replaced[name]; ok && walkErr == nil {
			info, err := d.Info()
			if err != nil {
				return err
			}
			if stat, ok := info.Sys().(*types.Stat); ok {
				d = textEntry(name, text, stat)
			}
		}
		err := fn(name, d, walkErr)
		if errors.Is(err, filepath.SkipDir) && d != nil && d.IsDir() {
			pending = slices.DeleteFunc(pending, func(p string) bool { return below(p, name) })
		}
		return err
	})
	if err != nil {
		return err
	}
	return emit("")
}

// Open implements [fsutil.FS].
func (e editedFS) Open(name string) (io.ReadCloser, error) {
	for _, files := range []map[string][]byte{e.replaced, e.added} {
		if text, ok := files[filepath.Clean(filepath.FromSlash(name))]; ok {
			return io.NopCloser(bytes.NewReader(text)), nil
		}
	}
	return e.FS.Open(name)
}

// textEntry returns the entry of a file with this text. It has mode and owner of like, the file
// that it replaces, or the defaults if that is nil.
func textEntry(name string, text []byte, like *types.Stat) gofs.DirEntry {
	stat := &types.Stat{Mode: 0o644}
	if like != nil {
		stat = like.Clone()
	}
	stat.Path, stat.Linkname = name, ""
	stat.Size, stat.ModTime = int64(len(text)), TextTime(text).UnixNano()
	return &fsutil.DirEntryInfo{Stat: stat}
}

// below reports whether name is a path below dir.
func below(name, dir string) bool {
	return strings.HasPrefix(name, dir+string(os.PathSeparator))
}

// byWalk compares paths in the order of a walk, in which the separator comes before all other
// characters.
func byWalk(a, b string) int {
	zero := func(s string) string { return strings.ReplaceAll(s, string(os.PathSeparator), "\x00") }
	return strings.Compare(zero(a), zero(b))
}
