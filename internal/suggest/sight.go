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
	if s, ok := o.sights[[2]int{n, t}]; ok {
		return s
	}
	v, b := o.view, o.in.Builds[n]
	s := sight{touched: touch{reads: slices.Concat(run.touch.reads, run.entered), writes: slices.Clone(run.touch.writes), enters: run.touch.enters, fresh: slices.Clone(run.touch.fresh)}, ok: true}
	for _, inst := range run.installs {
		m := &move{view: v, last: t, context: b.Context}
		r := m.reader(b, inst)
		list := r.list
		r.list = func(dir, pattern string) []string {
			s.searched = append(s.searched, path.Join(dir, fixed(pattern)))
			return list(dir, pattern)
		}
		if inst.discover != nil {
			inst.main = inst.discover(r)
		}
		more, obstacle := inst.widen(r)
		w, ok := v.touches(t, inst.dir, nil, inst.reads, inst.writes)
		if obstacle != "" || !ok {
			s.ok = false
			break
		}
		s.touched.reads = slices.Concat(s.touched.reads, inst.main, inst.extra, more)
		s.touched.add(w)
		if inst.output != "" {
			s.touched.writes = append(s.touched.writes, resolve(inst.dir, inst.output, 0))
		}
	}
	if len(run.installs) > 0 {
		s.touched.follows(touch{reads: s.touched.reads[len(run.touch.reads)+len(run.entered):], writes: s.touched.writes[len(run.touch.writes):]})
	}
	if o.sights == nil {
		o.sights = map[[2]int]sight{}
	}
	o.sights[[2]int{n, t}] = s
	return s
}
