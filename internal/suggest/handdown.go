package suggest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A handing moves an ARG, with the instructions that hang on it, out of a stage that
// others start from and into those: its value is part of the keys of their RUNs, too.
type handing struct {
	carried      // the ARG and what is moved with it
	apart   bool // an ENV may be made two
	names   []string
	env     bool      // of which one is an ENV
	label   bool      // or a LABEL
	passed  []passage // the RUNs whose key no longer holds the variables
	places  []place
	// obstacle says why there is no edit; "" where there may be one.
	obstacle string
}

// inBase matches a variable of a FROM. With a colon or a slash beside it the whole is no
// stage's name.
var inBase = regexp.MustCompile(`\$(\{[^}]*\}|\w+)`)

// A passage is a RUN of a stage.
type passage struct {
	view *stageView
	at   int
}

// A place is where a stage gets what is moved: before an instruction, which may be one
// past the last.
type place struct {
	stage  dockerfile.Stage
	before int
}

// hand returns what moves the ARGs at first to last into the stages that start from
// theirs; false where that is not known to leave everything as it is, or wins nothing.
func hand(v *stageView, first, last int, in Input, why string) (Suggestion, bool) {
	var heirs []dockerfile.Stage
	for _, st := range in.File.Stages {
		if strings.Contains(st.Base, "$") && !strings.ContainsAny(inBase.ReplaceAllString(st.Base, ""), ":/") {
			return Suggestion{}, false // it may start from any
		}
		if st.BaseStage == v.stage.Index {
			heirs = append(heirs, st)
		}
	}
	// What a stage starts is what those that start from it do: it need not be an image.
	if len(heirs) == 0 || namedForUse(v.stage) {
		return Suggestion{}, false
	}
	var best *handing
	for _, apart := range []bool{false, true} {
		h := &handing{carried: carried{view: v}, apart: apart}
		if !h.lift(first, last, in) {
			continue
		}
		for _, st := range heirs {
			h.enter(newStageView(in.File, st), in)
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

// lift takes up the ARGs and what hangs on them, down to the end of their stage. It
// reports false where something there has to stand below them.
func (h *handing) lift(first, last int, in Input) bool {
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
			h.passed = append(h.passed, passage{h.view, k})
		case used && ins[k].Command == nil:
			return false
		}
	}
	return true
}

// own returns the variables of an instruction whose values hang on what is moved.
func (h *handing) own(ins dockerfile.Instruction) (names []string) {
	for _, a := range ins.Vars {
		if mentions(a.Value, h.names) || slices.Contains(h.names, a.Name) {
			names = append(names, a.Name)
		}
	}
	return names
}

// nameBuild is that of a descent.
func (h *handing) nameBuild(in Input) bool {
	return !slices.ContainsFunc(h.names, func(name string) bool { return !in.mayNameBuild(name) })
}

// enter goes down a stage that starts from the ARG's, up to the first instruction that
// may need what is moved.
func (h *handing) enter(v *stageView, in Input) {
	ins, at, all := v.stage.Instructions, 0, true
	for k := range ins {
		if h.stops(v, k, in) {
			all = false
			break
		}
		if ins[k].Run != nil {
			h.passed = append(h.passed, passage{v, k})
			at = k + 1
		}
	}
	if all && !h.shows(v.stage, in) {
		return // nobody ever sees the variables of it
	}
	h.places = append(h.places, place{v.stage, at})
}

// stops reports an instruction of a heir that has to stand below what is moved.
func (h *handing) stops(v *stageView, k int, in Input) bool {
	ins := v.stage.Instructions[k]
	switch {
	case ins.Run != nil:
		return mentions(v.file.Source(ins.Lines), h.names) || !blindTo(v, k, in, h.names, h.nameBuild(in))
	case ins.Command != nil:
		return false // it is expanded when the image runs
	}
	// An image lists variables in the order of their ENVs, and of two labels of one name it
	// has the last.
	return ins.Keyword == "LABEL" && h.label || ins.Keyword == "ONBUILD" || ins.Keyword == "ENV" && h.env || h.uses(ins.Names) || mentions(v.file.Source(ins.Lines), h.names)
}

// shows reports a stage whose variables are seen from outside: it is an image that is
// asked for, may well be, or another stage starts from it.
func (h *handing) shows(st dockerfile.Stage, in Input) bool {
	return st.Index == len(in.File.Stages)-1 || standsForItself(st) ||
		slices.ContainsFunc(in.Builds, func(b Build) bool { return targetStage(in.File, b) == st.Index }) ||
		slices.ContainsFunc(in.File.Stages, func(o dockerfile.Stage) bool { return o.BaseStage == st.Index })
}

// suggestion writes the edit and holds it against BuildKit's frontend: the same steps,
// of which none but those that are passed is another, and images that are run alike.
func (h *handing) suggestion(in Input, why string) (Suggestion, bool) {
	ins := h.view.stage.Instructions
	price := &pricer{seconds: in.Seconds}
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
	var names, volatile, stages []string
	for _, i := range h.group {
		if ins[i].Keyword != "ARG" {
			continue
		}
		names = append(names, ins[i].Names...)
		for _, a := range ins[i].Vars {
			if in.namesBuild(a) {
				volatile = append(volatile, a.Name)
			}
		}
	}
	for _, p := range h.places {
		stages = append(stages, stageName(p.stage))
	}
	s := Suggestion{
		Rule: "late-arg", Title: "declare " + list(names, "and") + " in " + list(stages, "and") + " instead of " + stageName(h.view.stage),
		Lines: ins[h.group[0]].Lines, Proof: Advice, Obstacle: h.obstacle,
		Evidence: fmt.Sprintf("%s: what a stage declares holds in those that start from it, and so a build with another value repeats %s, about %.0f s, which %s.",
			why, list(steps, "and"), max(total, 1), uses(len(steps))),
	}
	if h.obstacle != "" {
		return s, len(volatile) > 0
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
	if len(volatile) > 0 {
		in.price(&s, variant{declared: true}, variant{text: change.New, declared: true})
		b := in.Builds[0]
		if priced := b.Convert != nil && b.Takers != nil && in.Commits.Len() > 0; priced && s.SavesSeconds < leastFelt {
			return s, false
		}
	}
	return s, true
}

// change writes what is moved into each of its places.
func (h *handing) change(in Input) (Change, error) {
	edits := h.leave()
	for _, p := range h.places {
		edits = append(edits, h.insert(p.stage, p.before))
	}
	return rewrite(in, (len(h.places)-1)*len(h.group)+h.parts(), edits...)
}

// keeps holds the edit against the frontend, without which nothing is known: lost are
// the builds of the stage itself whose images would be run another way.
func (h *handing) keeps(in Input, text []byte) (lost []string, ok bool) {
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

// stageName returns a stage's name, or that by which BuildKit calls it.
func stageName(st dockerfile.Stage) string {
	if st.Name != "" {
		return st.Name
	}
	return fmt.Sprintf("stage-%d", st.Index)
}
