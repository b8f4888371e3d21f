package suggest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A pushdown is manifests-first for sources that a base stage copies while the stages that start from
// it, its heirs, install: the COPY goes into each heir, below the install where there is one.
type pushdown struct {
	base  dockerfile.Stage
	moves []*move            // of the heirs that install, with the instructions of the base stages above
	rest  []dockerfile.Stage // the other heirs
}

// findPushdowns computes the suggestions of manifestsFirst for base stages.
func findPushdowns(in Input) []Suggestion {
	var list []Suggestion
	needed := reachable(in.File, in.Builds[0].Target)
	for i, st := range in.File.Stages {
		if !needed[i] {
			continue
		}
		if p, ok := in.pushdownOf(st); ok {
			if s, ok := p.suggestion(in); ok {
				list = append(list, s)
			}
		}
	}
	return list
}

// pushdownOf returns the pushdown of a base stage. It reports false if there is none: no heir installs,
// or somebody else than the heirs sees what the stage has.
func (in Input) pushdownOf(base dockerfile.Stage) (pushdown, bool) {
	f, p := in.File, pushdown{base: base}
	if triggers(f, base) || slices.ContainsFunc(base.Instructions, func(ins dockerfile.Instruction) bool { return ins.Keyword == "ONBUILD" }) {
		return p, false
	}
	if slices.ContainsFunc(in.Builds, func(b Build) bool { return targetStage(f, b) == base.Index }) {
		return p, false
	}
	for _, st := range f.Stages {
		if slices.ContainsFunc(st.Instructions, func(ins dockerfile.Instruction) bool { return hands(f, ins, base.Index) }) {
			return p, false
		}
		if st.BaseStage != base.Index {
			continue
		}
		whole, above := st, instructionsOf(f, base.Index)
		whole.Instructions, whole.BaseStage = append(above, st.Instructions...), -1
		m := in.findMove(whole, in.Builds[0])
		if m == nil || m.last < len(above) || m.moved[0] >= len(above) {
			p.rest = append(p.rest, st)
			continue
		}
		first := len(above) - len(base.Instructions)
		if m.moved[0] < first || m.moved[len(m.moved)-1] >= len(above) || len(p.moves) > 0 && !slices.Equal(m.moved, p.moves[0].moved) {
			return p, false
		}
		p.moves = append(p.moves, m)
	}
	return p, len(p.moves) > 0 && p.free()
}

// free reports whether nothing in the base stage runs or copies below the first COPY that moves, and
// whether the COPYs mean the same in each heir.
func (p pushdown) free() bool {
	m := p.moves[0]
	ins := m.view.stage.Instructions
	last := p.base.Instructions[len(p.base.Instructions)-1]
	for k := m.moved[0]; ; k++ {
		moves := slices.Contains(m.moved, k)
		if moves && strings.Contains(m.view.file.Source(ins[k].Lines), "$") || !moves && (ins[k].Run != nil || ins[k].Copy != nil) {
			return false
		}
		if ins[k].Lines == last.Lines {
			return true
		}
	}
}

// hands reports whether an instruction copies or mounts what a stage has.
func hands(f *dockerfile.File, ins dockerfile.Instruction, stage int) bool {
	if ins.Copy != nil && ins.Copy.From != "" {
		return f.StageOf(ins.Copy.From) == stage
	}
	return ins.Run != nil && slices.ContainsFunc(ins.Run.Mounts, func(m dockerfile.Mount) bool {
		return m.From != "" && f.StageOf(m.From) == stage
	})
}

