package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// narrowCopy proposes to copy into a stage that is thrown away only the files that are read
// there: a stage that installs dependencies for other stages does not need the sources. See
// docs/rules/narrow-copy.md.
func narrowCopy(in Input) []Suggestion {
	var list []Suggestion
	for _, st := range in.File.Stages {
		if n, ok := in.narrowed(st); ok {
			if s, ok := n.suggestion(in); ok {
				list = append(list, s)
			}
		}
	}
	return list
}

// A narrowing is a stage with COPYs that bring more than is read.
type narrowing struct {
	move          // moved are the COPYs to narrow, needs the files that remain of each
	stage    int  // index of the stage
	unneeded bool // of some of the COPYs nothing remains
}

// narrowed finds the COPYs of a stage that can be narrowed for every build that
// needs it.
func (in Input) narrowed(st dockerfile.Stage) (n narrowing, ok bool) {
	if !in.thrownAway(st) {
		return n, false
	}
	for _, b := range in.Builds {
		if !reachable(in.File, b.Target)[st.Index] {
			continue
		}
		next, found := narrowing{move: move{in: in, view: in.view(st), context: b.Context}, stage: st.Index}, false
		if found = next.find(in, b); !found {
			return n, false
		}
		if ok && (!slices.Equal(next.moved, n.moved) || fmt.Sprint(next.needs) != fmt.Sprint(n.needs)) {
			return n, false
		}
		n, ok = next, true
	}
	return n, ok
}

// thrownAway reports whether the files of a stage matter only as far as other stages copy or
// mount them.
func (in Input) thrownAway(st dockerfile.Stage) bool {
	if triggers(in.File, st) || !neededByAny(in, st.Index) || standsForItself(st) {
		return false
	}
	for _, b := range in.Builds {
		if at := targetStage(in.File, b); at < 0 || extends(in.File, at, st.Index) {
			return false
		}
	}
	return !slices.ContainsFunc(in.File.Stages, func(o dockerfile.Stage) bool {
		return o.BaseStage == st.Index || strings.Contains(o.Base, "$") && o.Index > st.Index
	})
}

// standsForItself reports whether people are likely to build a stage as a target, even if no
// definition does: it starts something, or its name says so.
func standsForItself(st dockerfile.Stage) bool {
	return namedForUse(st) || slices.ContainsFunc(st.Instructions, func(ins dockerfile.Instruction) bool {
		return slices.Contains([]string{"CMD", "ENTRYPOINT", "HEALTHCHECK"}, ins.Keyword)
	})
}

