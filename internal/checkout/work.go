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

// A Work has the files of a work tree that git tracks.
type Work struct {
	root       string
	files      map[string]git.IndexFile // by path, relative to root
	folders    map[string]bool          // those that have tracked files, at any depth
	trustModes bool                     // the file system has executable bits: core.fileMode
}

// OpenWork reads the index of repo, and of its submodules.
func OpenWork(ctx context.Context, repo *git.Repo) (*Work, error) {
	w := &Work{
		root: repo.Root(), files: map[string]git.IndexFile{}, folders: map[string]bool{".": true}, trustModes: repo.TrustsModes(ctx),
	}
	return w, w.add(ctx, repo, "", (*git.Repo).Index)
}

// OpenNames is OpenWork for what only asks which files are tracked, in a third of the calls of git.
func OpenNames(ctx context.Context, repo *git.Repo) (*Work, error) {
	w := &Work{root: repo.Root(), files: map[string]git.IndexFile{}, folders: map[string]bool{".": true}}
	return w, w.add(ctx, repo, "", (*git.Repo).Tracked)
}

// add adds what list gives of repo, with prefix in front of paths.
func (w *Work) add(ctx context.Context, repo *git.Repo, prefix string, list func(*git.Repo, context.Context) ([]git.IndexFile, error)) error {
	files, err := list(repo, ctx)
	if err != nil {
		return err
	}
	for _, f := range files {
		f.Path = prefix + f.Path
		w.files[f.Path] = f
		for dir := path.Dir(f.Path); !w.folders[dir]; dir = path.Dir(dir) {
			w.folders[dir] = true
		}
		if f.Mode != git.ModeSubmodule {
			continue
		}
		if sub, ok := submodule(ctx, repo, w.root, f.Path); ok {
			if err := w.add(ctx, sub, f.Path+"/", list); err != nil {
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

// size returns the size on disk of a file if, according to the index, it is the object id. The
// object may have another size, because of a filter (autocrlf, Git LFS, git-crypt). ok is
// false if it is not that object, or w is nil.
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

// SameContent reports whether the regular file at name has the same content on disk as in c,
// which must have it. It reads the file unless the index says that it did not change. CRLF
// counts as LF, as core.autocrlf may write it, and a pointer of Git LFS as the file that it
// refers to.
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

// SameMode reports whether mode is the one of the file at name in c, as far as git knows: it
// only stores whether a file is executable. If the file system has no executable bits, the
// mode in the index counts in place of mode.
func (w *Work) SameMode(c *Checkout, name string, mode fs.FileMode) bool {
	if !w.trustModes {
		tracked, ok := w.files[name]
		return !ok || tracked.Mode == c.files[name].Mode
	}
	return mode&0o100 != 0 == (c.files[name].Mode == git.ModeExecutable)
}

// Same reports whether the file at name has the same content in c and in other.
func (c *Checkout) Same(other *Checkout, name string) bool {
	return c.files[name].OID == other.files[name].OID
}

// objectID returns the object id of a blob with a text. It uses the same hash as like, which is
// another id.
func objectID(like string, text []byte) string {
	var h hash.Hash = sha1.New()
	if len(like) == hex.EncodedLen(sha256.Size) {
		h = sha256.New()
	}
	fmt.Fprintf(h, "blob %d\x00", len(text))
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil))
}
