package suggest

import (
	"fmt"
	"slices"

	"github.com/stokerd/stoker/context/dockerfile"
)

// belowBase tells of RUNs that run again for each change of sources which a stage below
// theirs copies, and which do not concern them. Where else they should stand is for the reader
// to say: in the stage below, which others may start from, or in one without the sources.
func belowBase(in Input) (list []Suggestion) {
	b := in.Builds[0]
	needed, price := reachable(in.File, b.Target), in.pricer()
	for _, st := range in.File.Stages {
		if st.BaseStage < 0 || !needed[st.Index] || triggers(in.File, st) {
			continue
		}
		if !slices.ContainsFunc(instructionsOf(in.File, st.BaseStage), takesContext) {
			continue
		}
		whole := st
		whole.Instructions, whole.BaseStage = instructionsOf(in.File, st.Index), -1
		o := ordering{in: in, view: in.view(whole), trusts: true}
		from := len(whole.Instructions) - len(st.Instructions)
		for t := from; t < len(whole.Instructions); t++ {
			if run := whole.Instructions[t]; run.Run == nil || price.cost(run) < leastTold {
				continue
			}
			if s, ok := o.lift(st, from, t); ok {
				list = append(list, s)
			}
		}
	}
	return list
}

// lift tells of RUN t, of a stage whose own instructions begin at from.
func (o *ordering) lift(st dockerfile.Stage, from, t int) (Suggestion, bool) {
	in, ins := o.in, o.view.stage.Instructions
	to, unknown := t, []int(nil)
	for ; to > 0; to-- {
		if o.independent(to-1, t) {
			continue
		}
		if ins[to-1].Run == nil || o.feeds(to-1, t) {
			break
		}
		unknown = append(unknown, to-1)
	}
	copies := slices.IndexFunc(ins, takesContext)
	for copies >= 0 && copies < to {
		next := slices.IndexFunc(ins[copies+1:], takesContext)
		if next < 0 {
			return Suggestion{}, false
		}
		copies += 1 + next
	}
	if copies < 0 || copies >= from || to >= from {
		return Suggestion{}, false // what holds it down is of its own stage: see findOrders
	}
	f, run, above := in.File, ins[t], ins[copies]
	edits := append(removeAll(f, []dockerfile.Instruction{run}), dockerfile.Insert(above.Whole().From, endLine(f.Source(run.Whole()))))
	change, err := rewrite(in, 0, edits...)
	if err != nil {
		return Suggestion{}, false
	}
	now, then, price, err := in.compare(change.New)
	if err != nil || now.Wall-then.Wall < leastTold {
		return Suggestion{}, false
	}
	base := f.Stages[slices.IndexFunc(f.Stages, func(s dockerfile.Stage) bool {
		return slices.ContainsFunc(s.Instructions, func(i dockerfile.Instruction) bool { return i.Lines == above.Lines })
	})]
	s := Suggestion{
		Rule: "reorder", Title: "put `" + short(run.Text) + "` above the sources that the stage below it copies", Lines: run.Lines,
		Proof: Advice, Costs: price.source(), SavesSeconds: now.Wall - then.Wall,
		Evidence: fmt.Sprintf("It would have run %s over the last %s, and %s above `%s`: it does not use what that copies.",
			times(now.runsOf(run.Text)), in.Commits.Counted(), times(then.runsOf(run.Text)), short(above.Text)),
		Obstacle: fmt.Sprintf("`%s` on line %s is of the stage %s, which %s starts from: the RUN would stand in that, or %s start from a stage without the sources",
			short(above.Text), above.Lines, stageName(base), stageName(st), stageName(st)),
	}
	if at := slices.IndexFunc(unknown, func(k int) bool { return k > copies }); at >= 0 {
		s.Obstacle += fmt.Sprintf("; nothing proves that it may stand above `%s` on line %s as well", short(ins[unknown[at]].Text), ins[unknown[at]].Lines)
	}
	known, why := ordering{in: in, view: o.view}, []string(nil)
	for k := to; k < t; k++ {
		why = append(why, known.linkDoubt(k, t))
	}
	if doubts := told(why); doubts != "" {
		s.Obstacle += "; " + doubts
	}
	s.HitRate.Before, s.HitRate.After = now.HitRate, then.HitRate
	if alone := !slices.ContainsFunc(f.Stages, func(o dockerfile.Stage) bool {
		return o.Index != st.Index && o.Index != base.Index && extends(f, o.Index, base.Index) && !extends(f, st.Index, o.Index)
	}); alone {
		s.Changes = []Change{change}
	}
	return s, true
}
