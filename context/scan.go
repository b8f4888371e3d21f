package buildctx

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// A Pruner reports whether nothing at or below a directory can matter, so that
// it need not be read. It must be safe for concurrent use; nil prunes nothing.
type Pruner func(dir string) bool

// Scan pictures the files below root. The root's own links are resolved, links
// below it never followed (fsutil: NewFS). A directory that cannot be read is
// in the tree with its error: whether that matters is for the ignore file to
// say. An error means that root itself cannot be read, or that ctx ended.
func Scan(ctx context.Context, root string, prune Pruner) (*Tree, error) {
	resolved, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, fmt.Errorf("scan build context: %w", err)
	}
	if resolved, err = filepath.Abs(resolved); err != nil {
		return nil, fmt.Errorf("scan build context: %w", err)
	}
	s := newScanner(ctx, resolved, prune)
	top := s.read(".")
	if err := s.wait(); err != nil {
		return nil, err
	}
	if top.err != nil {
		return nil, fmt.Errorf("scan build context: %w", top.err)
	}
	return &Tree{root: resolved, seq: 1, top: top, files: countFiles(top)}, nil
}

// A scanner reads directories, several at a time, for one scan.
type scanner struct {
	ctx   context.Context
	root  string
	prune Pruner
	group errgroup.Group
}

func newScanner(ctx context.Context, root string, prune Pruner) *scanner {
	if prune == nil {
		prune = func(string) bool { return false }
	}
	s := &scanner{ctx: ctx, root: root, prune: prune}
	// Directory reads wait for the disk as often as they use a core.
	s.group.SetLimit(2 * runtime.GOMAXPROCS(0))
	return s
}

// wait returns when all directories are read, with ctx's error if it ended
// before that.
func (s *scanner) wait() error {
	if err := s.group.Wait(); err != nil {
		return err
	}
	return s.ctx.Err()
}

// read returns the directory at rel. Directories below it may still be filled
// in by other goroutines until wait returns.
func (s *scanner) read(rel string) *directory {
	d := &directory{}
	if rel != "." && s.prune(rel) {
		d.pruned = true
		return d
	}
	s.fill(d, rel)
	return d
}

func (s *scanner) fill(d *directory, rel string) {
	if s.ctx.Err() != nil {
		return
	}
	d.entries, d.err = readDirectory(filepath.Join(s.root, filepath.FromSlash(rel)), func(name string) bool {
		return s.prune(join(rel, name))
	})
	slices.SortFunc(d.entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	for i := range d.entries {
		if e := &d.entries[i]; e.mode.IsDir() && e.dir == nil {
			s.descend(e, join(rel, e.name))
		}
	}
}

// descend reads a directory in a goroutine of its own if one is free.
func (s *scanner) descend(e *entry, rel string) {
	e.dir = &directory{}
	if s.prune(rel) {
		e.dir.pruned = true
		return
	}
	child := e.dir
	if !s.group.TryGo(func() error { s.fill(child, rel); return nil }) {
		s.fill(child, rel)
	}
}

// join is path.Join for paths that are clean already.
func join(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

// lstat returns what the system knows of the file itself.
func lstat(name string) (stat, error) {
	fi, err := os.Lstat(name)
	if err != nil {
		return stat{}, err
	}
	st := stat{mode: fi.Mode(), size: fi.Size(), mtime: fi.ModTime().UnixNano(), links: 1}
	st.fromSystem(fi)
	if fi.IsDir() {
		st.size = 0
	}
	if fi.Mode()&fs.ModeSymlink != 0 {
		if st.link, err = os.Readlink(name); err != nil {
			return stat{}, err
		}
	}
	// Paths of a context are slash-separated; so is what links name.
	st.link = strings.ReplaceAll(st.link, string(filepath.Separator), "/")
	return st, nil
}
