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

// A Diff says which paths differ between two trees, in the order of a walk. A directory that
// came or went is listed with all that is below it.
type Diff struct {
	Added, Removed, Changed []string
}

// Empty reports whether the trees are equal.
func (d Diff) Empty() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// Compare returns how next differs from t, in time that follows what they do
// not share.
func (t *Tree) Compare(next *Tree) Diff {
	var d Diff
	differ("", t.top, next.top, func(dir string, a, b *entry) bool {
		switch {
		case a == nil:
			d.Added = append(d.Added, dir+b.name)
		case b == nil:
			d.Removed = append(d.Removed, dir+a.name)
		default:
			d.Changed = append(d.Changed, dir+a.name)
		}
		return true
	})
	return d
}

// Apply looks again at the given paths and returns the tree as it is now. The
// receiver stays as it was; with nothing changed it is returned itself. A path
// that is a directory is read again with all that is below it; one that lies in
// a directory that t does not know brings that directory. The work follows the
// number of paths and the size of the directories that hold them.
func (t *Tree) Apply(ctx context.Context, paths []string, prune Pruner) (*Tree, Diff, error) {
	a := &applier{scanner: newScanner(ctx, t.root, prune), owned: map[*directory]bool{}, fresh: map[*directory]bool{}, top: t.top}
	for _, p := range ordered(paths) {
		if err := a.apply(p); err != nil {
			return nil, Diff{}, fmt.Errorf("look again at %q: %w", p, err)
		}
	}
	if err := a.scanner.wait(); err != nil {
		return nil, Diff{}, err
	}
	if a.top.err != nil {
		return nil, Diff{}, fmt.Errorf("look again at the build context: %w", a.top.err)
	}
	next := &Tree{root: t.root, seq: t.seq + 1, top: a.top}
	diff := t.Compare(next)
	if diff.Empty() {
		return t, diff, nil
	}
	next.files = t.files + a.filesDelta()
	return next, diff, nil
}

// ordered cleans and sorts paths, so that parents come before children.
func ordered(paths []string) []string {
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
	gone, came []entry             // to count files by, once all are read
}

func (a *applier) apply(name string) error {
	if name == "." {
		a.gone = append(a.gone, entry{dir: a.top})
		a.top = a.read(".")
		a.came = append(a.came, entry{dir: a.top})
		return nil
	}
	if a.fresh[a.top] {
		return nil
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
				a.remove(trail, i)
			}
		case err != nil:
			return err
		default:
			a.put(trail, i, known, full, st)
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

func (a *applier) remove(trail []int, i int) {
	d := a.own(trail)
	a.gone = append(a.gone, d.entries[i])
	d.entries = slices.Delete(d.entries, i, i+1)
}

// put replaces the entry at i, or inserts one there.
func (a *applier) put(trail []int, i int, known bool, full string, st stat) {
	e := entry{name: path.Base(full), stat: st}
	if known && !st.mode.IsDir() && a.at(trail).entries[i].stat == st {
		return
	}
	if st.mode.IsDir() {
		e.dir = a.read(full)
	}
	if known {
		a.remove(trail, i)
	}
	d := a.own(trail)
	d.entries = slices.Insert(d.entries, i, e)
	a.came = append(a.came, e)
}

func (a *applier) read(rel string) *directory {
	d := a.scanner.read(rel)
	a.fresh[d] = true
	return d
}

func (a *applier) filesDelta() int {
	n := 0
	for _, e := range a.gone {
		n -= e.files()
	}
	for _, e := range a.came {
		n += e.files()
	}
	return n
}

func (e entry) files() int {
	if e.dir == nil {
		return 1
	}
	return countFiles(e.dir)
}

// at returns the directory that trail leads to, to read.
func (a *applier) at(trail []int) *directory {
	d := a.top
	for _, i := range trail {
		d = d.entries[i].dir
	}
	return d
}

// differ calls fn for each name, in the order of a walk, of which a and b do not
// say the same, with the path of its directory and a slash behind it; nil stands
// for a name that is not there. A directory that came or went is followed by all
// that is below it. It ends, and returns false, when fn does.
func differ(dir string, a, b *directory, fn func(dir string, a, b *entry) bool) bool {
	if a == b {
		return true
	}
	i, j := 0, 0
	for i < len(a.entries) || j < len(b.entries) {
		ok := true
		switch {
		case j == len(b.entries) || i < len(a.entries) && a.entries[i].name < b.entries[j].name:
			ok = differAll(dir, &a.entries[i], nil, fn)
			i++
		case i == len(a.entries) || b.entries[j].name < a.entries[i].name:
			ok = differAll(dir, nil, &b.entries[j], fn)
			j++
		default:
			ok = differEntry(dir, &a.entries[i], &b.entries[j], fn)
			i, j = i+1, j+1
		}
		if !ok {
			return false
		}
	}
	return true
}

func differEntry(dir string, a, b *entry, fn func(dir string, a, b *entry) bool) bool {
	switch {
	case a.mode.Type() != b.mode.Type():
		return differAll(dir, a, nil, fn) && differAll(dir, nil, b, fn)
	case a.dir == nil:
		return a.stat == b.stat || fn(dir, a, b)
	case (!sameToBuild(a.stat, b.stat) || (a.dir.err == nil) != (b.dir.err == nil)) && !fn(dir, a, b):
		return false
	}
	return differ(dir+a.name+"/", a.dir, b.dir, fn)
}

// differAll calls fn for a name that came or went, and all that is below it.
func differAll(dir string, a, b *entry, fn func(dir string, a, b *entry) bool) bool {
	if !fn(dir, a, b) {
		return false
	}
	switch {
	case a != nil && a.dir != nil:
		return differ(dir+a.name+"/", a.dir, &directory{}, fn)
	case b != nil && b.dir != nil:
		return differ(dir+b.name+"/", &directory{}, b.dir, fn)
	}
	return true
}

// sameToBuild reports whether the stats of a directory differ at most in what
// changes whenever a name in it does, and reaches no build. The time of the last
// change of anything does too; but it is all that tells of a change to an
// extended attribute, which is sent.
func sameToBuild(a, b stat) bool {
	a.mtime, a.links, a.inode = b.mtime, b.links, b.inode
	return a == b
}
