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

// An editedFS shows a directory with other texts in some of its files, and with
// files that it does not have. The directory on disk is left alone.
type editedFS struct {
	fsutil.FS
	replaced, added map[string][]byte // by path below the directory
}

var _ fsutil.FS = editedFS{}

// openContext opens a local context with those of the edits that lie in it. They are
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

// Walk implements [fsutil.FS]. Files that were added come where the walk, which
// goes by the names in each directory, would have met them.
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
	emit := func(before string) error {
		for len(pending) > 0 && (before == "" || byWalk(pending[0], before) < 0) {
			name := pending[0]
			pending = pending[1:]
			// SkipDir from a file would be about the directory: there is nothing
			// to skip for one that was added.
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

// textEntry is the entry of a file with this text, with the mode and owner of the
// one that it replaces.
func textEntry(name string, text []byte, like *types.Stat) gofs.DirEntry {
	stat := &types.Stat{Mode: 0o644}
	if like != nil {
		stat = like.Clone()
	}
	stat.Path, stat.Linkname = name, ""
	stat.Size, stat.ModTime = int64(len(text)), TextTime(text).UnixNano()
	return &fsutil.DirEntryInfo{Stat: stat}
}

func below(name, dir string) bool {
	return strings.HasPrefix(name, dir+string(os.PathSeparator))
}

// byWalk orders paths as a walk meets them.
func byWalk(a, b string) int {
	zero := func(s string) string { return strings.ReplaceAll(s, string(os.PathSeparator), "\x00") }
	return strings.Compare(zero(a), zero(b))
}
