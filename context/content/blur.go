package content

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

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

	now          *Manifest
	names, links bool // some directory may have had other names, some link another target

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
	b := &Blur{Manifest: m, now: m, changed: changed, dirChanged: dirChanged, remoded: remoded}
	changedRoot := dirChanged(buildctx.Changed(top.Path()))
	list := b.directory(m.root, top, changedRoot, mayHaveMoved(top.Path(), dirChanged))
	switch {
	case changedRoot:
		b.names = true
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

// directory returns the blurred entries of d, nil if none may have been different.
// dirChanged says that other names may have been in it. moved says that it may have
// been moved here with all that is in it, which keeps its times.
func (b *Blur) directory(d *Dir, dir buildctx.SentDir, dirChanged, moved bool) (blurred []Entry) {
	all, i := d.list(), 0
	for f := range dir.All() {
		if i == len(all) || all[i].Name != f.Name {
			b.links, b.names = true, true // dir is no longer what d was made of
			return blurred
		}
		if e, ok := b.entry(all[i], &f, dirChanged, moved); ok {
			if blurred == nil {
				blurred = slices.Clone(all)
			}
			blurred[i] = e
		}
		i++
	}
	return blurred
}

// entry returns e, the entry of f, as it is blurred, and whether it may have been
// different. dirChanged and moved are about the directory that it is in.
func (b *Blur) entry(e Entry, f *buildctx.SentFile, dirChanged, moved bool) (blurred Entry, ok bool) {
	if e.Dir != nil {
		return b.subdirectory(e, f.Dir, dirChanged, moved)
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
func (b *Blur) subdirectory(e Entry, dir buildctx.SentDir, parentChanged, moved bool) (blurred Entry, ok bool) {
	changed := b.dirChanged(buildctx.Changed(dir.Path()))
	list := b.directory(e.Dir, dir, changed, moved || parentChanged && changed)
	names := changed || moved
	b.names = b.names || names
	if names || b.remoded(buildctx.Remoded(dir.Path())) {
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
	return b.Manifest.Digest() == b.now.Digest() && !b.names && !b.links
}

// Content returns what [Manifest.Content] returned at the moment of the blur, or
// [ErrBlurred] if it may have been another digest than now.
func (b *Blur) Content(selected []dockerfile.Selector) (Digest, error) {
	now, err := b.now.Content(selected)
	if err != nil {
		return now, err
	}
	then, err := b.Manifest.Content(selected)
	if err != nil || now != then || b.links {
		return now, ErrBlurred
	}
	// A file that a pattern selected then and that is gone now has left no trace but
	// in the time of its directory.
	for _, s := range selected {
		patterns := s.Wildcard || len(s.Include) > 0 || len(s.Exclude) > 0
		if b.names && patterns {
			return now, ErrBlurred
		}
	}
	return now, nil
}
