package buildctx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A Diff says which paths differ between two trees, sorted. A directory that
// came or went is listed with all that is below it.
type Diff struct {
	Added, Removed, Changed []string
}

// Empty reports whether the trees are equal.
func (d Diff) Empty() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// Apply looks again at the given paths and returns the tree as it is now. The
// receiver stays as it was; with nothing changed it is returned itself. Paths
// that lie in directories that t does not know are found too, and whole
// directories that came are read. The work follows the number of paths and the
// size of the directories that hold them.
func (t *Tree) Apply(ctx context.Context, paths []string, prune Pruner) (*Tree, Diff, error) {
	a := &applier{scanner: newScanner(ctx, t.root, prune), owned: map[*directory]bool{}, fresh: map[*directory]bool{}, top: t.top}
	for _, p := range outermost(paths) {
		if err := a.apply(p); err != nil {
			return nil, Diff{}, fmt.Errorf("look again at %q: %w", p, err)
		}
	}
	if err := a.scanner.wait(); err != nil {
		return nil, Diff{}, err
	}
	diff := a.settle()
	if diff.Empty() {
		return t, diff, nil
	}
	next := &Tree{root: t.root, seq: t.seq + 1, top: a.top}
	next.files = t.files + a.filesDelta
	return next, diff, nil
}

// outermost cleans and sorts paths, so that parents come before children.
func outermost(paths []string) []string {
	clean := make([]string, 0, len(paths))
	for _, p := range paths {
		clean = append(clean, path.Clean(strings.TrimPrefix(p, "/")))
	}
	slices.Sort(clean)
	return slices.Compact(clean)
}

// An applier makes a tree's successor: directories are copied before they are
// edited, once each.
type applier struct {
	scanner    *scanner
	top        *directory
	owned      map[*directory]bool // copied already: may be edited
	fresh      map[*directory]bool // just read, perhaps still being filled in
	changed    []string
	gone, came []replaced
	filesDelta int
}

// replaced is an entry that came or went, with what is below it.
type replaced struct {
	name string
	entry
}

func (a *applier) apply(name string) error {
	if name == "." {
		return nil // the root's own attributes are not part of a context
	}
	dir, prefix := a.top, ""
	var trail []int // index of each directory entry on the way
	parts := strings.Split(name, "/")
	for depth, part := range parts {
		full := prefix + part
		last := depth == len(parts)-1
		i, known := dir.index(part)
		if known && !last && dir.entries[i].dir != nil {
			if sub := dir.entries[i].dir; sub.pruned || a.fresh[sub] {
				return nil
			}
			trail = append(trail, i)
			dir, prefix = dir.entries[i].dir, full+"/"
			continue
		}
		// The first name on the way that is unknown, is no directory, or is
		// the path itself: what the disk says now replaces it.
		st, err := lstat(filepath.Join(a.scanner.root, filepath.FromSlash(full)))
		switch {
		case missing(err):
			if known {
				a.remove(trail, i, full)
			}
		case err != nil:
			return err
		case known:
			a.update(trail, i, full, st)
		default:
			a.insert(trail, i, full, st)
		}
		return nil
	}
	return nil
}

// missing reports whether err says that a name, or a directory on the way to
// it, is not there.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || isNotDirectory(err)
}

// own returns an editable copy of the directory that trail leads to.
func (a *applier) own(trail []int) *directory {
	a.top = a.copied(a.top)
	d := a.top
	for _, i := range trail {
		e := &d.entries[i]
		e.dir = a.copied(e.dir)
		d = e.dir
	}
	return d
}

func (a *applier) copied(d *directory) *directory {
	if a.owned[d] {
		return d
	}
	c := &directory{entries: slices.Clone(d.entries), err: d.err, pruned: d.pruned}
	a.owned[c] = true
	return c
}

func (a *applier) remove(trail []int, i int, full string) {
	d := a.own(trail)
	a.gone = append(a.gone, replaced{full, d.entries[i]})
	d.entries = slices.Delete(d.entries, i, i+1)
}

func (a *applier) insert(trail []int, i int, full string, st stat) {
	e := entry{name: path.Base(full), stat: st}
	if st.mode.IsDir() {
		e.dir = a.scanner.read(full)
		a.fresh[e.dir] = true
	}
	d := a.own(trail)
	d.entries = slices.Insert(d.entries, i, e)
	a.came = append(a.came, replaced{full, e})
}

func (a *applier) update(trail []int, i int, full string, st stat) {
	old := a.at(trail).entries[i]
	if old.mode.Type() != st.mode.Type() || (st.mode.IsDir() && (old.inode != st.inode || old.dir.err != nil)) {
		a.remove(trail, i, full)
		a.insert(trail, i, full, st)
		return
	}
	if old.stat == st {
		return
	}
	a.own(trail).entries[i].stat = st
	if !sameToBuild(old.stat, st) {
		a.changed = append(a.changed, full)
	}
}

// at returns the directory that trail leads to, to read.
func (a *applier) at(trail []int) *directory {
	d := a.top
	for _, i := range trail {
		d = d.entries[i].dir
	}
	return d
}

// sameToBuild reports whether a directory's stat differs only in its times,
// which change whenever a name in it does and reach no build.
func sameToBuild(a, b stat) bool {
	if !a.mode.IsDir() {
		return false
	}
	a.mtime, a.ctime, a.links = b.mtime, b.ctime, b.links
	return a == b
}

// settle turns what came and went into a Diff, once all directories are read.
func (a *applier) settle() Diff {
	diff := Diff{Changed: a.changed}
	for _, r := range a.gone {
		diff.Removed = appendAll(diff.Removed, r)
		a.filesDelta -= r.files()
	}
	for _, r := range a.came {
		diff.Added = appendAll(diff.Added, r)
		a.filesDelta += r.files()
	}
	slices.Sort(diff.Added)
	slices.Sort(diff.Removed)
	return diff
}

func (r replaced) files() int {
	if r.dir == nil {
		return 1
	}
	return countFiles(r.dir)
}

func appendAll(list []string, r replaced) []string {
	list = append(list, r.name)
	if r.dir == nil {
		return list
	}
	yieldAll(r.dir, r.name+"/", func(e Entry) bool {
		list = append(list, e.Path)
		return true
	})
	return list
}
