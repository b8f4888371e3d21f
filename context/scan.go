package buildctx

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// A Pruner says which directories need not be read. A value is for one directory,
// and Enter leads to those in it, so that a decision needs only a name and not a
// path. It must be safe for concurrent use. A nil Pruner prunes nothing.
type Pruner interface {
	// Enter reports in prune whether nothing at or below the directory name can
	// matter. If prune is false, below is the Pruner for that directory.
	Enter(name string) (below Pruner, prune bool)
}

// enter is p.Enter for a Pruner that may be nil.
func enter(p Pruner, name string) (Pruner, bool) {
	if p == nil {
		return nil, false
	}
	return p.Enter(name)
}

// Scan returns a tree of the files below root. Links in the path of root are
// resolved; links below it are never followed (fsutil: NewFS). A directory that
// cannot be read is in the tree with its error, which does not matter if the
// ignore file leaves it out. An error means that root itself cannot be read, or
// that ctx ended.
func Scan(ctx context.Context, root string, prune Pruner) (*Tree, error) {
	resolved, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, fmt.Errorf("scan build context: %w", err)
	}
	if resolved, err = filepath.Abs(resolved); err != nil {
		return nil, fmt.Errorf("scan build context: %w", err)
	}
	s := newScanner(ctx, resolved)
	top := s.read(".", prune)
	if err := s.wait(); err != nil {
		return nil, err
	}
	if err := top.err(); err != nil {
		return nil, fmt.Errorf("scan build context: %w", err)
	}
	return &Tree{root: resolved, seq: 1, top: top, files: countFiles(top)}, nil
}

// A scanner reads directories, several at a time, for one call of [Scan] or
// [Tree.Apply]. The caller must call wait before it uses what was read.
type scanner struct {
	ctx    context.Context // of that call
	root   string
	group  errgroup.Group
	drafts sync.Pool // of *[]draft
}

// A draft is an entry that is not yet packed into its directory.
type draft struct {
	name string
	stat
	odd     oddity
	dir     *directory // its contents, if it is a directory
	below   Pruner     // for its contents, if entered
	entered bool       // enter was called
}

// enter asks p whether the directory d is to be read, and sets d.dir. A directory
// that is not read gets a fixed mode, since nothing else is known about it.
func (d *draft) enter(p Pruner) {
	if d.entered {
		return
	}
	var prune bool
	d.below, prune = enter(p, d.name)
	d.entered, d.dir = true, &directory{}
	if prune {
		d.dir.odd = unseen
		d.stat = stat{mode: fs.ModeDir | 0o755}
	}
}

func newScanner(ctx context.Context, root string) *scanner {
	s := &scanner{ctx: ctx, root: root}
	s.drafts.New = func() any { return new([]draft) }
	// Directory reads wait for the disk as often as they use a core.
	s.group.SetLimit(2 * runtime.GOMAXPROCS(0))
	return s
}

// wait returns when all directories are read, or with ctx's error if that ended
// first. No goroutine of the scanner is left then.
func (s *scanner) wait() error {
	if err := s.group.Wait(); err != nil {
		return err
	}
	return s.ctx.Err()
}

// read returns the directory at rel. Other goroutines may still be filling in the
// directories below it until wait returns.
func (s *scanner) read(rel string, p Pruner) *directory {
	d := &directory{}
	s.fill(d, rel, p)
	return d
}

// fill reads the directory at rel into d, and those below it.
func (s *scanner) fill(d *directory, rel string, p Pruner) {
	if s.ctx.Err() != nil {
		return
	}
	buf := s.drafts.Get().(*[]draft)
	drafts, err := readDirectory(s.abs(rel), p, (*buf)[:0])
	if rel != "." && missing(err) {
		err = nil // it was removed since it was listed, so it is empty
	}
	for i := range drafts {
		if drafts[i].mode.IsDir() {
			drafts[i].enter(p)
		}
	}
	d.pack(drafts, err)
	var below []Pruner
	for i := range drafts {
		if drafts[i].dir != nil {
			below = append(below, drafts[i].below)
		}
	}
	clear(drafts)
	*buf = drafts
	s.drafts.Put(buf)
	for i, e := range d.entries {
		if !e.mode.IsDir() {
			continue
		}
		if sub := (*d.dirs)[e.size]; !sub.pruned() {
			s.descend(sub, join(rel, d.name(i)), below[e.size])
		}
	}
}

// descend is fill in a goroutine of its own, or in this one if all are busy.
func (s *scanner) descend(d *directory, rel string, p Pruner) {
	if !s.group.TryGo(func() error { s.fill(d, rel, p); return nil }) {
		s.fill(d, rel, p)
	}
}

func (s *scanner) abs(rel string) string { return filepath.Join(s.root, filepath.FromSlash(rel)) }

// join is path.Join for a clean dir and a single name.
func join(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

// lstat returns the metadata of the file at name, without following a link.
func lstat(name string) (stat, oddity, error) {
	fi, err := os.Lstat(name)
	if err != nil {
		return stat{}, oddity{}, err
	}
	st := stat{mode: fi.Mode(), size: fi.Size(), mtime: fi.ModTime().UnixNano()}
	var odd oddity
	st.fromSystem(fi, &odd)
	switch {
	case fi.IsDir():
		st.size = 0
	case fi.Mode()&fs.ModeSymlink != 0:
		if odd.link, err = os.Readlink(name); err != nil {
			return stat{}, oddity{}, err
		}
		// Paths of a context are slash-separated; so is what links name.
		odd.link = strings.ReplaceAll(odd.link, string(filepath.Separator), "/")
	}
	return st, odd, nil
}
