package suggest

import (
	"path"
	"slices"
)

// A sight is what a RUN, with its installs, reads and writes in one build.
type sight struct {
	touched  touch
	searched []string // folders in which it looks for files by a pattern
	ok       bool     // it is known that this is all
}

// look returns the sight of instruction t, a RUN whose commands are known, in build n. It
// can read only what the instructions above it bring today.
func (o *ordering) look(n, t int, run runView) sight {
	v, b, memory := o.view, o.in.Builds[n], o.in.shared
	key := seen{view: v, build: b.id, at: t}
	if memory != nil {
		if s, ok := memory.sights[key]; ok {
			return s
		}
	}
	s := sight{touched: touch{reads: slices.Concat(run.touch.reads, run.entered), writes: slices.Clone(run.touch.writes), enters: run.touch.enters, fresh: slices.Clone(run.touch.fresh)}, ok: true}
	for _, inst := range run.installs {
		m := &move{in: o.in, view: v, last: t, context: b.Context}
		r := m.reader(b, inst)
		list := r.list
		r.list = func(dir, pattern string) []string {
			s.searched = append(s.searched, path.Join(dir, fixed(pattern)))
			return list(dir, pattern)
		}
		if inst.discover != nil {
			inst.main = inst.discover(r)
		}
		wide := m.widen(b, inst)
		s.searched = append(s.searched, wide.searched...)
		w, ok := v.touches(t, inst.dir, nil, inst.reads, inst.writes)
		if wide.obstacle != "" || !ok {
			s.ok = false
			break
		}
		s.touched.reads = slices.Concat(s.touched.reads, inst.main, inst.extra, wide.more)
		s.touched.add(w)
		if inst.output != "" {
			s.touched.writes = append(s.touched.writes, resolve(inst.dir, inst.output, 0))
		}
	}
	if len(run.installs) > 0 {
		s.touched.follows(touch{reads: s.touched.reads[len(run.touch.reads)+len(run.entered):], writes: s.touched.writes[len(run.touch.writes):]})
	}
	s.touched, s.searched = s.touched.clipped(), slices.Clip(s.searched)
	if memory != nil {
		memory.sights[key] = s
	}
	return s
}
