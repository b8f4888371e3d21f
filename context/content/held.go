package content

import (
	"io/fs"
	"slices"
)

// After returns what a builder has after m was sent to it, if it had sent before.
//
// BuildKit requests a file again only if its size, time, mode or link target differs,
// and keeps the metadata of a directory that it has (fsutil: sameFile,
// DiskWriter.HandleChange). Other changes go unseen, and [Compare] of m with the result
// yields them. After looks only into directories in which something differs, unless
// some file has several names; then it looks into all.
func (m *Manifest) After(sent *Manifest) *Manifest {
	r := receipt{linked: m.root.linked() || sent.root.linked(), firsts: map[string]Entry{}}
	if r.linked {
		r.now, r.before = m.furtherNames(), sent.furtherNames()
	}
	list := r.directory("", m.root, sent.root)
	if list == nil {
		return m
	}
	root := &Dir{digest: directoryDigest(m.root.rootHeader(), list), source: entries(list)}
	return &Manifest{root: root}
}

// A receipt computes what a builder has after a manifest was sent to it.
//
// Of a file with several names only the first, in the order of the walk, is sent as a
// file. The further names are sent as links to it, and get the digest that the builder
// has for the first (fsutil: setUnixOpt; BuildKit: cache/contenthash, HandleChange).
type receipt struct {
	linked      bool              // some file has several names
	now, before map[string]string // further name → first name, in what is sent and in what was
	firsts      map[string]Entry  // path → the file as the builder has it; empty unless linked
}

// directory returns the entries of d as the builder has them after d was sent, nil if
// they are those of d. sent is what the builder had at the path; nil if it had no
// directory.
func (r *receipt) directory(prefix string, d, sent *Dir) []Entry {
	var held []Entry
	var left []Entry
	if sent != nil {
		left = sent.list()
	}
	entries := d.list()
	for i := range entries {
		for len(left) > 0 && left[0].Name < entries[i].Name {
			left = left[1:]
		}
		var old Entry
		if len(left) > 0 && left[0].Name == entries[i].Name {
			old = left[0]
		}
		e, other := r.entry(prefix+entries[i].Name, entries[i], old)
		if !other {
			continue
		}
		if held == nil {
			held = slices.Clone(entries)
		}
		held[i] = e
	}
	return held
}

// entry returns e as the builder has it after e was sent, and whether it differs from
// e. old is what the builder had at the path, the zero Entry for nothing.
func (r *receipt) entry(path string, e, old Entry) (held Entry, other bool) {
	switch {
	case old.Name != "" && !r.linked && e.whole() == old.whole():
		return e, false
	case e.Dir != nil:
		return r.subdirectory(path, e, old)
	}
	held = e
	if r.keeps(path, &e, &old) {
		held.Digest, held.Data = old.Digest, old.Data
	} else if first := r.now[path]; first != "" {
		held.Digest, held.Data = r.firsts[first].Digest, r.firsts[first].Data
	}
	if r.linked {
		r.firsts[path] = held
	}
	return held, held.Digest != e.Digest
}

// subdirectory is entry for a directory.
func (r *receipt) subdirectory(path string, e, old Entry) (held Entry, other bool) {
	list := r.directory(path+"/", e.Dir, old.Dir)
	keepsOld := old.Dir != nil && old.Digest != e.Digest // the metadata
	if list == nil && !keepsOld {
		return e, false
	}
	if list == nil {
		list = e.Dir.list()
	}
	if keepsOld {
		e.Digest, e.Mode = old.Digest, old.Mode
	}
	e.Dir = &Dir{digest: directoryDigest(e.Digest, list), source: entries(list)}
	return e, true
}

// keeps reports whether the builder keeps old instead of requesting the file e.
func (r *receipt) keeps(path string, e, old *Entry) bool {
	switch {
	case old.Name == "" || e.sentType() != old.sentType():
		return false
	case e.Mode&fs.ModeDevice != 0 && e.Digest != old.Digest:
		return false // the numbers of a device are compared
	}
	return e.Size == old.Size && e.Modified == old.Modified && permissions(e.Mode) == permissions(old.Mode) &&
		e.Link == old.Link && r.now[path] == r.before[path]
}

// furtherNames returns, for each name of a file but the first in the order of the walk,
// that first name.
func (m *Manifest) furtherNames() map[string]string {
	further := map[string]string{}
	type name struct {
		path  string
		links bool
	}
	seen := map[uint64]name{}
	var walk func(prefix string, d *Dir)
	walk = func(prefix string, d *Dir) {
		entries := d.list()
		for i := range entries {
			e, path := &entries[i], prefix+entries[i].Name
			if e.Dir != nil {
				walk(path+"/", e.Dir)
			}
			if e.inode == 0 {
				continue
			}
			switch first, ok := seen[e.inode]; {
			case ok && (e.links || first.links):
				further[path] = first.path
			case !ok:
				seen[e.inode] = name{path, e.links}
			}
		}
	}
	walk("", m.root)
	return further
}