// suggestion returns the suggestion to copy the sources in each heir. It reports false if nothing
// gains by it, or if the change cannot be written.
func (p pushdown) suggestion(in Input) (Suggestion, bool) {
	m, b := p.moves[0], in.Builds[0]
	all := *m
	all.files, all.installs = nil, nil
	var obstacles []string
	for _, m := range p.moves {
		all.files, all.installs = append(all.files, m.files...), append(all.installs, m.installs...)
		obstacles = append(obstacles, m.obstacle)
		if m.obstacle == "" {
			obstacles = append(obstacles, m.disagreement(in))
		}
	}
	slices.Sort(all.files)
	all.files = slices.Compact(all.files)
	takes := func(p string) bool { return all.movedTakes(b, p) }
	manifest := func(p string) bool { rel, ok := b.inside(p); return ok && among(all.files, rel) }
	s := Suggestion{
		Rule: "manifests-first", Title: "copy what " + all.tools() + " needs before the sources", Proof: Advice,
		Lines: m.view.stage.Instructions[m.moved[0]].Lines,
		Evidence: all.evidence(in, in.Commits.Touching(takes), in.Commits.Touching(manifest)) +
			fmt.Sprintf(" %s start from the stage %s, which copies them.", heirs(len(p.moves)+len(p.rest)), stageName(p.base)),
	}
	if s.Obstacle = told(obstacles); s.Obstacle != "" {
		return s, all.gains(in, takes, manifest)
	}
	changes, after, ok := p.changes(in)
	if !ok {
		return s, false
	}
	s.Proof, s.Changes = ByConstruction, changes
	if b.Convert == nil || b.Takers == nil {
		return s, all.gains(in, takes, manifest)
	}
	price := in.pricer()
	costs := map[string]float64{}
	for _, m := range p.moves {
		maps.Copy(costs, m.costs(after, price))
	}
	now, err := in.replay(b, variant{}, price)
	if err != nil {
		return s, false
	}
	then, err := in.replay(b, variant{text: after.Text, costs: costs}, price)
	if err != nil || in.Commits.Len() > 0 && !worthwhile(now.Wall, then.Wall, price) {
		return s, false
	}
	s.Costs, s.SavesSeconds = price.source(), now.Wall-then.Wall
	s.HitRate.Before, s.HitRate.After = now.HitRate, then.HitRate
	return s, true
}

// heirs counts stages.
func heirs(n int) string {
	if n == 1 {
		return "One stage"
	}
	return fmt.Sprint(n, " stages")
}

// changes returns the changed files and the new Dockerfile.
func (p pushdown) changes(in Input) ([]Change, *dockerfile.File, bool) {
	var edits []dockerfile.Edit
	var ignored []string
	for _, m := range p.moves {
		for _, e := range m.edits() {
			if !slices.Contains(edits, e) {
				edits = append(edits, e)
			}
		}
		for _, line := range m.ignore {
			if !slices.Contains(ignored, line) {
				ignored = append(ignored, line)
			}
		}
	}
	_, moved := p.moves[0].takeOut(false)
	for _, st := range p.rest {
		edits = append(edits, dockerfile.Insert(st.From.Lines.To+1, moved))
	}
	text, err := dockerfile.Apply(in.File.Text, edits)
	if err != nil {
		return nil, nil, false
	}
	after, err := dockerfile.Parse(in.File.Name, text)
	if err != nil || len(after.Stages) != len(in.File.Stages) || !p.keeps(in.File, after) {
		return nil, nil, false
	}
	list := []Change{{Path: in.Path, Old: in.File.Text, New: text}}
	if len(ignored) > 0 {
		list = append(list, withLines(in.Builds[0].Ignore, ignored))
	}
	return list, after, true
}

// keeps reports whether each stage of the new file has the instructions of the old one, but for
// those that move and RUNs that are cut, and each heir has those that move.
func (p pushdown) keeps(old, after *dockerfile.File) bool {
	m := p.moves[0]
	gone := map[string]bool{} // by text
	for _, i := range m.moved {
		gone[m.view.stage.Instructions[i].Text] = true
	}
	cut := map[dockerfile.Lines]bool{}
	for _, m := range p.moves {
		if m.run.tail {
			cut[m.view.stage.Instructions[m.last].Lines] = true
		}
	}
	for i, st := range old.Stages {
		has, copies := map[string]int{}, 0
		for _, ins := range after.Stages[i].Instructions {
			has[ins.Text]++
			if ins.Copy != nil && !slices.ContainsFunc(st.Instructions, func(o dockerfile.Instruction) bool { return o.Text == ins.Text }) {
				copies++
			}
		}
		for _, ins := range st.Instructions {
			if has[ins.Text]--; has[ins.Text] < 0 && !cut[ins.Lines] && !(i == p.base.Index && gone[ins.Text]) {
				return false
			}
		}
		if st.BaseStage == p.base.Index && copies < len(m.moved) {
			return false
		}
	}
	return true
}
