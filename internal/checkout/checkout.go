// Package checkout knows what a checkout of a commit would give, without one:
// its files come straight from git's objects.
//
// A [Checkout] is the files of one commit as a tree to compute selections over,
// and reads them. A [Work] is what git tracks of the work tree, and says which
// of it is as a commit has it. Both see submodules as part of the repository
// where these are checked out, and stored files of Git LFS with the size that
// their pointers name. No filter is run and nothing is fetched (internal/git).
//
// Values are immutable once made, and safe for concurrent use.
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

// A Checkout is a commit's files.
type Checkout struct {
	Commit string // full object id
	Tree   *buildctx.Tree
	// Notes say what of the commit is not known: sentences without a full stop.
	Notes []string

	root  string
	files map[string]file
	texts map[string][]byte // what was read of them, by object id
}

// A file is an entry of a commit, or of the commit of a submodule.
type file struct {
	git.File
	repo *git.Repo
	size int64   // in a work tree
	lfs  *object // what its pointer names
}

// Open reads the commit that name stands for. Sizes are those in a work tree:
// where that is known from work, which may be nil, from there, else as git or a
// pointer of Git LFS has them. [git.ErrMissing] if there is no such commit.
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

// add lists a commit of repo, which is checked out at prefix.
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

func (c *Checkout) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

// submodule opens the repository that is checked out at path, and no other that
// happens to lie around there.
func submodule(ctx context.Context, parent *git.Repo, root, path string) (*git.Repo, bool) {
	dir := filepath.Join(root, filepath.FromSlash(path))
	sub, err := git.Open(ctx, dir)
	return sub, err == nil && sub.Root() == dir && sub.Root() != parent.Root()
}

// read looks into the objects whose content matters: links, and the pointers of
// a repository that uses Git LFS.
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
		} else if lfs && f.Size >= minPointer && f.Size < maxPointer {
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

// usesLFS reports whether an attributes file of the commit names the filter.
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

// ReadFile returns the content of the file at name, which is absolute, links
// followed within the repository. What lies outside of that is read from the
// disk. The error of a file that is not there wraps fs.ErrNotExist.
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

// maxLinks is how many links are followed on the way to one file, as Linux does.
const maxLinks = 40

// follow returns where name leads; links cannot lead out of the repository.
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

// A reader reads objects of several repositories.
type reader struct {
	ctx     context.Context // of one pass
	batches map[*git.Repo]*git.Batch
}

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
		_ = b.Close() // what was asked for has been read
	}
}
