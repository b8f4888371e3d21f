package buildctx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
)

// A Diff says which paths differ between two trees, in the order of a walk. A directory that
// came or went is listed with all that is below it.
type Diff struct {
	Added, Removed, Changed []string
}

// Empty reports whether the trees are equal.
func (d Diff) Empty() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// Apply looks again at the given paths and returns the tree as it is now. The
// receiver stays as it was; with nothing changed it is returned itself. A path
// that is a directory is read again with all that is below it; one that lies in
// a directory that t does not know brings that directory; "." is a new scan.
// The trees share each directory in which nothing changed, however it was looked
// at. The work follows the number of paths and the size of the directories that
// hold them.
func (t *Tree) Apply(ctx context.Context, paths []string, prune Pruner) (*Tree, Diff, error) {
	a := &applier{scanner: newScanner(ctx, t.root)}
	top := t.top
	var err error
	if list := ordered(paths); slices.Contains(list, ".") {
		top = a.scanner.read(".", prune)
	} else if len(list) > 0 {
		top, err = a.directory(t.top, ".", list, prune)
	}
	if waited := a.scanner.wait(); err == nil {
		err = waited
	}
	if err != nil {
		return nil, Diff{}, err
	}
	if err := top.err(); err != nil {
		return nil, Diff{}, fmt.Errorf("look again at the build context: %w", err)
	}
	next := &Tree{root: t.root, seq: t.seq + 1, top: share(t.top, top), files: t.files}
	if next.top == t.top {
		return t, Diff{}, nil
	}
	var diff Diff
	diff.directories("", t.top, next.top, &next.files)
	return next, diff, nil
}

// ordered cleans and sorts paths, so that those in a directory stand together.
func ordered(paths []string) []string {
	clean := make([]string, 0, len(paths))
	for _, p := range paths {
		clean = append(clean, path.Clean(strings.TrimPrefix(p, "/")))
	}
	slices.SortFunc(clean, compareWalk)
	return slices.Compact(clean)
}

// compareWalk orders paths as a walk does: by component.
func compareWalk(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		switch {
		case a[i] == b[i]:
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		default:
			return cmp.Compare(a[i], b[i])
		}
	}
	return cmp.Compare(len(a), len(b))
}

// An applier makes the directories of a tree's successor.
type applier struct{ scanner *scanner }

// An edit is what the disk says now of a name in a directory.
type edit struct {
	draft
	gone bool
}

// directory returns d, which is at rel, with what the disk says of the paths,
// relative to it and in order; d itself if that is what d says.
func (a *applier) directory(d *directory, rel string, paths []string, p Pruner) (*directory, error) {
	var edits []edit
	for len(paths) > 0 {
		name, _, _ := strings.Cut(paths[0], "/")
		n := 1
		for n < len(paths) && strings.HasPrefix(paths[n], name+"/") {
			n++
		}
		e, changed, err := a.entry(d, rel, name, paths[:n], p)
		if err != nil {
			return nil, err
		}
		if changed {
			edits = append(edits, e)
		}
		paths = paths[n:]
	}
	if len(edits) == 0 {
		return d, nil
	}
	return d.edited(edits), nil
}

// entry looks again at name in d for the sake of paths, which are that and what
// lies below. It reports whether d has to be changed.
func (a *applier) entry(d *directory, rel, name string, paths []string, p Pruner) (edit, bool, error) {
	var old item
	if i, known := d.index(name); known {
		old = d.item(i)
	}
	e := edit{draft: draft{name: name}}
	full := join(rel, name)
	if old.dir != nil && paths[0] != name {
		below, prune := enter(p, name)
		if prune || old.dir.pruned() {
			return e, false, nil
		}
		rest := make([]string, len(paths))
		for i, p := range paths {
			rest[i] = p[len(name)+1:]
		}
		next, err := a.directory(old.dir, full, rest, below)
		e.stat, e.dir = old.stat, next
		return e, next != old.dir, err
	}
	// The path itself, or the first name on the way that is unknown or was no
	// directory: what the disk says now replaces it.
	var err error
	e.stat, e.odd, err = lstat(a.scanner.abs(full))
	if missing(err) {
		e.gone = true
		return e, old.entry != nil, nil
	}
	if err != nil {
		return e, false, fmt.Errorf("look again at %q: %w", full, err)
	}
	if e.mode.IsDir() {
		e.draft.enter(p)
		if !e.dir.pruned() {
			a.scanner.descend(e.dir, full, e.below)
		}
	}
	return e, true, nil
}

