package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// splitStage proposes to move one of two installs of a stage into a stage of its own: then both
// run at the same time, and a change of what one reads no longer repeats the other. See
// docs/rules/split-stage.md.
func splitStage(in Input) []Suggestion {
	b := in.Builds[0]
	if b.Convert == nil || b.Takers == nil || in.Commits.Len() == 0 || numbered(in.File) {
		return nil
	}
	var list []Suggestion
	for _, st := range in.File.Stages {
		if !reachable(in.File, b.Target)[st.Index] || triggers(in.File, st) || in.rearranged(st) {
			continue
		}
		if p, ok := in.findSplit(in.view(st), b); ok {
			if s, ok := p.suggestion(in); ok {
				list = append(list, s)
			}
		}
	}
	return list
}

// numbered reports whether a Dockerfile may refer to stages by number, which a new stage would
// change.
func numbered(f *dockerfile.File) bool {
	return slices.ContainsFunc(f.Stages, func(st dockerfile.Stage) bool {
		return slices.ContainsFunc(append(references(st), st.Base), func(ref string) bool {
			return ref != "" && strings.Trim(ref, "0123456789") == "" || strings.Contains(ref, "$")
		})
	})
}

// A split is a stage with two installs that do not need each other.
type split struct {
	view         *stageView
	cut          int     // index of the first instruction that the two stages do not share
	upper, lower int     // the RUNs with the installs
	moved        int     // the one of the two that gets a stage of its own
	out          install // the install of moved
	needs        []int   // COPYs that bring what it reads, and are not shared
	obstacle     string  // why the image may change
}

// findSplit returns the split at the first two installs of a stage with only COPYs between them,
// or false if there is none.
func (in Input) findSplit(v *stageView, b Build) (split, bool) {
	ins := v.stage.Instructions
	p := split{view: v, upper: -1}
	var above install
	var read []string
	for k, instr := range ins {
		if instr.Copy != nil {
			continue
		}
		one, files, ok := in.soleInstall(v, k, b)
		if !ok {
			p.upper = -1
			p.cut = k + 1
			continue
		}
		if p.upper < 0 {
			p.upper, above, read = k, one, files
			continue
		}
		p.lower = k
		return p, p.choose(b, above, one, read, files)
	}
	return p, false
}

// soleInstall returns the install that instruction k is, and the files that it reads, as image
// paths. It reports false if the instruction does more, or if more may be read.
func (in Input) soleInstall(v *stageView, k int, b Build) (install, []string, bool) {
	if v.stage.Instructions[k].Run == nil || contextMount(v, k) {
		return install{}, nil, false
	}
	run := viewRun(v, k)
	if !run.known || len(run.installs) != 1 || len(parseRun(v.stage.Instructions[k].Run, v.shell[k]).commands) != 1 {
		return install{}, nil, false
	}
	inst := run.installs[0]
	at := move{in: in, view: v, last: k, context: b.Context}
	if inst.discover != nil {
		inst.main = inst.discover(at.reader(b, inst))
	}
	files, obstacle := at.reads(b, k, []install{inst})
	return inst, files, obstacle == "" && len(files) > 0
}

// choose sets which install gets a stage of its own, what that needs and the obstacle. It reports
// false if one install may use what the other makes, or if it is not known where the files come
// from.
func (p *split) choose(b Build, above, below install, aboveReads, belowReads []string) bool {
	v := p.view
	reads := belowReads
	switch {
	case below.output != "":
		p.moved, p.out = p.lower, below
	case above.output != "":
		p.moved, p.out, reads = p.upper, above, aboveReads
	default:
		return false
	}
	filled := absolute(above.dir, above.output)
	if below.output != "" && above.output != "" && overlap(path.Join(above.dir, above.output), path.Join(below.dir, below.output)) || p.out.dir[0] == '?' {
		return false
	}
	for _, f := range belowReads {
		if slices.ContainsFunc(filled, func(dir string) bool { return overlap(dir, f) }) {
			return false
		}
	}
	at := move{view: v, last: p.moved, context: b.Context}
	for _, f := range reads {
		_, from, ok := at.provider(b, p.moved, f)
		switch {
		case !ok:
			return false
		case from >= p.cut && !slices.Contains(p.needs, from):
			p.needs = append(p.needs, from)
		}
	}
	// A program that the install runs may read other files that are copied before it.
	for i := p.cut; i < p.moved; i++ {
		if c := v.stage.Instructions[i]; c.Copy != nil && !slices.Contains(p.needs, i) && overlap(v.dest(i), path.Join(p.out.dir, p.out.output)) && !takesContext(c) {
			return false
		}
	}
	slices.Sort(p.needs)
	p.obstacle = fmt.Sprintf("what %s leaves beside %s, such as its cache, and what it finds of the other install, would not be the same: try it with --verify, or keep it", p.out.tool, p.out.output)
	return true
}

