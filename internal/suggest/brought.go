package suggest

import (
	"path"
	"slices"

	"github.com/stokerd/stoker/context/dockerfile"
)

// brought reports whether the RUNs have nothing to download, because above each a COPY brings
// the folder into which the tool has installed in another stage.
func (p *mountPlan) brought(f *dockerfile.File) bool {
	found := 0
	for _, st := range f.Stages {
		v, have := newStageView(f, st), false
		for i, ins := range st.Instructions {
			have = have || ins.Copy != nil && p.filled(f, v, i)
			if have && slices.ContainsFunc(p.runs, func(r dockerfile.Instruction) bool { return r.Lines == ins.Lines }) {
				found++
			}
		}
	}
	return found == len(p.runs)
}

// filled reports whether instruction i, a COPY, takes from another stage the folder in which
// the tool ran, or the one into which it installed there. An install that empties its folder
// first does not count: run again, it downloads everything again.
func (p *mountPlan) filled(f *dockerfile.File, v *stageView, i int) bool {
	c := v.stage.Instructions[i].Copy
	from := f.StageOf(c.From)
	if c.From == "" || from < 0 {
		return false
	}
	there := newStageView(f, f.Stages[from])
	for k, ins := range there.stage.Instructions {
		if ins.Run == nil {
			continue
		}
		commands, ok := there.everyCommand(k)
		if !ok || !slices.ContainsFunc(commands, func(c command) bool {
			inst, known := recognise(c, there.dirs[k])
			return c.is(p.tool) && known && !inst.wipes
		}) {
			continue
		}
		for _, source := range c.Sources {
			source = path.Clean("/" + expand(source, v.env[i]))
			_, whole := below(source, there.dirs[k])
			if whole && source != "/" || path.Dir(source) == there.dirs[k] && slices.Contains([]string{".venv", "venv", "node_modules", "vendor"}, path.Base(source)) {
				return true
			}
		}
	}
	return false
}
