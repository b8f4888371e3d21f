package content

import (
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// Taken returns the part of m that the selectors take, as [Manifest.Content] reads
// them. [Compare] of this part in two builds yields the files that gave a step another
// key. Parent directories that do not go into the digest have neither mode nor digest;
// links that were followed are in it, and so is what they lead to. Errors are those of
// Content.
func (m *Manifest) Taken(selectors []dockerfile.Selector) (*Manifest, error) {
	if len(selectors) == 0 {
		return m, nil
	}
	var p picked
	for _, s := range selectors {
		if err := m.root.pick(s, &p); err != nil {
			return nil, err
		}
	}
	if p.whole {
		return m, nil
	}
	taken := p.of(m.root, Digest{})
	taken.digest = directoryDigest(taken.rootHeader(), taken.list())
	return &Manifest{root: taken}, nil
}

// A picked is a node in the tree of the paths that selectors take.
type picked struct {
	whole bool // the path is taken with all that is in it
	self  bool // the path itself is taken
	below map[string]*picked
}

// at returns the node of the cleaned path below p, which it adds if need be.
func (p *picked) at(path string) *picked {
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if name == "" {
			continue
		}
		next := p.below[name]
		if next == nil {
			next = &picked{}
			if p.below == nil {
				p.below = map[string]*picked{}
			}
			p.below[name] = next
		}
		p = next
	}
	return p
}

// link picks a link that was followed.
func (p *picked) link(path string) { p.at(path).self = true }

// of returns the part of d that is picked. header is the digest of d itself.
func (p *picked) of(d *Dir, header Digest) *Dir {
	if p.whole {
		return d
	}
	var list []Entry
	for _, name := range slices.Sorted(maps.Keys(p.below)) {
		e, part := d.find(name), p.below[name]
		if e == nil {
			continue
		}
		kept := *e
		if e.Dir != nil {
			if !part.whole && !part.self {
				kept.Digest, kept.Mode = Digest{}, fs.ModeDir
			}
			kept.Dir = part.of(e.Dir, kept.Digest)
		}
		list = append(list, kept)
	}
	return &Dir{digest: directoryDigest(header, list), source: entries(list)}
}

// pick adds what s takes of d to p.
func (d *Dir) pick(s dockerfile.Selector, p *picked) error {
	name := "/" + strings.TrimPrefix(s.Path, "/")
	if s.Wildcard || len(s.Include)+len(s.Exclude) > 0 {
		_, err := d.hashList(clean(name), s, p)
		return err
	}
	return d.pickPath(name, s.FollowLinks, p)
}

// pickPath adds name with all that is in it, and the links that are followed on the way,
// at the end of the path only if trailing is true.
func (d *Dir) pickPath(name string, trailing bool, p *picked) error {
	at, ok, err := d.trace(clean(name), trailing, p.link)
	if err != nil {
		return err
	}
	if !ok {
		return &NotFoundError{Path: name}
	}
	p.at(at.path).whole = true
	return nil
}
