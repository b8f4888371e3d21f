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

// ErrBlurred is content that may have been different from what it is now.
var ErrBlurred = errors.New("it changed since")

// A Blur is a manifest of which it is known what is as it was at some moment, by
// what the system says of when files last changed. Everything that may have been
// otherwise has a digest in Manifest that no file has.
type Blur struct {
	Manifest *Manifest

	sharp *Manifest
	// Names may have come or gone in some directory; a link may have led elsewhere.
	names, links bool

	changed             func(mtime, ctime int64) bool
	dirChanged, remoded func(ctime int64) bool
}

// NewBlur returns what of m, which is of top, may have been otherwise. changed is
// asked with the times of the last change of a file's content and of anything of
// it, in nanoseconds, dirChanged with the latter of a directory: false says that it had
// the same names. remoded is asked with [buildctx.Remoded] of such a directory: false
// says that it had the same mode. It takes time as a walk does.
func NewBlur(m *Manifest, top buildctx.SentDir, changed func(mtime, ctime int64) bool, dirChanged, remoded func(ctime int64) bool) *Blur {
	b := &Blur{Manifest: m, sharp: m, changed: changed, dirChanged: dirChanged, remoded: remoded}
	changedRoot := dirChanged(buildctx.Changed(top.Path()))
	list := b.directory(m.root, top, changedRoot, cameFrom(top.Path(), dirChanged))
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

// cameFrom reports whether the folder at path, or one above it, may have taken the
// place of another: a move shows in its own time, and in that of the folder that it
// is in now.
func cameFrom(path string, dirChanged func(ctime int64) bool) bool {
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

// directory returns d's entries where some of them may have been otherwise.
// dirChanged says that names may have come and gone in it, came that all of it may
// have come from elsewhere: what is in a directory that is moved keeps its times.
func (b *Blur) directory(d *Dir, dir buildctx.SentDir, dirChanged, came bool) (blurred []Entry) {
	all, i := d.list(), 0
	put := func(e Entry) {
		if blurred == nil {
			blurred = slices.Clone(all)
		}
		blurred[i] = e
	}
	for f := range dir.All() {
		if i == len(all) || all[i].Name != f.Name {
			b.links, b.names = true, true // it is of something else
			return blurred
		}
		e := all[i]
		_, mtime, ctime, _ := f.Stamp.Parts()
		switch {
		case e.Dir != nil:
			changed := b.dirChanged(buildctx.Changed(f.Dir.Path()))
			in := b.directory(e.Dir, f.Dir, changed, came || dirChanged && changed)
			names := changed || came
			if b.names = b.names || names; names || b.remoded(buildctx.Remoded(f.Dir.Path())) {
				e.Digest = unknown(e.Digest)
			} else if in == nil {
				break
			}
			if in == nil {
				in = e.Dir.list()
			}
			e.Dir = &Dir{digest: directoryDigest(e.Digest, in), source: entries(in)}
			put(e)
		case came, ctime == 0 && b.changed(mtime, math.MaxInt64), ctime != 0 && b.changed(mtime, ctime):
			b.links = b.links || e.Mode&fs.ModeSymlink != 0
			e.Digest = unknown(e.Digest)
			put(e)
		}
		i++
	}
	return blurred
}

// unknown returns a digest that nothing has.
func unknown(d Digest) Digest { return sha256.Sum256(append([]byte("unknown\x00"), d[:]...)) }

// Sharp reports whether nothing may have been otherwise.
func (b *Blur) Sharp() bool {
	return b.Manifest.Digest() == b.sharp.Digest() && !b.names && !b.links
}

// Content is that of the manifest, or ErrBlurred. What a pattern would have taken
// that is not there any more shows only in directories.
func (b *Blur) Content(selected []dockerfile.Selector) (Digest, error) {
	now, err := b.sharp.Content(selected)
	if err != nil {
		return now, err
	}
	then, err := b.Manifest.Content(selected)
	if err != nil || now != then || b.links {
		return now, ErrBlurred
	}
	for _, s := range selected {
		patterns := s.Wildcard || len(s.Include) > 0 || len(s.Exclude) > 0
		if b.names && patterns {
			return now, ErrBlurred
		}
	}
	return now, nil
}
