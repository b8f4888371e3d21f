package content

import (
	"io/fs"
	"slices"
)

// After returns what a builder has once it, holding sent, was sent m. BuildKit
// asks for a file again only if its size, time, mode or link target differs, and
// never looks again at a directory that stays one (fsutil: sameFile,
// DiskWriter.HandleChange). What else changed is not seen: [Compare] of the
// result with m says what that is. It takes time as Compare does, but where
// files have several names it looks at all of them.
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

// A receipt is how one manifest arrives at a builder that holds another. The
// second and further names of a file are sent as links to the first, and get
// what the builder knows of that (fsutil: setUnixOpt; BuildKit:
// cache/contenthash, HandleChange).
type receipt struct {
	linked      bool
	now, before map[string]string // further name → first name
	firsts      map[string]Entry  // what is held of files, if some have further names
}

// directory returns d's entries as they are held once d was sent to where sent
// was, nil if that is what they are. Without sent, all of it is new.
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

// entry returns e as it is held once it was sent to where old was, and whether
// that is other than it should be.
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

func (r *receipt) subdirectory(path string, e, old Entry) (held Entry, other bool) {
	list := r.directory(path+"/", e.Dir, old.Dir)
	stays := old.Dir != nil && old.Digest != e.Digest
	if list == nil && !stays {
		return e, false
	}
	if list == nil {
		list = e.Dir.list()
	}
	if stays {
		e.Digest, e.Mode = old.Digest, old.Mode
	}
	e.Dir = &Dir{digest: directoryDigest(e.Digest, list), source: entries(list)}
	return e, true
}

// keeps reports whether a file is not asked for again where old is held.
func (r *receipt) keeps(path string, e, old *Entry) bool {
	switch {
	case old.Name == "" || e.sentType() != old.sentType():
		return false
	case e.Mode&fs.ModeDevice != 0 && e.Digest != old.Digest:
		return false // its numbers are looked at
	}
	return e.Size == old.Size && e.Modified == old.Modified && permissions(e.Mode) == permissions(old.Mode) &&
		e.Link == old.Link && r.now[path] == r.before[path]
}

// furtherNames returns the names of files that were sent before under another,
// the first one, in the order of the walk.
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
