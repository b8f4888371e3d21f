package suggest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A handDown moves ARGs from a base stage into its heirs, the stages that start from it,
// each below the RUNs that do not use them: the value of an ARG is part of the cache keys
// of all RUNs below, those of heirs included. The instructions that depend on the ARGs
// are moved along.
type handDown struct {
	carried           // the ARGs and what is moved with them
	apart    bool     // an ENV may be split, to move only the part that depends on the ARGs
	names    []string // variables that are moved
	env      bool     // an ENV is moved
	label    bool     // a LABEL is moved
	passed   []passed // RUNs whose key would no longer contain the variables
	places   []place  // where the instructions go
	obstacle string   // why there is no edit; "" if there may be one
}

// inBase matches a variable of a FROM. A reference that has a colon or a slash beside it is
// to an image: no stage has such a name.
var inBase = regexp.MustCompile(`\$(\{[^}]*\}|\w+)`)

// A passed is a RUN that no longer stands below the ARGs: instruction at of the stage.
type passed struct {
	view *stageView
	at   int
}

// A place is where a stage gets the moved instructions: above instruction before, which
// may be one past the last.
type place struct {
	stage  dockerfile.Stage
	before int
}

// handDownOf suggests to move the ARGs from first to last of a stage into its heirs. why
// says what makes them differ between builds. It returns false if that is not known to
// leave the images as they are, or saves nothing.
func handDownOf(v *stageView, first, last int, in Input, why string) (Suggestion, bool) {
	var heirs []dockerfile.Stage
	for _, st := range in.File.Stages {
		if strings.Contains(st.Base, "$") && !strings.ContainsAny(inBase.ReplaceAllString(st.Base, ""), ":/") {
			return Suggestion{}, false // its base may be any stage
		}
		if st.BaseStage == v.stage.Index {
			heirs = append(heirs, st)
		}
	}
	// A CMD does not make a stage with heirs an image of its own, as it may be meant for
	// them; a name can.
	if len(heirs) == 0 || namedForUse(v.stage) {
		return Suggestion{}, false
	}
	var best *handDown
	for _, apart := range []bool{false, true} {
		h := &handDown{carried: carried{view: v}, apart: apart}
		if !h.lift(first, last, in) {
			continue
		}
		for _, st := range heirs {
			h.enter(in.bare(st), in)
		}
		if best == nil || best.obstacle != "" && h.obstacle == "" || best.obstacle == h.obstacle && len(h.passed) > len(best.passed) {
			best = h
		}
	}
	if best == nil {
		return Suggestion{}, false
	}
	return best.suggestion(in, why)
}

// lift collects the ARGs and the instructions of their stage that depend on them. It
// reports false if something that cannot be moved has to stay below them.
func (h *handDown) lift(first, last int, in Input) bool {
	ins := h.view.stage.Instructions
	for k := first; k <= last; k++ {
		h.group, h.names = append(h.group, k), append(h.names, ins[k].Names...)
	}
	for k := last + 1; k < len(ins); k++ {
		used := mentions(h.view.file.Source(ins[k].Lines), h.names)
		switch carries := ins[k].Keyword == "ARG" || ins[k].Keyword == "ENV" || ins[k].Keyword == "LABEL"; {
		case ins[k].Keyword == "ONBUILD", !used && h.uses(ins[k].Names):
			return false
		case carries && (used || ins[k].Keyword == "ENV" && h.env):
			h.add(k, h.names, h.apart && !h.env)
			own := h.namesOf(k)
			if slices.ContainsFunc(own, readByTools) {
				if own = h.own(ins[k]); !used || ins[k].Keyword == "ARG" || slices.ContainsFunc(own, readByTools) {
					return false
				}
				h.obstacle = fmt.Sprintf("`%s` declares what is needed here as well: give %s a line of its own first", short(ins[k].Text), list(own, "and"))
			}
			h.env, h.label = h.env || ins[k].Keyword == "ENV", h.label || ins[k].Keyword == "LABEL"
			h.names = append(h.names, own...)
		case ins[k].Run != nil:
			if used || !blindTo(h.view, k, in, h.names, h.nameBuild(in)) {
				return false
			}
			h.passed = append(h.passed, passed{h.view, k})
		case used && ins[k].Command == nil:
			return false
		}
	}
	return true
}

// own returns the variables of an instruction whose values depend on moved ones.
func (h *handDown) own(ins dockerfile.Instruction) (names []string) {
	for _, a := range ins.Vars {
		if mentions(a.Value, h.names) || slices.Contains(h.names, a.Name) {
			names = append(names, a.Name)
		}
	}
	return names
}

// nameBuild reports whether all moved variables may name the build: see
// descent.nameBuild.
func (h *handDown) nameBuild(in Input) bool {
	return !slices.ContainsFunc(h.names, func(name string) bool { return !in.mayNameBuild(name) })
}

// enter finds the place in an heir: above the first instruction that may need the
// variables, below as many RUNs as possible.
func (h *handDown) enter(v *stageView, in Input) {
	ins, at, all := v.stage.Instructions, 0, true
	for k := range ins {
		if h.stops(v, k, in) {
			all = false
			break
		}
		if ins[k].Run != nil {
			h.passed = append(h.passed, passed{v, k})
			at = k + 1
		}
	}
	if all && !h.shows(v.stage, in) {
		return // nothing uses its variables
	}
	h.places = append(h.places, place{v.stage, at})
}

