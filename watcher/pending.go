package watcher

import (
	"slices"
	"strings"
)

// maxPending is the number of paths above which it is cheaper to read everything
// again than to list them.
const maxPending = 100_000

// pending collects changed paths, which are relative to the root, itself "". It is
// not safe for concurrent use.
type pending struct {
	max      int
	overflow bool
	paths    map[string]bool // path -> whether everything below it is covered too
	trees    int             // number of paths for which that is so
}

func newPending(limit int) *pending {
	return &pending{max: limit, paths: make(map[string]bool)}
}

func (p *pending) empty() bool { return !p.overflow && len(p.paths) == 0 }

// mark adds a path.
func (p *pending) mark(rel string) { p.add(rel, false) }

// markTree adds a directory, and covers everything below it.
func (p *pending) markTree(rel string) { p.add(rel, true) }

func (p *pending) add(rel string, tree bool) {
	if p.overflow || p.covered(rel) {
		return
	}
	was := p.paths[rel]
	p.paths[rel] = was || tree
	if tree && !was {
		p.trees++
	}
	if len(p.paths) > p.max {
		p.doubt()
	}
}

// doubt replaces all paths by an overflow.
func (p *pending) doubt() {
	p.overflow = true
	p.paths, p.trees = make(map[string]bool), 0
}

// covered reports whether a directory above rel covers it.
func (p *pending) covered(rel string) bool {
	if p.trees == 0 || rel == "" {
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

// take returns everything that was collected as a batch, and starts over.
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

// putBack adds a batch that was taken but not delivered.
func (p *pending) putBack(b Batch) {
	if b.Overflow {
		p.doubt()
	}
	for _, rel := range b.Paths {
		if rel == "." {
			rel = ""
		}
		p.mark(rel)
	}
}

// parent returns the path of the directory that rel is in, "" for the root.
func parent(rel string) string {
	return rel[:max(0, strings.LastIndexByte(rel, '/'))]
}
