package suggest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/replay"
)

// worthwhile reports whether a change from now to then, in seconds per build, saves
// enough to be shown: half a second or, of a short build, a tenth of its time. If a cost
// is guessed, a difference below half a second means nothing.
func worthwhile(now, then float64, price *pricer) bool {
	if price.guessed {
		return now-then >= 0.5
	}
	return now-then >= min(0.5, now/10) && now-then >= 0.05
}

// reorder proposes, for each stage, the order of instructions that costs least over the
// history among those that leave the image as it is. See docs/rules/reorder.md.
func reorder(in Input) []Suggestion {
	if in.shared != nil {
		return in.shared.orders()
	}
	return findOrders(in)
}

// findOrders computes the suggestions of reorder.
func findOrders(in Input) []Suggestion {
	b := in.Builds[0]
	if b.Convert == nil || b.Takers == nil || in.Commits.Len() == 0 {
		return nil
	}
	price := in.pricer()
	plan, err := b.Convert(in.File.Text)
	if err != nil {
		return nil
	}
	takers, err := b.Takers(plan, nil)
	if err != nil {
		return nil
	}
	steps := in.steps(b, plan, in.File.Text, takers, price, variant{})
	first := manifestsFirst(in)
	var list []Suggestion
	for _, st := range in.File.Stages {
		split := slices.ContainsFunc(first, func(s Suggestion) bool {
			return s.Proof == ByConstruction && s.Lines.From >= st.Lines.From && s.Lines.To <= st.Lines.To
		})
		if split || !reachable(in.File, b.Target)[st.Index] || triggers(in.File, st) {
			continue
		}
		for _, o := range []ordering{proving(in, st), {in: in, view: in.view(st), hopes: true}, {in: in, view: in.likely(st), trusts: true}} {
			p := o.problem(plan, steps)
			p.Spare = float64(p.Builds) * min(leastMove, replay.Run(p.Builds, steps).Wall/50)
			order, exact := replay.Best(p)
			order = o.felt(p, order)
			if slices.IsSorted(order) {
				continue
			}
			if s, ok := o.suggestion(order, exact); ok {
				list = append(list, s)
				break
			}
		}
	}
	return append(list, belowBase(in)...)
}

// An ordering is the search for a better order of the instructions of one stage.
// Instructions are known by their index in the stage.
type ordering struct {
	in   Input
	view *stageView
	// trusts makes the search speculative: not only COPYs move, and an instruction may
	// pass another if that is likely, though not proven, to be harmless (commands that
	// are not known, folders that may be copied, programs that nobody runs). The result
	// is advice.
	trusts bool
	// hopes takes what comes from a stage, an image or an archive to hold no symbolic links but
	// those that are known. The result is advice that a build can prove.
	hopes bool

	// Answers already computed.
	runs  map[int]runView
	below map[[2]int]bool // of held
}

// proving returns an ordering in which only COPYs move, and only past instructions that
// are known to touch none of the same files.
func proving(in Input, st dockerfile.Stage) ordering {
	return ordering{in: in, view: in.view(st)}
}

// problem describes the stage to the optimiser. steps are those of plan. Every
// instruction is an item, also one that makes no step (ENV, USER): those that depend on
// it cannot be moved above it.
func (o *ordering) problem(plan *dockerfile.Plan, steps []replay.Step) replay.Problem {
	results := replay.Results(steps)
	ins := o.view.stage.Instructions
	p := replay.Problem{Builds: o.in.Commits.Len(), Steps: make([]replay.Item, len(ins))}
	for i, in := range ins {
		it := &p.Steps[i]
		for j := range i {
			if !o.commute(j, i) && !(o.trusts && o.doubt(j, i) != "") {
				it.After = append(it.After, j)
			}
		}
		for k, s := range plan.Steps {
			if s.OnBuild || s.Lines.From != in.Lines.From {
				continue
			}
			it.Seconds = max(it.Seconds, steps[k].Seconds)
			it.Alone = standsAlone(s)
			it.States = replay.Join(it.States, steps[k].States)
			for _, parent := range steps[k].Parents {
				switch {
				case slices.Contains(steps[k].Waits, parent):
				case parent != s.Base:
					it.States = replay.Join(it.States, results[parent])
				case plan.Steps[parent].Lines.From < o.view.stage.Lines.From:
					p.Base = replay.Join(p.Base, results[parent])
				}
			}
		}
	}
	return p
}

