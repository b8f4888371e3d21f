// Package checkout reads the files of a commit from git's objects, without checking it
// out.
//
// A [Checkout] has the files of one commit, as a tree from which selections can be
// computed, and reads their content. A [Work] has the files that git tracks in the work
// tree, and compares them with a commit. Submodules count as part of the repository if
// they are checked out. Files that Git LFS stores have the size that their pointers say.
// No filters are run, and nothing is fetched (internal/git).
//
// Values are immutable once they are returned, and safe for concurrent use.
package checkout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/git"
)

// A Checkout has the files of a commit.
type Checkout struct {
	Commit string // full object id
	Tree   *buildctx.Tree
	Notes  []string // what is not known about the commit, in sentences without a full stop

	root  string            // of the repository, absolute
	files map[string]file   // by path, which is relative to root
	texts map[string][]byte // targets of symbolic links, by object id
}

// A file is an entry of a commit, or of a submodule's commit.
type file struct {
	git.File
	repo *git.Repo // that has the object; nil for a submodule
	size int64     // bytes, in a work tree
	lfs  *object   // what it is a pointer to; nil if it is none
}

// Open reads the commit that name stands for. Sizes of files are those that they would have
// in a work tree. They are taken from work, which may be nil, if it has the same files, else
// from git or from pointers of Git LFS. The error is [git.ErrMissing] if there is no such
// commit.
func Open(ctx context.Context, repo *git.Repo, name string, work *Work) (*Checkout, error) {
	commit, err := repo.Commit(ctx, name)
	if err != nil {
		return nil, err
	}
	c := &Checkout{Commit: commit, root: repo.Root(), files: map[string]file{}, texts: map[string][]byte{}}
	if err := c.add(ctx, repo, commit, ""); err != nil {
		return nil, err
	}
	if err := c.read(ctx, repo, work); err != nil {
		return nil, err
	}
	c.assemble()
	return c, nil
}