// namedForUse reports whether the name of a stage says that people build it as a target, for
// development or tests.
func namedForUse(st dockerfile.Stage) bool {
	words := strings.FieldsFunc(strings.ToLower(st.Name), func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	return slices.ContainsFunc(words, func(word string) bool {
		return slices.Contains([]string{"dev", "devel", "development", "local", "debug", "test", "tests", "testing", "ci", "lint"}, word)
	})
}

// find works the narrowing out for a build. It reports false if something may read all that a
// COPY brings, or if no COPY can be narrowed.
func (n *narrowing) find(in Input, b Build) bool {
	v := n.view
	seen, ok := n.seen(in)
	if !ok {
		return false
	}
	type read struct {
		install int
		images  []string
	}
	n.look(b)
	if _, led := through(n.ways, len(v.stage.Instructions), touch{reads: seen}); led {
		return false // another stage takes by a link what it leads to
	}
	var reads []read
	installs := 0
	for k, ins := range v.stage.Instructions {
		if ins.Keyword == "ONBUILD" {
			return false
		}
		if ins.Run == nil {
			continue
		}
		run := viewRun(v, k)
		if !run.known || contextMount(v, k) {
			return false
		}
		at := move{in: in, view: v, last: k, context: b.Context}
		for i, inst := range run.installs {
			if inst.discover != nil {
				run.installs[i].main = inst.discover(at.reader(b, inst))
			}
			own, ok := v.touches(k, inst.dir, nil, inst.reads, nil)
			if !ok {
				return false
			}
			seen = append(append(seen, absolute(inst.dir, inst.output)...), own.reads...)
		}
		images, obstacle := at.reads(b, k, run.installs)
		if obstacle != "" {
			return false
		}
		installs += len(run.installs)
		reads = append(reads, read{k, images})
		seen = append(seen, slices.Concat(run.touch.reads, run.touch.writes)...)
		if _, led := through(n.ways, k, run.touch); led {
			return false
		}
	}
	var all []string
	for _, r := range reads {
		all = append(all, r.images...)
	}
	for i, ins := range v.stage.Instructions {
		if installs == 0 || !takesContext(ins) || onlyManifests(b.Context, ins.Copy, n.paths(b, all)) {
			continue
		}
		if v.clash(b, i, seen) != "" {
			return false
		}
		n.moved = append(n.moved, i)
	}
	for _, r := range reads {
		if n.bring(b, r.install, r.images) != "" {
			return false
		}
	}
	n.unneeded = slices.ContainsFunc(n.moved, func(i int) bool { return len(n.of(i)) == 0 })
	return len(n.moved) > 0
}

// absolute returns what an install fills, as an image path; none for elsewhere.
func absolute(dir, output string) []string {
	if output == "" {
		return nil
	}
	return []string{path.Join(dir, output)}
}

// paths returns the context paths of image paths that some COPY brings.
func (n *narrowing) paths(b Build, images []string) []string {
	var list []string
	for _, name := range images {
		if p, _, ok := n.provider(b, len(n.view.stage.Instructions), name); ok {
			list = append(list, p)
		}
	}
	return list
}

// seen returns the image paths that other stages take of this one; false where
// that cannot be told.
func (n *narrowing) seen(in Input) (list []string, ok bool) {
	for _, st := range in.File.Stages {
		for _, ref := range references(st) {
			if strings.Contains(ref, "$") {
				return nil, false
			}
		}
		for _, ins := range st.Instructions {
			if ins.Copy != nil && ins.Copy.From != "" && in.File.StageOf(ins.Copy.From) == n.stage {
				list = append(list, ins.Copy.Sources...)
			}
			if ins.Run == nil {
				continue
			}
			for _, m := range ins.Run.Mounts {
				if m.From != "" && in.File.StageOf(m.From) == n.stage {
					list = append(list, m.Source)
				}
			}
		}
	}
	for i, name := range list {
		if strings.Contains(name, "$") {
			return nil, false
		}
		list[i] = literal(path.Clean("/" + name))
	}
	return list, true
}

// of returns what has to stay of COPY i.
func (n *narrowing) of(i int) []need {
	var list []need
	for _, one := range n.needs {
		if one.from == i {
			list = append(list, one)
		}
	}
	return list
}

func (n *narrowing) suggestion(in Input) (Suggestion, bool) {
	f, ins := in.File, n.view.stage.Instructions
	var edits []dockerfile.Edit
	var gone []dockerfile.Instruction
	var names []string
	added := 0
	for _, i := range n.moved {
		names = append(names, "`"+short(ins[i].Text)+"`")
		needs := n.of(i)
		if len(needs) == 0 {
			gone = append(gone, ins[i])
			added--
			continue
		}
		text := n.copies(needs, false)
		added += strings.Count(text, "\n") - 1
		edits = append(edits, dockerfile.Edit{Lines: ins[i].Lines, Text: text})
	}
	edits = append(edits, removeAll(f, gone)...)
	slices.SortFunc(edits, func(a, b dockerfile.Edit) int { return a.Lines.From - b.Lines.From })
	change, err := rewrite(in, added, edits...)
	if err != nil {
		return Suggestion{}, false
	}
	s := Suggestion{
		Rule: "narrow-copy", Title: "copy into the stage only what is looked at there", Proof: ByConstruction, Changes: []Change{change},
		Lines: dockerfile.Lines{From: ins[n.moved[0]].Lines.From, To: ins[n.moved[len(n.moved)-1]].Lines.To},
	}
	s.Evidence = n.evidence(in, names)
	in.price(&s, variant{}, variant{text: change.New})
	return s, in.Commits.Len() == 0 || s.SavesSeconds >= 0.5 || s.Costs == Observed && s.SavesSeconds >= 0.05
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// evidence counts the commits that change what is copied, and what is looked at.
func (n *narrowing) evidence(in Input, names []string) string {
	b := in.Builds[0]
	var files []string
	for _, one := range n.needs {
		files = append(files, one.files...)
	}
	takes := list(names, "and") + " " + takes(len(names))
	if in.Commits.Len() == 0 {
		what := "Nothing of what " + takes + " is looked at"
		if len(files) > 0 {
			what = fmt.Sprintf("Of what %s only %s %s looked at", takes, list(files, "and"), are(len(files)))
		}
		return what + "; there is no history to count changes in."
	}
	all := in.Commits.Touching(func(p string) bool { return n.movedTakes(b, p) })
	counted := fmt.Sprintf("%d of the last %s %s what %s", all, in.Commits.Counted(), change(all), takes)
	if len(files) == 0 {
		return counted + ", and nothing of it is looked at."
	}
	few := in.Commits.Touching(func(p string) bool { rel, ok := b.inside(p); return ok && among(files, rel) })
	return fmt.Sprintf("%s, %d %s %s: nothing else of it is looked at.", counted, few, change(few), list(files, "or"))
}
