package watcher

import (
	"slices"
	"strings"
)

// A watchMode says how changes in a directory are noticed.
type watchMode uint8

const (
	watched watchMode = iota // by the kernel
	polled                   // by us, see poll.go
	pruned                   // not at all; it has no directories below it in the table
)

// A dir is a directory in the table. There may be very many, so it is kept small:
// 56 bytes with its slot in kids, as the name shares the memory of the path that
// fsnotify keeps anyway.
type dir struct {
	name  string
	kids  *[]*dir // sorted by name; nil, as in most directories, if there are none
	ino   uint64
	epoch uint32 // loop.epoch when it was added
	mode  watchMode
}

// A table is the tree of known directories; the path of the root is "". It is not a
// map by path, because a rename concerns everything below a directory.
type table struct{ root *dir }

// below returns the directories directly below d, sorted by name.
func (d *dir) below() []*dir {
	if d.kids == nil {
		return nil
	}
	return *d.kids
}

// setBelow replaces the directories directly below d.
func (d *dir) setBelow(kids []*dir) {
	if d.kids == nil {
		d.kids = new([]*dir)
	}
	*d.kids = kids
}

// index returns the place of name in d.below(), and whether it is there.
func (d *dir) index(name string) (int, bool) {
	return slices.BinarySearchFunc(d.below(), name, func(k *dir, name string) int {
		return strings.Compare(k.name, name)
	})
}

// find returns the directory rel, or nil if it is not in the table. hidden is true if
// rel lies below a pruned directory.
func (t *table) find(rel string) (d *dir, hidden bool) {
	d = t.root
	for d != nil && rel != "" {
		if d.mode == pruned {
			return nil, true
		}
		name, rest, _ := strings.Cut(rel, "/")
		i, ok := d.index(name)
		if !ok {
			return nil, false
		}
		d, rel = d.below()[i], rest
	}
	return d, false
}

// put inserts d as rel, which must not be in the table. It returns false if the
// parent of rel is not in the table, or is pruned.
func (t *table) put(rel string, d *dir) bool {
	if rel == "" {
		t.root = d
		return true
	}
	up, _ := t.find(parent(rel))
	if up == nil || up.mode == pruned {
		return false
	}
	i, _ := up.index(d.name)
	up.setBelow(slices.Insert(up.below(), i, d))
	return true
}

// cut removes the directory rel with everything below it, and returns it, or nil if
// it was not in the table.
func (t *table) cut(rel string) *dir {
	d, _ := t.find(rel)
	if d == nil {
		return nil
	}
	if rel == "" {
		t.root = nil
		return d
	}
	up, _ := t.find(parent(rel))
	i, _ := up.index(d.name)
	up.setBelow(slices.Delete(up.below(), i, i+1))
	return d
}

// each calls fn for d, whose path is rel, and for everything below it, parents first.
func (d *dir) each(rel string, fn func(rel string, d *dir)) {
	fn(rel, d)
	for _, k := range d.below() {
		k.each(join(rel, k.name), fn)
	}
}

// join returns the path of name in the directory rel, which may be the root.
func join(rel, name string) string {
	if rel == "" {
		return name
	}
	return rel + "/" + name
}
