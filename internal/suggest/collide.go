package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// collisions says where the moved COPYs would write over what the installs
// have put there. A node_modules of the host is the classic one: today the
// install comes last and wins, after the move the COPY would.
func (m *move) collisions(b Build) string {
	for _, inst := range m.run.installs {
		for _, i := range m.moved {
			if why := m.writesOver(b, i, inst); why != "" {
				return why
			}
			if inst.output == "" {
				continue
			}
			if why := m.bringsOutput(b, i, inst); why != "" {
				return why
			}
		}
	}
	return ""
}

// writesOver compares a COPY with the fixed places that an install writes to.
func (m *move) writesOver(b Build, i int, inst install) string {
	t, ok := m.view.touches(m.last, inst.dir, nil, nil, inst.writes)
	if !ok {
		return ""
	}
	if p := m.view.clash(b, i, t.writes); p != "" {
		return fmt.Sprintf("`%s` also writes to %s, where %s does", m.text(i), p, inst.tool)
	}
	return ""
}

// bringsOutput deals with a COPY that takes the host's own copy of what the
// install makes: it has to be ignored, which is safe only where it never
// stayed in the image.
func (m *move) bringsOutput(b Build, i int, inst install) string {
	line := m.view.stage.Instructions[i].Lines.From
	if !takesContext(m.view.stage.Instructions[i]) {
		if image := resolve(inst.dir, inst.output, 0); m.view.lands(b, i, image) {
			return fmt.Sprintf("`%s` may write over what %s installed", m.text(i), inst.tool)
		}
		return ""
	}
	probe := path.Join(inst.dir, inst.output, "x", "x.js")
	for _, p := range m.view.sources(b.Context, i, probe) {
		if !b.Context.Takes(line, p) {
			continue
		}
		output := strings.TrimSuffix(p, "/x/x.js")
		if !inst.wipes {
			return fmt.Sprintf("%s is not ignored, and `%s` would write over what %s installed: add it to the ignore file first", output, m.text(i), inst.tool)
		}
		if b.Ignore.Path == "" || b.Ignore.Shared {
			return output + " is not ignored, and other builds share the ignore file: add it there first"
		}
		if by := m.otherTaker(b, p); by != "" {
			return fmt.Sprintf("%s is not ignored, and `%s` takes it as well", output, by)
		}
		m.ignore = output
	}
	return ""
}

// otherTaker returns the text of an instruction, other than the moved ones,
// that takes a context path.
func (m *move) otherTaker(b Build, p string) string {
	for _, st := range m.view.file.Stages {
		for i, in := range st.Instructions {
			if st.Index == m.view.stage.Index && slices.Contains(m.moved, i) {
				continue
			}
			mounts := in.Run != nil && len(in.Run.Mounts) > 0
			if (in.Copy != nil && in.Copy.From == "" || mounts) && b.Context.Takes(in.Lines.From, p) {
				return in.Text
			}
		}
	}
	return ""
}