// add adds the files of a commit of repo, with prefix in front of their paths. prefix is ""
// or, for a submodule, ends in a slash.
func (c *Checkout) add(ctx context.Context, repo *git.Repo, commit, prefix string) error {
	list, err := repo.Files(ctx, commit)
	if err != nil {
		return err
	}
	for _, f := range list {
		f.Path = prefix + f.Path
		if f.Mode != git.ModeSubmodule {
			c.files[f.Path] = file{File: f, repo: repo, size: f.Size}
			continue
		}
		c.files[f.Path] = file{File: f}
		sub, ok := submodule(ctx, repo, c.root, f.Path)
		if !ok {
			c.note("submodule %s is not checked out: its files are not counted", f.Path)
			continue
		}
		err := c.add(ctx, sub, f.OID, f.Path+"/")
		if errors.Is(err, git.ErrMissing) {
			c.note("submodule %s lacks commit %.7s, so its files are not counted: fetch it in there", f.Path, f.OID)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// note adds to Notes.
func (c *Checkout) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

// submodule opens the repository that is checked out at path. ok is false if there is none,
// even if path is inside of another repository.
func submodule(ctx context.Context, parent *git.Repo, root, path string) (*git.Repo, bool) {
	dir := filepath.Join(root, filepath.FromSlash(path))
	sub, err := git.Open(ctx, dir)
	return sub, err == nil && sub.Root() == dir && sub.Root() != parent.Root()
}

// read sets the sizes of files. It reads the objects whose content is needed: symbolic links
// and, if the repository uses Git LFS, pointers.
func (c *Checkout) read(ctx context.Context, repo *git.Repo, work *Work) error {
	objects := reader{ctx: ctx, batches: map[*git.Repo]*git.Batch{}}
	defer objects.close()
	lfs, err := c.usesLFS(&objects)
	if err != nil {
		return err
	}
	lacking := 0
	for name, f := range c.files {
		switch {
		case f.Mode == git.ModeLink:
			text, err := objects.read(f)
			if err != nil && !errors.Is(err, git.ErrMissing) {
				return err
			}
			c.texts[f.OID] = text
			continue
		case f.Mode == git.ModeSubmodule:
			continue
		}
		if size, ok := work.size(name, f.OID); ok {
			f.size = size
		} else if lfs && f.Size >= minPointer && f.Size < MaxPointer {
			text, err := objects.read(f)
			if err != nil && !errors.Is(err, git.ErrMissing) {
				return err
			}
			if o, ok := parsePointer(text); ok {
				f.lfs, f.size = &o, o.size
			}
		}
		if f.size < 0 {
			f.size = 0
			lacking++
		}
		c.files[name] = f
	}
	if lacking > 0 {
		c.note("files of %.7s that count no bytes, as this partial clone lacks them: %d; `git diff --stat %.7s` fetches them",
			c.Commit, lacking, c.Commit)
	}
	return nil
}

// usesLFS reports whether a .gitattributes file of the commit has files filtered by Git LFS.
func (c *Checkout) usesLFS(objects *reader) (bool, error) {
	for name, f := range c.files {
		if path.Base(name) != ".gitattributes" || f.Mode == git.ModeSubmodule {
			continue
		}
		text, err := objects.read(f)
		if err != nil && !errors.Is(err, git.ErrMissing) {
			return false, err
		}
		if strings.Contains(string(text), "filter=lfs") {
			return true, nil
		}
	}
	return false, nil
}

// assemble makes the tree of the files. Modes are those that git gives files in a work tree
// with the usual umask.
func (c *Checkout) assemble() {
	entries := make([]buildctx.Entry, 0, len(c.files))
	for name, f := range c.files {
		e := buildctx.Entry{Path: name, Mode: 0o644, Size: f.size}
		switch f.Mode {
		case git.ModeExecutable:
			e.Mode = 0o755
		case git.ModeLink:
			e.Mode, e.Link = fs.ModeSymlink|0o777, string(c.texts[f.OID])
		case git.ModeSubmodule:
			e.Mode, e.Size = fs.ModeDir|0o755, 0
		}
		entries = append(entries, e)
	}
	c.Tree = buildctx.NewTree(c.root, entries)
}

// Has reports whether the commit has a file at name, relative to the repository.
func (c *Checkout) Has(name string) bool { f, ok := c.files[name]; return ok && f.repo != nil }

// ReadFile returns the content of the file at the absolute path name in the commit. Symbolic
// links are followed within the repository. A file outside the repository is read from the
// disk. If there is no such file, the error wraps fs.ErrNotExist.
func (c *Checkout) ReadFile(ctx context.Context, name string) ([]byte, error) {
	rel, err := filepath.Rel(c.root, name)
	if err != nil || !filepath.IsLocal(rel) {
		return os.ReadFile(name)
	}
	f, ok := c.files[c.follow(filepath.ToSlash(rel))]
	if !ok || f.repo == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	objects := reader{ctx: ctx, batches: map[*git.Repo]*git.Batch{}}
	defer objects.close()
	text, err := objects.read(f)
	if errors.Is(err, git.ErrMissing) {
		return nil, fmt.Errorf("read %s of commit %.7s: this partial clone lacks it, and `git show %.7s:%s` fetches it",
			rel, c.Commit, c.Commit, filepath.ToSlash(rel))
	}
	return text, err
}

// maxLinks is how many symbolic links are followed to resolve a path, as many as Linux does.
const maxLinks = 40

// follow resolves symbolic links in a path relative to the repository. It returns "" for one
// that leads out of it, or through too many links.
func (c *Checkout) follow(name string) string {
	done, rest := "", strings.Split(path.Clean(name), "/")
	for links := 0; len(rest) > 0; {
		next := path.Join(done, rest[0])
		rest = rest[1:]
		f, ok := c.files[next]
		if !ok || f.Mode != git.ModeLink {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return ""
		}
		target := string(c.texts[f.OID])
		if path.IsAbs(target) {
			return ""
		}
		target = path.Join("/", done, target)
		rest = append(strings.Split(strings.TrimPrefix(target, "/"), "/"), rest...)
		done = ""
	}
	return done
}

// A reader reads objects of several repositories. It must be closed.
type reader struct {
	ctx     context.Context // of the call that made the reader
	batches map[*git.Repo]*git.Batch
}

// read returns the content of a file. The error wraps [git.ErrMissing] if the repository does
// not have it.
func (r *reader) read(f file) ([]byte, error) {
	if f.Size < 0 {
		return nil, git.ErrMissing
	}
	b, ok := r.batches[f.repo]
	if !ok {
		var err error
		if b, err = f.repo.Batch(r.ctx); err != nil {
			return nil, err
		}
		r.batches[f.repo] = b
	}
	o, err := b.Read(f.OID)
	return slices.Clip(o.Data), err
}

func (r *reader) close() {
	for _, b := range r.batches {
		_ = b.Close() // all that was asked for has been read already
	}
}
