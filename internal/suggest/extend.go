package suggest

import "slices"

// extend extends the move to installs directly below, which gain from it too.
func (m *move) extend(b Build) {
	if m.obstacle != "" || m.run.tail || m.download {
		return
	}
	for k := m.last + 1; k < len(m.view.stage.Instructions); k++ {
		in := m.view.stage.Instructions[k]
		if in.Run == nil {
			switch in.Keyword {
			case "LABEL", "EXPOSE", "CMD", "ENTRYPOINT", "HEALTHCHECK", "STOPSIGNAL", "USER", "WORKDIR", "ENV", "ARG":
				continue
			}
			return
		}
		view := viewRun(m.view, k)
		if view.known && len(view.installs) == 0 && m.clashes(b, k, view.touch) == "" {
			continue
		}
		next := &move{in: m.in, view: m.view, last: k, run: view, known: m.known, past: append(slices.Clone(m.past), m.last)}
		if len(view.installs) == 0 || !next.plan(b) || next.obstacle != "" || !slices.Equal(next.moved, m.moved) {
			return
		}
		m.join(next)
		return // next has gone on by itself
	}
}

// join adds what the move below a later install needs.
func (m *move) join(next *move) {
	have := slices.Clone(m.files)
	for _, n := range next.needs {
		n.files = slices.DeleteFunc(n.files, func(f string) bool { return slices.Contains(have, f) })
		if len(n.files) > 0 {
			m.needs = append(m.needs, n)
			m.files = append(m.files, n.files...)
		}
	}
	m.installs = append(m.installs, next.installs...)
	m.last, m.run, m.inPlace, m.absolute = next.last, next.run, m.inPlace || next.inPlace, next.absolute
	for _, line := range next.ignore {
		m.leave(line)
	}
}
