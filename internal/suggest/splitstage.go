package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// splitStage proposes to give one of two installs of a stage a stage of its own:
// they run at once, and what one reads no longer repeats the other. See
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
		if p, ok := findSplit(in.view(st), b); ok {
			if s, ok := p.suggestion(in); ok {
				list = append(list, s)
			}
		}
	}
	return list
}

// numbered reports a Dockerfile that names stages by number: one more would shift them.
func numbered(f *dockerfile.File) bool {
	return slices.ContainsFunc(f.Stages, func(st dockerfile.Stage) bool {
		return slices.ContainsFunc(append(references(st), st.Base), func(ref string) bool {
			return ref != "" && strings.Trim(ref, "0123456789") == "" || strings.Contains(ref, "$")
		})
	})
}

// A split is a stage with two installs that need nothing of each other.
type split struct {
	view  *stageView
	cut   int // what stands above is shared by both
	upper int // RUNs
	lower int
	moved int     // the one of the two that gets a stage
	out   install // what it is
	needs []int   // COPYs that bring what it reads
	// obstacle is why the image may be another one.
	obstacle string
}

// findSplit looks for two installs of a stage, with nothing but COPYs between them.
func findSplit(v *stageView, b Build) (split, bool) {
	ins := v.stage.Instructions
	p := split{view: v, upper: -1}
	var above install
	var read []string
	for k, in := range ins {
		if in.Copy != nil {
			continue
		}
		one, files, ok := soleInstall(v, k, b)
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

// soleInstall returns the install that a RUN is, and the files that it reads, as
// image paths; false for one that does more, or reads more than is known.
func soleInstall(v *stageView, k int, b Build) (install, []string, bool) {
	if v.stage.Instructions[k].Run == nil || contextMount(v, k) {
		return install{}, nil, false
	}
	run := viewRun(v, k)
	if !run.known || len(run.installs) != 1 || len(parseRun(v.stage.Instructions[k].Run, v.shell[k]).commands) != 1 {
		return install{}, nil, false
	}
	inst := run.installs[0]
	at := move{view: v, last: k, context: b.Context}
	if inst.discover != nil {
		inst.main = inst.discover(at.reader(b, inst))
	}
	files, obstacle := at.reads(b, k, []install{inst})
	return inst, files, obstacle == "" && len(files) > 0
}

// choose picks the install that gets a stage, and says what is against it.
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
	// What else is copied between may be read as well, by what an install runs.
	for i := p.cut; i < p.moved; i++ {
		if c := v.stage.Instructions[i]; c.Copy != nil && !slices.Contains(p.needs, i) && overlap(v.dest(i), path.Join(p.out.dir, p.out.output)) && !takesContext(c) {
			return false
		}
	}
	slices.Sort(p.needs)
	p.obstacle = fmt.Sprintf("what %s leaves beside %s, such as its cache, and what it finds of the other install, would not be the same: try it with --verify, or keep it", p.out.tool, p.out.output)
	return true
}

func (p *split) suggestion(in Input) (Suggestion, bool) {
	ins := p.view.stage.Instructions
	change, copied, err := p.change(in)
	if err != nil {
		return Suggestion{}, false
	}
	price := &pricer{seconds: in.Seconds}
	now, err := in.replay(in.Builds[0], variant{}, price)
	if err != nil {
		return Suggestion{}, false
	}
	price.guessed = true // what it takes to copy what was installed was never seen
	then, err := in.replay(in.Builds[0], variant{text: change.New, costs: map[string]float64{copied: max(priorCopy, price.cost(ins[p.moved])/10)}}, price)
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
	s.Evidence = fmt.Sprintf("`%s` and `%s` need nothing of each other: in stages of their own they run at once, and `%s` in %d instead of %d of the last %s.",
		short(ins[p.moved].Text), short(ins[other].Text), short(lower), runsOf(then, lower), runsOf(now, lower), in.Commits.Counted())
	return s, true
}

// runsOf is in how many builds an instruction runs.
func runsOf(r Replayed, instruction string) (n int) {
	for i, s := range r.Plan.Steps {
		if s.Instruction == instruction {
			n = max(n, r.Runs[i])
		}
	}
	return n
}

// change writes the stages; it returns the COPY that takes what was installed as
// well, as it will be named.
func (p *split) change(in Input) (Change, string, error) {
	f, st := in.File, p.view.stage
	ins := st.Instructions
	name := st.Name
	if name == "" {
		name = "app"
	}
	base, own := p.fresh(name+"-base"), p.fresh(name+"-"+p.out.tool)
	var stage strings.Builder
	from, added := "FROM "+base, len(p.needs)+2
	if p.cut == 0 {
		source := strings.Fields(st.From.Text)
		from = "FROM " + strings.Join(slices.DeleteFunc(source[1:], func(w string) bool {
			return strings.EqualFold(w, "AS") || strings.EqualFold(w, st.Name) && st.Name != ""
		}), " ")
	}
	stage.WriteString(spelt(f, st.From, "FROM") + from[len("FROM"):] + " " + spelt(f, st.From, "AS") + " " + own + "\n")
	for _, i := range p.needs {
		stage.WriteString(endLine(f.Source(ins[i].Lines)))
	}
	stage.WriteString(endLine(f.Source(ins[p.moved].Whole())) + "\n")
	out := path.Join(p.out.dir, p.out.output)
	line := spelt(f, ins[p.moved], "COPY") + " --from=" + own + " " + out + " " + out
	edits := []dockerfile.Edit{}
	if p.cut == 0 {
		edits = append(edits, dockerfile.Insert(st.From.Whole().From, stage.String()))
	} else {
		added++
		head := endLine(f.Source(st.From.Lines))
		renamed := strings.TrimRight(head, "\n")
		if st.Name != "" {
			words := strings.Fields(renamed)
			renamed = strings.Join(words[:len(words)-2], " ")
		}
		edits = append(edits, dockerfile.Edit{Lines: st.From.Lines, Text: renamed + " " + spelt(f, st.From, "AS") + " " + base + "\n"})
		mine := spelt(f, st.From, "FROM") + " " + base
		if st.Name != "" {
			words := strings.Fields(head)
			mine += " " + strings.Join(words[len(words)-2:], " ")
		}
		at, gap := ins[p.cut].Whole().From, "\n"
		if blank(f, at-1) {
			gap = ""
		}
		edits = append(edits, dockerfile.Insert(at, gap+stage.String()+mine+"\n"))
	}
	if p.moved == p.lower {
		edits = append(edits, dockerfile.Edit{Lines: ins[p.moved].Whole(), Text: lead(f, ins[p.moved]) + line + "\n"})
	} else {
		edits = append(edits, removeAll(f, []dockerfile.Instruction{ins[p.moved]})...)
		edits = append(edits, dockerfile.Insert(ins[p.lower].Lines.To+1, lead(f, ins[p.moved])+line+"\n"))
	}
	change, err := rewrite(in, added, edits...)
	return change, "COPY --from=" + own + " " + out + " " + out, err
}

// fresh returns a name that no stage has.
func (p *split) fresh(name string) string {
	for n, want := 2, name; ; n++ {
		if p.view.file.Stage(want) < 0 {
			return want
		}
		want = fmt.Sprint(name, n)
	}
}
