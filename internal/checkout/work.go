package checkout

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/stokerd/stoker/internal/git"
)

// A Work is what git tracks of a work tree.
type Work struct {
	root       string
	files      map[string]git.IndexFile
	folders    map[string]bool // that hold a file that is tracked
	trustModes bool
}

// OpenWork reads the index of repo, and of its submodules.
func OpenWork(ctx context.Context, repo *git.Repo) (*Work, error) {
	w := &Work{
		root: repo.Root(), files: map[string]git.IndexFile{}, folders: map[string]bool{".": true}, trustModes: repo.TrustsModes(ctx),
	}
	return w, w.add(ctx, repo, "")
}

func (w *Work) add(ctx context.Context, repo *git.Repo, prefix string) error {
	list, err := repo.Index(ctx)
	if err != nil {
		return err
	}
	for _, f := range list {
		f.Path = prefix + f.Path
		w.files[f.Path] = f
		for dir := path.Dir(f.Path); !w.folders[dir]; dir = path.Dir(dir) {
			w.folders[dir] = true
		}
		if f.Mode != git.ModeSubmodule {
			continue
		}
		if sub, ok := submodule(ctx, repo, w.root, f.Path); ok {
			if err := w.add(ctx, sub, f.Path+"/"); err != nil {
				return err
			}
		}
	}
	return nil
}

// Tracks reports whether git tracks the file at name, relative to the repository.
func (w *Work) Tracks(name string) bool { _, ok := w.files[name]; return ok }

// TracksBelow reports whether git tracks any file in the folder at name.
func (w *Work) TracksBelow(name string) bool { return w.folders[name] }

// size returns the size on disk of a file that is the object id, as far as the
// index knows: a filter (autocrlf, Git LFS, git-crypt) may have changed it.
func (w *Work) size(name, id string) (int64, bool) {
	if w == nil {
		return 0, false
	}
	f, ok := w.files[name]
	if !ok || f.OID != id {
		return 0, false
	}
	disk, err := os.Lstat(w.path(name))
	if err != nil || !f.Unchanged(disk) {
		return 0, false
	}
	return disk.Size(), true
}

func (w *Work) path(name string) string { return filepath.Join(w.root, filepath.FromSlash(name)) }

// SameContent reports whether the regular file at name is on disk what it is in
// c: by the index where that knows, else by its bytes. Line endings as
// core.autocrlf may leave them count as equal, and so does the file behind a
// pointer of Git LFS.
func (w *Work) SameContent(c *Checkout, name string) (bool, error) {
	f := c.files[name]
	disk, err := os.Lstat(w.path(name))
	if err != nil {
		return false, fmt.Errorf("compare %s with commit %.7s: %w", name, c.Commit, err)
	}
	if tracked, ok := w.files[name]; ok && tracked.Unchanged(disk) {
		return tracked.OID == f.OID, nil
	}
	text, err := os.ReadFile(w.path(name))
	if err != nil {
		return false, fmt.Errorf("compare %s with commit %.7s: %w", name, c.Commit, err)
	}
	if f.lfs != nil {
		sum := sha256.Sum256(text)
		return hex.EncodeToString(sum[:]) == f.lfs.sha256, nil
	}
	return objectID(f.OID, text) == f.OID ||
		objectID(f.OID, bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))) == f.OID, nil
}

// SameMode reports whether mode is what git has of the file at name in c: it
// knows only whether a file is executable, and on some systems not even that.
func (w *Work) SameMode(c *Checkout, name string, mode fs.FileMode) bool {
	if !w.trustModes {
		tracked, ok := w.files[name]
		return !ok || tracked.Mode == c.files[name].Mode
	}
	return mode&0o100 != 0 == (c.files[name].Mode == git.ModeExecutable)
}

// Same reports whether the file at name is one object in c and in other.
func (c *Checkout) Same(other *Checkout, name string) bool {
	return c.files[name].OID == other.files[name].OID
}

// objectID returns the id of a blob, by the kind of hash that like has.
func objectID(like string, text []byte) string {
	var h hash.Hash = sha1.New()
	if len(like) == hex.EncodedLen(sha256.Size) {
		h = sha256.New()
	}
	fmt.Fprintf(h, "blob %d\x00", len(text))
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil))
}
