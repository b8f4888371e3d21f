package content

import (
	"io/fs"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
)

// Between tells what of m, the manifest of what is sent of now, was the same all the
// time since before, an earlier look at the same directory: of files that are in both,
// those with another [buildctx.Stamp] may have been different in between, even if they
// are now what they were. It looks only into directories in which something changed.
//
// A name that came and went in between leaves no trace in a look: see [NewBlurAt].
func Between(m *Manifest, before, now buildctx.SentDir) *Blur {
	b := &Blur{Manifest: m, now: m}
	if list := b.between(m.root, before, now); list != nil {
		b.Manifest = &Manifest{root: &Dir{digest: directoryDigest(m.root.rootHeader(), list), source: entries(list)}}
	}
	return b
}

// between returns the blurred entries of d, which is made of now; nil if none may have
// been different.
func (b *Blur) between(d *Dir, before, now buildctx.SentDir) (blurred []Entry) {
	if before.Listing(before.AtMost()).Of(now) {
		return nil
	}
	was := map[string]buildctx.SentFile{}
	for f := range before.All() {
		was[f.Name] = f
	}
	list := d.list()
	for f := range now.All() {
		i, known := slices.BinarySearchFunc(list, f.Name, func(e Entry, name string) int { return strings.Compare(e.Name, name) })
		old, there := was[f.Name]
		if !known || !there {
			continue // the manifests differ
		}
		e := list[i]
		switch {
		case e.Dir != nil:
			below := b.between(e.Dir, old.Dir, f.Dir)
			if below == nil {
				continue
			}
			e.Dir = &Dir{digest: directoryDigest(e.Digest, below), source: entries(below)}
		case old.Stamp == f.Stamp:
			continue
		default:
			b.links = b.links || e.Mode&fs.ModeSymlink != 0
			e.Digest = unknown(e.Digest)
		}
		if blurred == nil {
			blurred = slices.Clone(list)
		}
		blurred[i] = e
	}
	return blurred
}
