package content

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
)

// ErrBlurred says that content may have been different at the moment of a [Blur].
var ErrBlurred = errors.New("it changed since")

// A Blur tells what of a manifest was the same at some moment in the past, by the times
// at which files and directories last changed.
type Blur struct {
	// Manifest is the manifest as it is now, except that whatever may have been
	// different at that moment has a digest that no file has.
	Manifest *Manifest

	now   *Manifest
	names []string // cleaned paths of the directories that may have had other names
	links bool     // some link may have had another target

	changed             func(mtime, ctime int64) bool
	dirChanged, remoded func(ctime int64) bool
}

// NewBlur returns the blur of m, the manifest of what is sent of top. The moment is
// given by three functions of times in nanoseconds:
//
//   - changed reports whether a file with these times may have been different,
//   - dirChanged whether a directory with this ctime may have had other names in it,
//   - remoded whether a directory with this [buildctx.Remoded] may have had another
//     mode.
//
// It takes as long as a walk over top.
func NewBlur(m *Manifest, top buildctx.SentDir, changed func(mtime, ctime int64) bool, dirChanged, remoded func(ctime int64) bool) *Blur {
	return newBlur(m, top, &picked{whole: true}, changed, dirChanged, remoded)
}

// NewBlurAt is NewBlur where it is known that nothing changed since the moment but
// what is at or below some paths, which are slash-separated and relative to top. They
// may name what is no longer there. It looks only into the directories that hold them.
func NewBlurAt(m *Manifest, top buildctx.SentDir, paths []string, changed func(mtime, ctime int64) bool, dirChanged, remoded func(ctime int64) bool) *Blur {
	where := &picked{}
	for _, name := range paths {
		where.at(clean(name)).whole = true
	}
	return newBlur(m, top, where, changed, dirChanged, remoded)
}

func newBlur(m *Manifest, top buildctx.SentDir, where *picked, changed func(mtime, ctime int64) bool, dirChanged, remoded func(ctime int64) bool) *Blur {
	b := &Blur{Manifest: m, now: m, changed: changed, dirChanged: dirChanged, remoded: remoded}
	moved := where.whole && mayHaveMoved(top.Path(), dirChanged)
	list, changedRoot := b.directory("", m.root, top, where, moved)
	switch {
	case changedRoot:
		if list == nil {
			list = m.root.list()
		}
		b.Manifest = &Manifest{root: &Dir{digest: unknown(m.root.digest), source: entries(list)}}
	case list != nil:
		b.Manifest = &Manifest{root: &Dir{digest: directoryDigest(m.root.rootHeader(), list), source: entries(list)}}
	}
	return b
}

// mayHaveMoved reports whether the directory at path, or one above it, may have been
// moved to where it is now. A move changes the ctime of the directory and that of its
// new parent.
func mayHaveMoved(path string, dirChanged func(ctime int64) bool) bool {
	changed := dirChanged(buildctx.Changed(path))
	for parent := filepath.Dir(path); parent != path; parent = filepath.Dir(path) {
		above := dirChanged(buildctx.Changed(parent))
		if changed && above {
			return true
		}
		path, changed = parent, above
	}
	return false
}

// directory returns the blurred entries of d, which is at path; nil if none may have been
// different. where is the part of it that is looked at. changed says that other names may
// have been in it. moved says that it may have been moved here with all that is in it,
// which keeps its times.
func (b *Blur) directory(path string, d *Dir, dir buildctx.SentDir, where *picked, moved bool) (blurred []Entry, changed bool) {
	late := b.dirChanged(buildctx.Changed(dir.Path()))
	changed = where.whole && (late || moved)
	all, left := d.list(), maps.Clone(where.below)
	for f := range dir.All() {
		part := where
		if !where.whole {
			if part = left[f.Name]; part == nil {
				continue
			}
			delete(left, f.Name)
		}
		i, known := slices.BinarySearchFunc(all, f.Name, func(e Entry, name string) int { return strings.Compare(e.Name, name) })
		if !known {
			b.links, changed = true, true // dir is no longer what d was made of
			continue
		}
		if e, ok := b.entry(path+"/"+f.Name, all[i], &f, part, late, moved); ok {
			if blurred == nil {
				blurred = slices.Clone(all)
			}
			blurred[i] = e
		}
	}
	for name := range left { // it is not there, and may have been
		changed = changed || !where.whole && late && dir.Sends(name)
	}
	if changed {
		b.names = append(b.names, path)
	}
	return blurred, changed
}

// entry returns e, the entry of f at path, as it is blurred, and whether it may have been
// different. late says that the names in the directory that it is in changed since the
// moment; moved is about that directory, too.
func (b *Blur) entry(path string, e Entry, f *buildctx.SentFile, where *picked, late, moved bool) (blurred Entry, ok bool) {
	if e.Dir != nil {
		return b.subdirectory(path, e, f.Dir, where, late, moved)
	}
	_, mtime, ctime, _ := f.Stamp.Parts()
	if ctime == 0 {
		ctime = math.MaxInt64 // unknown
	}
	if !moved && !b.changed(mtime, ctime) {
		return e, false
	}
	b.links = b.links || e.Mode&fs.ModeSymlink != 0
	e.Digest = unknown(e.Digest)
	return e, true
}

// subdirectory is entry for a directory.
func (b *Blur) subdirectory(path string, e Entry, dir buildctx.SentDir, where *picked, parentLate, moved bool) (blurred Entry, ok bool) {
	moved = moved || where.whole && parentLate && b.dirChanged(buildctx.Changed(dir.Path()))
	list, names := b.directory(path, e.Dir, dir, where, moved)
	if names || where.whole && b.remoded(buildctx.Remoded(dir.Path())) {
		e.Digest = unknown(e.Digest)
	} else if list == nil {
		return e, false
	}
	if list == nil {
		list = e.Dir.list()
	}
	e.Dir = &Dir{digest: directoryDigest(e.Digest, list), source: entries(list)}
	return e, true
}

// unknown returns a digest that no file has, in place of d.
func unknown(d Digest) Digest { return sha256.Sum256(append([]byte("unknown\x00"), d[:]...)) }

// Sharp reports whether everything was certainly the same.
func (b *Blur) Sharp() bool {
	return b.Manifest.Digest() == b.now.Digest() && len(b.names) == 0 && !b.links
}

// Content returns what [Manifest.Content] returned at the moment of the blur, or
// [ErrBlurred] if it may have been another digest than now.
func (b *Blur) Content(selected []dockerfile.Selector) (Digest, error) {
	now, err := b.now.Content(selected)
	if err != nil {
		return now, err
	}
	then, err := b.Manifest.Content(selected)
	if err != nil || now != then || b.links || slices.ContainsFunc(selected, b.mayList) {
		return now, ErrBlurred
	}
	return now, nil
}

// mayList reports whether s has patterns and they may have selected a file that is gone
// now. That has left no trace but in the time of its directory.
func (b *Blur) mayList(s dockerfile.Selector) bool {
	if len(b.names) == 0 || !s.Wildcard && len(s.Include)+len(s.Exclude) == 0 {
		return false
	}
	from := clean(s.Path)
	if i := strings.IndexAny(from, `*?[\`); s.Wildcard && i >= 0 {
		from = from[:strings.LastIndexByte(from[:i], '/')]
	}
	if at, ok := b.now.root.get(from); !ok || at.dir == nil {
		return true // a link may lead anywhere
	}
	return slices.ContainsFunc(b.names, func(dir string) bool { return dir == from || strings.HasPrefix(dir, from+"/") })
}
