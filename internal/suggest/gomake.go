package suggest

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// callsGo matches a command of a Makefile with which Go compiles.
var callsGo = regexp.MustCompile(`(?m)(^|[\s@;&])(go|\$[({]GO(CMD)?[)}]) (build|install)\b`)

// goMake proposes mounts of Go's caches for a stage in which make compiles with Go, as the
// Makefile says. It is advice, because what else make runs is not followed. A base stage may only
// name the image.
func goMake(in Input) []Suggestion {
	var list []Suggestion
	for _, st := range in.File.Stages {
		ends := slices.ContainsFunc(in.Builds, func(b Build) bool { return ships(in.File, b.Target, st.Index) })
		based := slices.ContainsFunc(in.File.Stages, func(o dockerfile.Stage) bool { return o.BaseStage == st.Index })
		if ends || based || len(instructionsOf(in.File, st.BaseStage)) > 0 || imageName(rootStage(in.File, st.Index).Base) != "golang" || !neededByAny(in, st.Index) || !in.makesWithGo() {
			continue
		}
		if s, ok := in.mountForMake(st); ok {
			list = append(list, s)
		}
	}
	return list
}

// makesWithGo reports whether the context is a Go module with a Makefile that compiles with Go.
func (in Input) makesWithGo() bool {
	context := in.Builds[0].Context
	return context.Exists("go.mod") && slices.ContainsFunc([]string{"GNUmakefile", "makefile", "Makefile"}, func(name string) bool {
		text, err := context.Read(name)
		return err == nil && callsGo.Match(text)
	})
}

// mountForMake proposes the mounts for the RUNs of a stage that call make or Go.
func (in Input) mountForMake(st dockerfile.Stage) (Suggestion, bool) {
	p := mountPlan{image: "golang", home: "/root"}
	var made string
	tools := slices.DeleteFunc(slices.Clone(effects.Caches()), func(c *effects.Cache) bool { return c.Name != "go build" && c.Name != "go modules" })
	ok := p.addFolders(in, st, tools)
	if ok {
		made, ok = p.addMakes(in, st, tools)
	}
	if !ok || p.taken(in, st.Index) || p.hides(in, st.Index) {
		return Suggestion{}, false
	}
	last := p.runs[len(p.runs)-1]
	evidence := fmt.Sprintf("The Makefile has Go compile, and `%s` compiles everything anew each time it runs", short(made))
	switch n := in.repeated(st, last); {
	case in.Commits.Len() == 0:
		evidence += "; there is no history to count changes in."
	case n == 0:
		return Suggestion{}, false
	default:
		evidence += fmt.Sprintf("; %d of the last %s %s files that it or a step above it takes.", n, in.Commits.Counted(), change(n))
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
	// Only the last RUN is taken to get faster: by most of what a go build costs, but by no
	// more than half of its time.
	whole := in.pricer().cost(last)
	in.price(&s, variant{}, variant{costs: map[string]float64{last.Text: whole - min(whole/2, prior("go build")*0.8)}})
	if s.SavesSeconds > 0 {
		s.Costs = Prior
	}
	return s, true
}

// addFolders adds the folders of Go's caches to the plan. It reports false if the stage may
// have moved one of them.
func (p *mountPlan) addFolders(in Input, st dockerfile.Stage, tools []*effects.Cache) bool {
	for _, p.tool = range tools {
		at := whereabouts{home: "/root", known: true}
		for _, ins := range st.Instructions {
			at = p.follow(at, ins)
		}
		if !at.known || at.home != "/root" {
			return false
		}
		if p.tool.Name == "go build" || used(in, p.tool) { // vendored modules are not downloaded
			p.dirs = append(p.dirs, p.tool.At(p.image, at.home)...)
		}
	}
	return true
}

// addMakes adds the RUNs of a stage that call make or Go to the plan, and returns the text of
// the last with make. It reports false if there is none, or if a mount would be wrong for a RUN.
func (p *mountPlan) addMakes(in Input, st dockerfile.Stage, tools []*effects.Cache) (made string, ok bool) {
	v := in.bare(st)
	module := false // a COPY brought the module: before that, make cannot compile it
	for i, ins := range st.Instructions {
		module = module || ins.Copy != nil && in.Builds[0].Context.Takes(ins.Lines.From, "go.mod")
		if ins.Run == nil || !module {
			continue
		}
		commands, ok := v.everyCommand(i)
		if !ok {
			return "", false
		}
		commands = in.running(v, i, commands, in.Builds)
		makes := slices.ContainsFunc(commands, func(c command) bool { return c.starts("make") })
		if !makes && !slices.ContainsFunc(commands, func(c command) bool { return c.is(tools[0]) || c.is(tools[1]) }) {
			continue
		}
		for _, p.tool = range tools {
			if p.contradicted(ins, commands, p.dirs) {
				return "", false
			}
		}
		if makes {
			made = ins.Text
		}
		p.runs = append(p.runs, ins)
	}
	return made, made != ""
}
