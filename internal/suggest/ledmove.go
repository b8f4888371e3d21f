package suggest

import "slices"

// look fills m.ways.
func (m *move) look(b Build) {
	if m.ways == nil {
		m.ways = append([]way{}, m.in.waysIn(b, m.view)...)
	}
}

// led says by what link instruction t, which touches these paths, or a moved COPY above it may work
// where the other does, or returns "".
func (m *move) led(b Build, t int, touched touch) string {
	m.look(b)
	if !slices.ContainsFunc(slices.Concat(touched.reads, touched.writes, touched.enters), notPlace) {
		return ""
	}
	ins := m.view.stage.Instructions
	if w, ok := through(m.ways, t, touched); ok {
		return w.made(ins) + " may lead `" + m.text(t) + "` to what is copied"
	}
	for _, i := range m.moved {
		for _, w := range m.ways {
			if i < t && w.at < i && !w.doubt && w.leads(m.view.dest(i), false) {
				return w.made(ins) + " may lead `" + m.text(i) + "` to where `" + m.text(t) + "` works"
			}
		}
	}
	return ""
}