// stops reports whether instruction k of an heir has to stay below the variables.
func (h *handDown) stops(v *stageView, k int, in Input) bool {
	ins := v.stage.Instructions[k]
	switch {
	case ins.Run != nil:
		return mentions(v.file.Source(ins.Lines), h.names) || !blindTo(v, k, in, h.names, h.nameBuild(in))
	case ins.Command != nil:
		return false // its variables are expanded when the image runs
	}
	// An image lists variables in the order of their ENVs, and the last of two labels
	// with one name wins.
	return ins.Keyword == "LABEL" && h.label || ins.Keyword == "ONBUILD" || ins.Keyword == "ENV" && h.env || h.uses(ins.Names) || mentions(v.file.Source(ins.Lines), h.names)
}

// shows reports whether the variables of a stage are visible from outside: it is or may be
// a target, or another stage starts from it.
func (h *handDown) shows(st dockerfile.Stage, in Input) bool {
	return st.Index == len(in.File.Stages)-1 || standsForItself(st) ||
		slices.ContainsFunc(in.Builds, func(b Build) bool { return targetStage(in.File, b) == st.Index }) ||
		slices.ContainsFunc(in.File.Stages, func(o dockerfile.Stage) bool { return o.BaseStage == st.Index })
}

// suggestion writes the edit and checks it with BuildKit's frontend: see keeps. It returns
// false if the edit is not allowed or saves too little.
func (h *handDown) suggestion(in Input, why string) (Suggestion, bool) {
	price := in.pricer()
	s, ok := h.advice(in, why, price)
	if !ok {
		return s, false
	}
	volatile := h.volatile(in)
	if h.obstacle != "" {
		return s, volatile
	}
	change, err := h.change(in)
	if err != nil {
		return s, false
	}
	lost, ok := h.keeps(in, change.New)
	if !ok {
		return s, false
	}
	s.Changes, s.Proof, s.Costs = []Change{change}, ByConstruction, price.source()
	if len(lost) > 0 {
		s.Proof = Advice
		s.Obstacle = "the image of " + list(lost, "and") + " is made of the stage " + stageName(h.view.stage) + " itself, and would no longer have " + list(h.names, "and")
	}
	if volatile {
		in.price(&s, variant{declared: true}, variant{text: change.New, declared: true})
		b := in.Builds[0]
		if priced := b.Convert != nil && b.Takers != nil && in.Commits.Len() > 0; priced && s.SavesSeconds < leastFelt {
			return s, false
		}
	}
	return s, true
}

// advice returns the suggestion without an edit, or false if no RUN of an heir gains, or
// those that do cost too little.
func (h *handDown) advice(in Input, why string, price *pricer) (Suggestion, bool) {
	inherited, total := false, 0.0
	var steps []string
	for _, p := range h.passed {
		step := p.view.stage.Instructions[p.at]
		if text := "`" + short(step.Text) + "`"; !slices.Contains(steps, text) {
			steps = append(steps, text)
		}
		total += price.cost(step)
		inherited = inherited || p.view.stage.Index != h.view.stage.Index
	}
	if !inherited || len(h.places) == 0 || total < leastFelt {
		return Suggestion{}, false
	}
	ins := h.view.stage.Instructions
	var names, stages []string
	for _, i := range h.group {
		if ins[i].Keyword == "ARG" {
			names = append(names, ins[i].Names...)
		}
	}
	for _, p := range h.places {
		stages = append(stages, stageName(p.stage))
	}
	return Suggestion{
		Rule: "late-arg", Title: "declare " + list(names, "and") + " in " + list(stages, "and") + " instead of " + stageName(h.view.stage),
		Lines: ins[h.group[0]].Lines, Proof: Advice, Obstacle: h.obstacle,
		Evidence: fmt.Sprintf("%s: what a stage declares holds in those that start from it, and so a build with another value repeats %s, about %.0f s, which %s.",
			why, list(steps, "and"), max(total, 1), uses(len(steps))),
	}, true
}

// volatile reports whether one of the ARGs names the build, and so has another value in
// each.
func (h *handDown) volatile(in Input) bool {
	return slices.ContainsFunc(h.group, func(i int) bool {
		ins := h.view.stage.Instructions[i]
		return ins.Keyword == "ARG" && slices.ContainsFunc(ins.Vars, in.namesBuild)
	})
}

// change returns the Dockerfile with the instructions moved to their places.
func (h *handDown) change(in Input) (Change, error) {
	edits := h.leave()
	for _, p := range h.places {
		edits = append(edits, h.insert(p.stage, p.before))
	}
	return rewrite(in, (len(h.places)-1)*len(h.group)+h.parts(), edits...)
}

// keeps reports whether the text, of the edited Dockerfile, gives every build the same
// steps, of which only the passed RUNs have other definitions, and an image that is run in
// the same way. The latter may not hold for builds of the base stage itself: their names
// are in lost.
func (h *handDown) keeps(in Input, text []byte) (lost []string, ok bool) {
	free := map[int]bool{}
	for _, p := range h.passed {
		free[p.view.stage.Instructions[p.at].Lines.From] = true
	}
	for _, b := range in.Builds {
		if b.Convert == nil {
			return nil, false
		}
		before, err := b.Convert(in.File.Text)
		if err != nil {
			return nil, false
		}
		after, err := b.Convert(text)
		if err != nil || len(before.Steps) != len(after.Steps) {
			return nil, false
		}
		if !slices.Equal(before.Configs, after.Configs) {
			if targetStage(in.File, b) != h.view.stage.Index {
				return nil, false
			}
			lost = append(lost, b.Name)
		}
		for i, old := range before.Steps {
			now := after.Steps[i]
			if old.Name != now.Name || old.Definition != now.Definition && !free[old.Lines.From] {
				return nil, false
			}
		}
	}
	return lost, true
}

// stageName returns the name of a stage, or the one that BuildKit shows for a stage
// without a name.
func stageName(st dockerfile.Stage) string {
	if st.Name != "" {
		return st.Name
	}
	return fmt.Sprintf("stage-%d", st.Index)
}
