package suggest

import (
	"cmp"
	"path"
	"slices"
)

// A wider is what an install of instruction m.last reads in a build beside its manifests.
type wider struct {
	more     []string // as of install.widen
	obstacle string
	searched []string // folders in which it looks for files by a pattern
	link     string   // as of move.trace
}

// widen returns what inst, an install of m.last, reads in a build beside its manifests. The answer must
// not be changed in place.
func (m *move) widen(b Build, inst install) wider {
	key := widening{view: m.view, at: m.last, install: inst.nth, build: b.id}
	remembers := m.in.shared != nil && inst.nth > 0
	if remembers {
		if w, ok := m.in.shared.widened[key]; ok {
			m.link = cmp.Or(m.link, w.link)
			return w
		}
	}
	var w wider
	at := move{view: m.view, last: m.last, context: b.Context}
	r := at.reader(b, inst)
	list := r.list
	r.list = func(dir, pattern string) []string {
		w.searched = append(w.searched, path.Join(dir, fixed(pattern)))
		return list(dir, pattern)
	}
	w.more, w.obstacle = inst.widen(r)
	w.more, w.link = slices.Clip(w.more), at.link
	if remembers {
		m.in.shared.widened[key] = w
	}
	m.link = cmp.Or(m.link, w.link)
	return w
}

// A widening is an install of a RUN in a build.
type widening struct {
	view               *stageView
	at, install, build int
}