// suggestion returns the suggestion to use an order, and false if it cannot be written,
// would change a step, or saves too little. exact says that no order is better.
func (o *ordering) suggestion(order []int, exact bool) (Suggestion, bool) {
	in, ins := o.in, o.view.stage.Instructions
	edits, moved := o.edits(order, o.kept(order))
	change, err := rewrite(in, 0, edits...)
	if err != nil || !o.trusts && !o.sameSteps(change.New) {
		return Suggestion{}, false
	}
	now, then, price, err := in.compare(change.New)
	if err != nil || now.Wall-then.Wall < leastFelt || (o.trusts || o.hopes) && now.Wall-then.Wall < leastTold {
		return Suggestion{}, false
	}
	s := Suggestion{
		Rule: "reorder", Proof: ByConstruction, Changes: []Change{change}, Costs: price.source(), SavesSeconds: now.Wall - then.Wall,
		Lines: ins[moved[0]].Lines,
	}
	s.HitRate.Before, s.HitRate.After = now.HitRate, then.HitRate
	o.explain(&s, moved, now, then)
	if o.trusts || o.hopes {
		s.Proof, s.Obstacle, s.Provable = Advice, o.doubts(order), o.hopes
	}
	if !o.trusts {
		for _, i := range moved {
			s.Lines.From, s.Lines.To = min(s.Lines.From, ins[i].Lines.From), max(s.Lines.To, ins[i].Lines.To)
		}
	}
	if !exact {
		s.Evidence += " There are too many orders to search through: this one puts last what is cheap to break, and may not be the best."
	}
	return s, true
}

// explain sets the title and the evidence. They are about the instructions that move or,
// if a RUN moves or more than two do, about the RUN that gains most.
func (o *ordering) explain(s *Suggestion, moved []int, now, then Replayed) {
	ins := o.view.stage.Instructions
	runMoves := slices.ContainsFunc(moved, func(i int) bool { return ins[i].Run != nil })
	if up := o.spared(now, then); up >= 0 && (len(moved) > 2 || runMoves) {
		s.Title = "put `" + short(ins[up].Text) + "` above what has it run again"
		s.Evidence = fmt.Sprintf("It would have run %s over the last %s, and %s further up: it does not use what changes above it today.",
			times(now.runsOf(ins[up].Text)), o.in.Commits.Counted(), times(then.runsOf(ins[up].Text)))
		return
	}
	var names []string
	for _, i := range moved {
		names = append(names, "`"+short(ins[i].Text)+"`")
	}
	s.Title = "put " + list(few(names), "and") + " where " + pronoun(len(names)) + " less to run again"
	s.Evidence = o.evidence(moved, names, now, then)
}

// spared returns the RUN for which another order saves most seconds, or -1.
func (o *ordering) spared(now, then Replayed) int {
	return o.mostSpared(now, then, func(i int) bool { return o.view.stage.Instructions[i].Run != nil })
}

// mostSpared returns the instruction for which another order saves most seconds, of those that
// count, or -1.
func (o *ordering) mostSpared(now, then Replayed, counts func(i int) bool) int {
	best, most := -1, 0.0
	for i, in := range o.view.stage.Instructions {
		if !counts(i) {
			continue
		}
		if saved := now.secondsOf(in.Text) - then.secondsOf(in.Text); saved > most {
			best, most = i, saved
		}
	}
	return best
}

// times returns "once" or "n times".
func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprint(n, " times")
}

// doubts says what the order relies on that is not proven.
func (o *ordering) doubts(order []int) string {
	var why []string
	known, ins := proving(o.in, o.view.stage), o.view.stage.Instructions
	for at, j := range order {
		for _, i := range order[at+1:] {
			if i < j && !known.independent(i, j) {
				why = append(why, cmp.Or(o.doubt(i, j), known.linkDoubt(i, j), fmt.Sprintf("nothing proves that `%s` and `%s` on line %s may change places",
					short(ins[j].Text), short(ins[i].Text), ins[i].Lines)))
			}
		}
	}
	return told(why)
}

func pronoun(n int) string {
	if n == 1 {
		return "it leaves"
	}
	return "they leave"
}

