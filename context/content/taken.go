package content

import (
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// Taken returns what of m the selectors take, as [Manifest.Content] reads them: of
// two builds, [Compare] of that says which files gave a step another key. What is
// on the way to it, and does not count itself, is there without mode and digest;
// links that were followed are there with what they lead to. Errors are those of
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

// A picked says what of a path is taken.
type picked struct {
	whole bool // it, and all that is in it
	self  bool // it, without what is in it
	below map[string]*picked
}

// at returns what is picked of the cleaned path below p.
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

// of returns the part of d that is picked; header is what counts of d itself.
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

// pickPath adds all that is at name, and the links that lead there.
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
