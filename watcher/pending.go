package watcher

import (
	"slices"
	"strings"
)

// maxPending is the number of paths above which reading everything again is
// cheaper than naming them.
const maxPending = 100_000

// pending gathers changed paths. Paths are relative, "" being the root. It is
// used by one goroutine.
type pending struct {
	max      int
	overflow bool
	paths    map[string]bool // path -> whether it covers all below it
	whole    int             // how many do
}

func newPending(limit int) *pending {
	return &pending{max: limit, paths: make(map[string]bool)}
}

func (p *pending) empty() bool { return !p.overflow && len(p.paths) == 0 }

// mark adds a path; whole says that it is a directory of which nothing is known.
func (p *pending) mark(rel string, whole bool) {
	if p.overflow || p.covered(rel) {
		return
	}
	was := p.paths[rel]
	p.paths[rel] = was || whole
	if whole && !was {
		p.whole++
	}
	if len(p.paths) > p.max {
		p.doubt()
	}
}

// doubt replaces the paths by the demand to read everything again.
func (p *pending) doubt() {
	p.overflow = true
	p.paths, p.whole = make(map[string]bool), 0
}

// covered reports whether a path above rel covers it.
func (p *pending) covered(rel string) bool {
	if p.whole == 0 || rel == "" {
		return false
	}
	for rel != "" {
		rel = parent(rel)
		if p.paths[rel] {
			return true
		}
	}
	return false
}

// take returns what gathered, and forgets it.
func (p *pending) take() Batch {
	b := Batch{Overflow: p.overflow}
	if n := len(p.paths); n > 0 {
		b.Paths = make([]string, 0, n)
	}
	for rel := range p.paths {
		switch {
		case p.covered(rel):
		case rel == "":
			b.Paths = append(b.Paths, ".")
		default:
			b.Paths = append(b.Paths, rel)
		}
	}
	slices.Sort(b.Paths)
	*p = *newPending(p.max)
	return b
}

// putBack adds a batch that was taken and not delivered.
func (p *pending) putBack(b Batch) {
	if b.Overflow {
		p.doubt()
	}
	for _, rel := range b.Paths {
		if rel == "." {
			rel = ""
		}
		p.mark(rel, false)
	}
}

// parent is the path above rel; that of a top-level path is "".
func parent(rel string) string {
	return rel[:max(0, strings.LastIndexByte(rel, '/'))]
}