// suggestion returns the suggestion to split the stage, or false if that saves too little.
func (p *split) suggestion(in Input) (Suggestion, bool) {
	ins := p.view.stage.Instructions
	change, copied, err := p.change(in)
	if err != nil {
		return Suggestion{}, false
	}
	price := in.pricer()
	now, err := in.replay(in.Builds[0], variant{}, price)
	if err != nil {
		return Suggestion{}, false
	}
	price.guessed = true // the time to copy what was installed was never observed
	then, err := in.replay(in.Builds[0], variant{text: change.New, costs: map[string]float64{copied: max(copyUnknown, price.cost(ins[p.moved])/10)}}, price)
	if err != nil || !worthwhile(now.Wall, then.Wall, price) {
		return Suggestion{}, false
	}
	other := p.upper
	if p.moved == p.upper {
		other = p.lower
	}
	s := Suggestion{
		Rule: "split-stage", Title: "give " + p.out.tool + " a stage of its own", Proof: Advice, Obstacle: p.obstacle, Changes: []Change{change},
		Lines: dockerfile.Lines{From: ins[p.upper].Lines.From, To: ins[p.lower].Lines.To}, Costs: price.source(), SavesSeconds: now.Wall - then.Wall,
	}
	s.HitRate.Before, s.HitRate.After = now.HitRate, then.HitRate
	lower := ins[p.lower].Text
	s.Evidence = fmt.Sprintf("`%s` and `%s` need nothing of each other: in stages of their own they run at the same time, and `%s` runs for %d of the last %s instead of %d.",
		short(ins[p.moved].Text), short(ins[other].Text), short(lower), runsOf(then, lower), in.Commits.Counted(), runsOf(now, lower))
	return s, true
}

// runsOf returns in how many builds of a replay an instruction runs.
func runsOf(r Replayed, instruction string) (n int) {
	for i, s := range r.Plan.Steps {
		if s.Instruction == instruction {
			n = max(n, r.Runs[i])
		}
	}
	return n
}

// change returns the change that adds the stage, and the text of the new COPY from it. If
// nothing is shared, the new stage starts from the same image as the old one. Else the shared
// instructions become a third stage, from which both start.
func (p *split) change(in Input) (Change, string, error) {
	f, st := in.File, p.view.stage
	ins := st.Instructions
	name := st.Name
	if name == "" {
		name = "app"
	}
	base, own := p.fresh(name+"-base"), p.fresh(name+"-"+p.out.tool)
	added := len(p.needs) + 2 // FROM and the COPY of the result, as the RUN only moves
	var edits []dockerfile.Edit
	if p.cut == 0 {
		edits = append(edits, dockerfile.Insert(st.From.Whole().From, p.stage(f, startOf(st), own)))
	} else {
		added++
		renamed, mine := p.rebased(f, base)
		at, gap := ins[p.cut].Whole().From, "\n"
		if blank(f, at-1) {
			gap = ""
		}
		edits = append(edits, dockerfile.Edit{Lines: st.From.Lines, Text: renamed}, dockerfile.Insert(at, gap+p.stage(f, base, own)+mine))
	}
	out := path.Join(p.out.dir, p.out.output)
	line := lead(f, ins[p.moved]) + spelt(f, ins[p.moved], "COPY") + " --from=" + own + " " + out + " " + out + "\n"
	if p.moved == p.lower {
		edits = append(edits, dockerfile.Edit{Lines: ins[p.moved].Whole(), Text: line})
	} else {
		edits = append(edits, removeAll(f, []dockerfile.Instruction{ins[p.moved]})...)
		edits = append(edits, dockerfile.Insert(ins[p.lower].Lines.To+1, line))
	}
	change, err := rewrite(in, added, edits...)
	return change, "COPY --from=" + own + " " + out + " " + out, err
}

// startOf returns what stands between FROM and AS in the FROM of a stage.
func startOf(st dockerfile.Stage) string {
	words := strings.Fields(st.From.Text)[1:]
	return strings.Join(slices.DeleteFunc(words, func(w string) bool {
		return strings.EqualFold(w, "AS") || strings.EqualFold(w, st.Name) && st.Name != ""
	}), " ")
}

// stage returns the text of the new stage, which starts from base and is called own.
func (p *split) stage(f *dockerfile.File, base, own string) string {
	from, ins := p.view.stage.From, p.view.stage.Instructions
	var text strings.Builder
	text.WriteString(spelt(f, from, "FROM") + " " + base + " " + spelt(f, from, "AS") + " " + own + "\n")
	for _, i := range p.needs {
		text.WriteString(endLine(f.Source(ins[i].Lines)))
	}
	text.WriteString(endLine(f.Source(ins[p.moved].Whole())) + "\n")
	return text.String()
}

// rebased returns the FROM of the stage with the name base, for the shared instructions, and a
// FROM that starts from it and has the name of the stage, for the others.
func (p *split) rebased(f *dockerfile.File, base string) (renamed, mine string) {
	st := p.view.stage
	head := endLine(f.Source(st.From.Lines))
	renamed = strings.TrimRight(head, "\n")
	mine = spelt(f, st.From, "FROM") + " " + base
	if st.Name != "" {
		words := strings.Fields(head)
		named := len(words) - 2 // AS NAME
		renamed = strings.Join(words[:named], " ")
		mine += " " + strings.Join(words[named:], " ")
	}
	return renamed + " " + spelt(f, st.From, "AS") + " " + base + "\n", mine + "\n"
}

// fresh returns a name that no stage has: the given one, perhaps with a number.
func (p *split) fresh(name string) string {
	for n, want := 2, name; ; n++ {
		if p.view.file.Stage(want) < 0 {
			return want
		}
		want = fmt.Sprint(name, n)
	}
}