// missing reports whether err says that a name, or a directory on the way to
// it, is not there.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// edited returns a copy of d with the edits, which are in order of their names.
func (d *directory) edited(edits []edit) *directory {
	if next := d.replaced(edits); next != nil {
		return next
	}
	length := len(d.names)
	for i := range edits {
		length += len(edits[i].name)
	}
	packed := newPacker(len(d.entries)+len(edits), length)
	put := func(e *edit) {
		if !e.gone {
			packed.add(e.name, e.stat, e.odd, e.dir)
		}
	}
	for i := range d.entries {
		it := d.item(i)
		for len(edits) > 0 && edits[0].name < it.name {
			put(&edits[0])
			edits = edits[1:]
		}
		if len(edits) > 0 && edits[0].name == it.name {
			put(&edits[0])
			edits = edits[1:]
			continue
		}
		packed.add(it.name, it.stat, it.odd, it.dir)
	}
	for i := range edits {
		put(&edits[i])
	}
	next := &directory{}
	packed.fill(next, d.err())
	return next
}

// replaced is edited for edits that bring other stats and directories, but no
// other names; nil if they do.
func (d *directory) replaced(edits []edit) *directory {
	next := &directory{names: d.names, odd: d.odd, entries: slices.Clone(d.entries)}
	dirs := slices.Clone(d.kids())
	for k := range edits {
		e := &edits[k]
		i, known := d.index(e.name)
		if !known || e.gone || e.mode.IsDir() != d.entries[i].mode.IsDir() {
			return nil
		}
		at := &next.entries[i]
		switch {
		case e.mode.IsDir():
			dirs[at.size] = e.dir
		case at.end&isOdd != 0 || e.odd != oddity{}:
			return nil
		}
		at.put(e.stat)
	}
	if len(dirs) > 0 {
		next.dirs = &dirs
	}
	return next
}

// share returns next with each directory replaced by the one of that path in old
// in which all is the same, and the sums of old's files where these are. Next is
// edited; nobody else may know it yet.
func share(old, next *directory) *directory {
	if old == next {
		return old
	}
	same := old.pruned() == next.pruned() && len(old.entries) == len(next.entries) && sameError(old.err(), next.err())
	for a, b := range differing(old, next) {
		if a.entry == nil || b.entry == nil {
			same = false
			continue
		}
		same = same && a.same(b)
		if a.dir == nil || b.dir == nil {
			continue
		}
		if a.same(b) {
			b.entry.mtime, b.entry.inode = a.mtime, a.inode
		}
		kept := share(a.dir, b.dir)
		(*next.dirs)[b.entry.size] = kept
		same = same && kept == a.dir
	}
	if same {
		return old
	}
	next.takeSums(old)
	return next
}

// Compare returns how next differs from t, in time that follows what they do
// not share.
func (t *Tree) Compare(next *Tree) Diff {
	var (
		d     Diff
		files int
	)
	d.directories("", t.top, next.top, &files)
	return d
}

// directories adds to d how b differs from a, which are in dir, a path with a
// slash at its end, and to files how many more b has.
func (d *Diff) directories(dir string, a, b *directory, files *int) {
	if a == b {
		return
	}
	for x, y := range differing(a, b) {
		if x.entry != nil && y.entry != nil && x.mode.Type() == y.mode.Type() {
			if !x.same(y) {
				d.Changed = append(d.Changed, dir+x.name)
			}
			if x.dir != nil {
				d.directories(dir+x.name+"/", x.dir, y.dir, files)
			}
			continue
		}
		if x.entry != nil {
			n := len(d.Removed)
			d.Removed = appendAll(d.Removed, dir, x)
			*files -= len(d.Removed) - n - directories(x)
		}
		if y.entry != nil {
			n := len(d.Added)
			d.Added = appendAll(d.Added, dir, y)
			*files += len(d.Added) - n - directories(y)
		}
	}
}

// directories counts those at and below it.
func directories(it item) int {
	if it.dir == nil {
		return 0
	}
	n := 1
	for i := range it.dir.entries {
		n += directories(it.dir.item(i))
	}
	return n
}

func appendAll(list []string, dir string, it item) []string {
	list = append(list, dir+it.name)
	if it.dir != nil {
		yieldAll(it.dir, dir+it.name+"/", func(e Entry) bool {
			list = append(list, e.Path)
			return true
		})
	}
	return list
}
