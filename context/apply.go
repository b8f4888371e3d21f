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

// A Diff lists the paths that differ between two trees, each list in the order of
// a walk. A directory that was added or removed is listed with everything below it.
type Diff struct {
	Added, Removed, Changed []string
}

// Empty reports whether the trees are equal.
func (d Diff) Empty() bool { return len(d.Added)+len(d.Removed)+len(d.Changed) == 0 }

// Apply reads the given paths again and returns the tree as it is now, with how
// it differs from t. t does not change, and is itself returned if nothing did.
//
// A path that names a directory is read with everything below it. A path inside
// a directory that t does not know adds that whole directory. "." reads the
// whole root again. The trees share every directory in which nothing changed,
// whether or not it was read. The cost grows with the number of paths and the
// size of the directories that hold them, not with the size of the tree.
//
// An error means that a path could not be read for another reason than its
// absence, or that ctx ended.
func (t *Tree) Apply(ctx context.Context, paths []string, prune Pruner) (*Tree, Diff, error) {
	s := newScanner(ctx, t.root)
	top := t.top
	var err error
	if list := ordered(paths); slices.Contains(list, ".") {
		top = s.read(".", prune)
	} else if len(list) > 0 {
		top, err = s.reread(t.top, ".", list, prune)
	}
	if waited := s.wait(); err == nil {
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

// ordered returns the paths cleaned, without duplicates, and sorted so that all
// that lie in one directory follow each other.
func ordered(paths []string) []string {
	clean := make([]string, 0, len(paths))
	for _, p := range paths {
		clean = append(clean, path.Clean(strings.TrimPrefix(p, "/")))
	}
	slices.SortFunc(clean, compareWalk)
	return slices.Compact(clean)
}

// compareWalk orders paths as a walk visits them: component by component, so
// that "a/b" comes before "a-b".
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

// An edit is what the disk now has under one name of a directory.
type edit struct {
	draft
	gone bool // nothing has that name any more; only draft.name is set
}

// reread returns the directory d, which is at rel, as it is once the paths were
// read again. They are relative to d and sorted. If nothing changed the result
// is d itself.
func (s *scanner) reread(d *directory, rel string, paths []string, p Pruner) (*directory, error) {
	var edits []edit
	for len(paths) > 0 {
		name, _, _ := strings.Cut(paths[0], "/")
		n := 1
		for n < len(paths) && strings.HasPrefix(paths[n], name+"/") {
			n++
		}
		e, changed, err := s.rereadEntry(d, rel, name, paths[:n], p)
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

// rereadEntry reads name in d again. paths are those that led to it, relative to
// d: name itself or paths below it. It reports whether d has to change.
func (s *scanner) rereadEntry(d *directory, rel, name string, paths []string, p Pruner) (edit, bool, error) {
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
		next, err := s.reread(old.dir, full, rest, below)
		e.stat, e.dir = old.stat, next
		return e, next != old.dir, err
	}
	// Either the path itself, or the first name on the way to it that d does not
	// know as a directory. Whatever the disk has there replaces it.
	var err error
	e.stat, e.odd, err = lstat(s.abs(full))
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
			s.descend(e.dir, full, e.below)
		}
	}
	return e, true, nil
}

// missing reports whether err means that a path does not exist, or that one of
// its parents is not a directory.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// edited returns a copy of d with the edits made. They are sorted by name.
func (d *directory) edited(edits []edit) *directory {
	if next := d.restated(edits); next != nil {
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

// restated does what edited does, without copying the names, if the edits only
// bring other stats and other contents of directories. It returns nil if one of
// them adds or removes a name, turns a file into a directory or the reverse, or
// concerns an odd entry.
func (d *directory) restated(edits []edit) *directory {
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

// share makes next reuse old: each directory in next that equals the one at the
// same path in old is replaced by that, and files that are the same keep their
// sums. It returns old if all of it is the same, else next, which it edits in
// place: no other goroutine may hold next yet.
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

// Compare returns how next differs from t. It skips what the two share.
func (t *Tree) Compare(next *Tree) Diff {
	var (
		d     Diff
		files int
	)
	d.directories("", t.top, next.top, &files)
	return d
}

// directories adds to d how the directory b differs from a. dir is the path of
// both, with a slash at its end or empty for the root. The number of files that
// b has more than a is added to files.
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
			*files -= len(d.Removed) - n - countDirs(x)
		}
		if y.entry != nil {
			n := len(d.Added)
			d.Added = appendAll(d.Added, dir, y)
			*files += len(d.Added) - n - countDirs(y)
		}
	}
}

// countDirs returns the number of directories at and below an item.
func countDirs(it item) int {
	if it.dir == nil {
		return 0
	}
	n := 1
	for i := range it.dir.entries {
		n += countDirs(it.dir.item(i))
	}
	return n
}

// appendAll appends the path of an item, which is in dir, and of everything below.
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
