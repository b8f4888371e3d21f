package suggest

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// callsGo matches what in a Makefile has Go compile.
var callsGo = regexp.MustCompile(`(?m)(^|[\s@;&])(go|\$[({]GO(CMD)?[)}]) (build|install)\b`)

// goMake proposes Go's caches for a stage whose make has Go compile, by what the Makefile
// says. It is advice: what else make runs is not followed.
func goMake(in Input) []Suggestion {
	var list []Suggestion
	for _, st := range in.File.Stages {
		ends := slices.ContainsFunc(in.Builds, func(b Build) bool { return ships(in.File, b.Target, st.Index) })
		based := slices.ContainsFunc(in.File.Stages, func(o dockerfile.Stage) bool { return o.BaseStage == st.Index })
		if ends || based || st.BaseStage >= 0 || imageName(st.Base) != "golang" || !neededByAny(in, st.Index) || !in.makesWithGo() {
			continue
		}
		if s, ok := in.mountForMake(st); ok {
			list = append(list, s)
		}
	}
	return list
}

// makesWithGo reports a context of a Go module whose Makefile has Go compile.
func (in Input) makesWithGo() bool {
	context := in.Builds[0].Context
	return context.Exists("go.mod") && slices.ContainsFunc([]string{"GNUmakefile", "makefile", "Makefile"}, func(name string) bool {
		text, err := context.Read(name)
		return err == nil && callsGo.Match(text)
	})
}

// mountForMake proposes the mounts for the RUNs of a stage that call make or Go.
func (in Input) mountForMake(st dockerfile.Stage) (Suggestion, bool) {
	tools := slices.DeleteFunc(slices.Clone(effects.Caches()), func(c *effects.Cache) bool { return c.Name != "go build" && c.Name != "go modules" })
	p := mountPlan{image: "golang", home: "/root"}
	v, made := newStageView(in.File, st), ""
	for _, tool := range tools {
		p.tool = tool
		at := whereabouts{home: "/root", known: true}
		for _, ins := range st.Instructions {
			at = p.follow(at, ins)
		}
		if !at.known || at.home != "/root" {
			return Suggestion{}, false
		}
		if tool.Name == "go build" || used(in, tool) { // vendored modules are not downloaded
			p.dirs = append(p.dirs, tool.At(p.image, at.home)...)
		}
	}
	module := false // the stage has the module
	for i, ins := range st.Instructions {
		module = module || ins.Copy != nil && in.Builds[0].Context.Takes(ins.Lines.From, "go.mod")
		if ins.Run == nil || !module {
			continue // what make does by now is no matter of Go's
		}
		commands, ok := everyCommand(ins.Run, v.shell[i])
		if !ok {
			return Suggestion{}, false
		}
		commands = in.running(v, i, commands)
		makes := slices.ContainsFunc(commands, func(c command) bool { return c.starts("make") })
		if !makes && !slices.ContainsFunc(commands, func(c command) bool { return c.is(tools[0]) || c.is(tools[1]) }) {
			continue
		}
		for _, p.tool = range tools {
			if p.contradicted(ins, commands, p.dirs) {
				return Suggestion{}, false
			}
		}
		if makes {
			made = ins.Text
		}
		p.runs = append(p.runs, ins)
	}
	if made == "" || p.taken(in, st.Index) || p.hides(in, st.Index) {
		return Suggestion{}, false
	}
	last := p.runs[len(p.runs)-1]
	n := in.repeated(st, last)
	evidence := fmt.Sprintf("The Makefile has Go compile, and `%s` starts from nothing each time it runs", short(made))
	switch {
	case in.Commits.Len() == 0:
		evidence += "; there is no history to count changes in."
	case n == 0:
		return Suggestion{}, false
	default:
		evidence += fmt.Sprintf(": for %d of the last %s, which change files that it or a step above it takes.", n, in.Commits.Counted())
	}
	var edits []dockerfile.Edit
	for _, run := range p.runs {
		edits = append(edits, spliced(in.File, run, addMounts(in.File, run, p.mounts())...))
	}
	change, err := rewrite(in, 0, edits...)
	if err != nil {
		return Suggestion{}, false
	}
	s := Suggestion{
		Rule: "cache-mount", Title: "keep what go downloads and compiles in cache mounts", Evidence: evidence, Proof: Advice, Changes: []Change{change},
		Lines:    dockerfile.Lines{From: p.runs[0].Lines.From, To: last.Lines.To},
		Obstacle: "what else make runs is not followed: whether it leaves Go's caches where they are is yours to say",
	}
	if len(p.dirs) == 1 {
		s.Title = "keep what go compiles in a cache mount"
	}
	// Of several, one compiles.
	whole := (&pricer{seconds: in.Seconds}).cost(last)
	in.price(&s, variant{}, variant{costs: map[string]float64{last.Text: whole - min(whole/2, prior("go build")*0.8)}})
	if s.SavesSeconds > 0 {
		s.Costs = Prior
	}
	return s, true
}