// evidence returns the sentence that counts the commits which change what the moved
// instructions, called names, take, and how often one that gains by it runs below and above them.
func (o *ordering) evidence(moved []int, names []string, now, then Replayed) string {
	b := o.in.Builds[0]
	n := o.in.Commits.Touching(func(p string) bool {
		rel, ok := b.inside(p)
		return ok && slices.ContainsFunc(moved, func(i int) bool { return b.Context.Takes(o.view.stage.Instructions[i].Lines.From, rel) })
	})
	what, them := list(few(names), "and"), "it"
	if len(names) > 1 {
		them = "them"
	}
	counted := fmt.Sprintf("%d of the last %s %s what %s %s", n, o.in.Commits.Counted(), change(n), what, takes(len(names)))
	gains := o.mostSpared(now, then, func(i int) bool { return !slices.Contains(moved, i) })
	if gains < 0 {
		return counted + "."
	}
	text := o.view.stage.Instructions[gains].Text
	runs, left := times(now.runsOf(text)), times(then.runsOf(text))
	// The commits that change what a stage makes are in the count of runs alone.
	fromStage := slices.ContainsFunc(moved, func(i int) bool {
		c := o.view.stage.Instructions[i].Copy
		return c != nil && c.From != ""
	})
	if n == 0 || fromStage {
		return fmt.Sprintf("Over the last %s `%s` would have run %s below %s, and %s above %s.", o.in.Commits.Counted(), short(text), runs, what, left, them)
	}
	return fmt.Sprintf("%s: below %s `%s` would have run %s, and above %s %s.", counted, them, short(text), runs, them, left)
}

func takes(n int) string {
	if n == 1 {
		return "takes"
	}
	return "take"
}

// edits returns the edits that make the order, and the instructions that they move: all
// but kept, which stay where they are, in their order. An instruction that moves up is put
// directly above the next one kept; one that moves down directly below the last one kept,
// unless either is set off by blank lines. Blank lines between paragraphs are preserved.
func (o *ordering) edits(order, kept []int) (edits []dockerfile.Edit, moved []int) {
	f, ins := o.view.file, o.view.stage.Instructions
	var out []dockerfile.Instruction
	for i := range ins {
		if !slices.Contains(kept, i) {
			moved, out = append(moved, i), append(out, ins[i])
		}
	}
	edits = removeAll(f, out)
	last, goes := -1, []int(nil) // the last one kept, and the moved ones that follow it
	place := func(line int) {
		if len(goes) == 0 {
			return
		}
		text := ""
		for k, i := range goes {
			if k > 0 && o.opens(i, goes[k-1]) {
				text += "\n"
			}
			text += endLine(f.Source(ins[i].Whole()))
		}
		down := last >= 0 && !slices.ContainsFunc(goes, func(i int) bool { return i > last })
		if down && ins[last].Lines.From == ins[last].Lines.To && !o.opens(goes[0], last) {
			line = ins[last].Lines.To + 1
		}
		next := strings.TrimSpace(f.Source(dockerfile.Lines{From: line, To: line}))
		apart := down && o.opens(goes[0], last) && ins[last].Lines.To == line-1 // a paragraph in the middle of another
		if apart {
			text = "\n" + text
		}
		if next != "" && (apart || blank(f, line-1) && (next[0] == '#' || blank(f, ins[goes[0]].Whole().From-1))) {
			text += "\n"
		}
		edits = append(edits, dockerfile.Insert(line, text))
		goes = nil
	}
	for _, i := range order {
		if !slices.Contains(kept, i) {
			goes = append(goes, i)
			continue
		}
		place(ins[i].Whole().From)
		last = i
	}
	place(o.view.stage.Lines.To + 1)
	return edits, moved
}

// opens reports whether instruction i begins a paragraph, other than that of the
// instruction which is to stand above it.
func (o *ordering) opens(i, above int) bool {
	f, ins := o.view.file, o.view.stage.Instructions
	between := ins[min(i, above)+1 : max(i, above)+1]
	return blank(f, ins[i].Whole().From-1) && slices.ContainsFunc(between, func(b dockerfile.Instruction) bool { return blank(f, b.Whole().From-1) })
}

// sameSteps reports whether the text gives every build the same steps as the file does, in
// any order. Builds for which the file cannot be converted do not count.
func (o *ordering) sameSteps(text []byte) bool {
	for _, b := range o.in.Builds {
		if b.Convert == nil {
			return false
		}
		before, err := b.Convert(o.in.File.Text)
		if err != nil {
			continue
		}
		after, err := b.Convert(text)
		if err != nil || !slices.Equal(definitions(before), definitions(after)) {
			return false
		}
	}
	return true
}

// definitions returns the definitions of the steps of a plan, with stage and platform,
// sorted.
func definitions(p *dockerfile.Plan) []string {
	var list []string
	for _, s := range p.Steps {
		list = append(list, s.Platform+" "+s.Stage+" "+s.Definition)
	}
	slices.Sort(list)
	return list
}
