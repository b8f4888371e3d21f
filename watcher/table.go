package watcher

import (
	"slices"
	"strings"
)

// how a directory in the table is looked after.
type how uint8

const (
	watched how = iota // by the kernel
	polled             // by us, see poll.go
	pruned             // not at all; it has no directories below it in the table
)

// dir is a directory in the table. There is one for each that matters, so every
// byte counts: 56 with its slot in kids, the name being a part of the path
// string that fsnotify keeps anyway.
type dir struct {
	name  string
	kids  *[]*dir // sorted by name; nil for none, as of most
	ino   uint64
	epoch uint32 // value of loop.epoch when it was added
	how   how
}

// table is the tree of directories below the root, which is "". A tree and not a
// map of paths, because a rename concerns all that lies below.
type table struct{ root *dir }

// below returns the directories directly below d, sorted by name.
func (d *dir) below() []*dir {
	if d.kids == nil {
		return nil
	}
	return *d.kids
}

// setBelow replaces them.
func (d *dir) setBelow(kids []*dir) {
	if d.kids == nil {
		d.kids = new([]*dir)
	}
	*d.kids = kids
}

func (d *dir) index(name string) (int, bool) {
	return slices.BinarySearchFunc(d.below(), name, func(k *dir, name string) int {
		return strings.Compare(k.name, name)
	})
}

// find returns the directory rel, or nil. hidden is true if rel lies below a
// pruned directory.
func (t *table) find(rel string) (d *dir, hidden bool) {
	d = t.root
	for d != nil && rel != "" {
		if d.how == pruned {
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

// put inserts d as rel, which must not be there. It reports false if the
// directory above is not in the table, or pruned.
func (t *table) put(rel string, d *dir) bool {
	if rel == "" {
		t.root = d
		return true
	}
	up, _ := t.find(parent(rel))
	if up == nil || up.how == pruned {
		return false
	}
	i, _ := up.index(d.name)
	up.setBelow(slices.Insert(up.below(), i, d))
	return true
}

// cut takes the directory rel out, with all below it, and returns it, or nil.
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

// each calls fn for d, which is rel, and for all below it, parents first.
func (d *dir) each(rel string, fn func(rel string, d *dir)) {
	fn(rel, d)
	for _, k := range d.below() {
		k.each(join(rel, k.name), fn)
	}
}

// join is rel/name, where rel may be the root.
func join(rel, name string) string {
	if rel == "" {
		return name
	}
	return rel + "/" + name
}
