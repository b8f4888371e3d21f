package content

import (
	"crypto/sha256"
	"path"

	"github.com/stokerd/stoker/context/dockerfile"
)

// Content returns the digest by which BuildKit keys an input of which a step
// takes the selectors, all of it if there are none. Selectors have the order
// that BuildKit gives them, for the digest depends on it. What the build would
// fail on is an error: a [*NotFoundError], links in a circle, a bad pattern.
func (m *Manifest) Content(selectors []dockerfile.Selector) (Digest, error) {
	if len(selectors) == 0 {
		selectors = []dockerfile.Selector{{}}
	}
	var b []byte
	for i, s := range selectors {
		if i > 0 {
			b = append(b, 0)
		}
		d, err := m.Checksum(s)
		if err != nil {
			return Digest{}, err
		}
		b = d.appendText(b)
	}
	return sha256.Sum256(b), nil
}

// Checksum returns the digest of one selector's files (BuildKit:
// cache/contenthash, Checksum).
func (m *Manifest) Checksum(s dockerfile.Selector) (Digest, error) {
	p := path.Join("/", s.Path)
	if s.Wildcard || len(s.Include)+len(s.Exclude) > 0 {
		return m.root.hashList(p, s, nil)
	}
	return m.root.checksum(p, s.FollowLinks)
}

func (d *Dir) checksum(p string, trailing bool) (Digest, error) {
	at, ok, err := d.follow(clean(p), trailing)
	if err != nil {
		return Digest{}, err
	}
	if !ok {
		return Digest{}, &NotFoundError{Path: p}
	}
	return at.digest(), nil
}
