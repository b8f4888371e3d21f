package cache

import (
	"cmp"
	"slices"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A comparison finds out how build differs from other, an earlier build, in what one step
// is made from. It follows the operations of both down to their sources, side by side.
type comparison struct {
	build, other Build
	steps        []int           // for each step of build, the one of other that stands for it, or -1
	seen         map[[2]int]bool // pairs of operations that were compared
	causes       []Cause         // what differs
	later        []func()        // comparisons that count only if nothing else differs
}

// newComparison aligns the steps of two builds.
func newComparison(b, other Build) *comparison {
	return &comparison{build: b, other: other, steps: align(b, other), seen: map[[2]int]bool{}}
}

// step compares step i of the build with step j of the other.
func (c *comparison) step(i, j int) {
	mine, theirs := c.build.Evidence.of(i), c.other.Evidence.all(j)
	if all := c.build.Evidence.all(i); len(all) == len(theirs) {
		for n, op := range all {
			if slices.Contains(mine, op) {
				c.operation(op, theirs[n], i)
			}
		}
		for len(c.causes) == 0 && len(c.later) > 0 {
			next := c.later[0]
			c.later = c.later[1:]
			next()
		}
		c.causes = onePlatform(c.causes)
		return
	}
	c.edited(i, j) // it is made of other operations
}

// otherPlatform reports whether the builds are for different platforms, or on them.
func (c *comparison) otherPlatform() bool {
	return slices.ContainsFunc(c.causes, func(c Cause) bool { return c.Kind == ByPlatform })
}

// onePlatform returns causes with no more than one of ByPlatform: if there are several, one
// that names the platforms.
func onePlatform(causes []Cause) []Cause {
	best := -1
	for i, c := range causes {
		if c.Kind == ByPlatform && (best < 0 || causes[best].After == "" && c.After != "") {
			best = i
		}
	}
	var list []Cause
	for i, c := range causes {
		if c.Kind != ByPlatform || i == best {
			list = append(list, c)
		}
	}
	return list
}

// all returns the operations of a step.
func (e *Evidence) all(step int) []int {
	var all []int
	for i, op := range e.Operations {
		if slices.Contains(op.Steps, step) {
			all = append(all, i)
		}
	}
	return all
}

// owner returns the first step that an operation is part of; -1 if it is part of none.
func (b Build) owner(op int) int {
	steps := b.Evidence.Operations[op].Steps
	if len(steps) == 0 {
		return -1
	}
	return steps[0]
}

// add adds a cause, unless it is known already.
func (c *comparison) add(cause Cause) {
	if !slices.Contains(c.causes, cause) {
		c.causes = append(c.causes, cause)
	}
}

// operation compares operation i of the build with operation j of the other, and what they
// take in. Causes are about the step that i is part of, or about step if it is part of none.
func (c *comparison) operation(i, j, step int) {
	if c.seen[[2]int{i, j}] {
		return
	}
	c.seen[[2]int{i, j}] = true
	x, y := &c.build.Evidence.Operations[i], &c.other.Evidence.Operations[j]
	if x.Key != "" && x.Key == y.Key {
		return
	}
	if own := c.build.owner(i); own >= 0 {
		step = own
	}
	if x.Source != "" || y.Source != "" {
		c.source(x, y, step)
		return
	}
	if x.Digest != y.Digest {
		c.definition(x, y, step)
	}
	for n := range min(len(x.Inputs), len(y.Inputs)) {
		if c.cameOutEqual(x, x.Inputs[n], y, y.Inputs[n]) {
			c.later = append(c.later, func() { c.intake(x.Inputs[n], y.Inputs[n], step) })
			continue
		}
		c.intake(x.Inputs[n], y.Inputs[n], step)
	}
	if len(x.Inputs) != len(y.Inputs) && len(c.causes) == 0 {
		c.structure(step)
	}
}

// cameOutEqual reports whether the input in was made anew, and x, which does the same as y,
// was reused all the same: it was found by the content of the input. So that mostly is what
// it was for y, too, and a difference between the inputs is no cause.
func (c *comparison) cameOutEqual(x *Operation, in Intake, y *Operation, before Intake) bool {
	if x.Fate == Made || x.Digest != y.Digest || in.Local != "" || before.Local != "" {
		return false
	}
	return c.build.Evidence.Operations[in.Operation].Fate == Made
}

// intake compares what two operations take in at the same place.
func (c *comparison) intake(x, y Intake, step int) {
	switch {
	case x.Local != "" && y.Local != "":
		switch {
		case x.Unknown != "":
			c.add(Cause{Kind: ByUnknown, Step: step, Name: x.Local, Gap: x.Unknown})
		case y.Unknown != "":
			c.add(Cause{Kind: ByUnknown, Step: step, Name: x.Local, Gap: y.Unknown, Earlier: true})
		case x.Content != y.Content:
			c.add(Cause{Kind: ByFiles, Step: step, Name: x.Local, TakenBefore: y.Taken, TakenAfter: x.Taken})
		}
		return
	case x.Local != "" || y.Local != "":
		c.structure(step)
		return
	}
	key := c.build.Evidence.Operations[x.Operation].Key
	if key != "" && key == c.other.Evidence.Operations[y.Operation].Key {
		return
	}
	mine, theirs := c.build.owner(x.Operation), c.other.owner(y.Operation)
	if mine < 0 && theirs < 0 || mine >= 0 && theirs >= 0 && c.steps[mine] == theirs {
		c.operation(x.Operation, y.Operation, step)
		return
	}
	c.structure(step)
}

// source compares two sources.
func (c *comparison) source(x, y *Operation, step int) {
	before, after := c.other.Evidence.line(y.Line), c.build.Evidence.line(x.Line)
	changed := before != nil && after != nil && before.Digest != after.Digest
	switch {
	case x.Source != y.Source || changed:
		c.add(Cause{Kind: ByDockerfile, Step: step, Line: x.Line, Before: textOf(before), After: textOf(after)})
	case x.Source == string(dockerfile.LocalSource):
		c.add(Cause{Kind: ByEachBuild, Step: step})
	case x.Platform != y.Platform:
		c.add(Cause{Kind: ByPlatform, Step: step, Line: x.Line, Before: y.Platform, After: x.Platform})
	case x.Image != y.Image && x.Image != "" && y.Image != "":
		if after != nil && c.variables(after.Uses, after, before, step) {
			return // FROM names another image now
		}
		c.add(Cause{Kind: ByBase, Step: step, Line: x.Line, Name: textOf(after), Before: y.Image, After: x.Image})
	case x.Gave != "" && y.Gave != "":
		switch {
		case after != nil && c.variables(after.Uses, after, before, step): // from another address
		case x.Gave != y.Gave:
			c.add(Cause{Kind: ByDownload, Step: step, Line: x.Line})
		case x.Source == string(dockerfile.HTTPSource) && x.Digest == "":
			// The server may have told another time of it, which counts as well.
			c.later = append(c.later, func() { c.add(Cause{Kind: ByUnknown, Step: step, Line: x.Line, Gap: Remote}) })
		}
	case x.Digest == "" || y.Digest == "":
		c.add(Cause{Kind: ByUnknown, Step: step, Line: x.Line, Gap: Remote})
	case x.Digest != y.Digest:
		c.add(Cause{Kind: ByDownload, Step: step, Line: x.Line})
	}
}

// textOf returns the text of an instruction, "" for none.
func textOf(l *Line) string {
	if l == nil {
		return ""
	}
	return l.Text
}

// definition compares what two operations do, whose digests differ.
func (c *comparison) definition(x, y *Operation, step int) {
	kinds, names, hidden := differing(x.Traits, y.Traits)
	mine, theirs := c.lines(step)
	for _, name := range names {
		c.variable(name, mine, theirs, step)
	}
	if len(kinds) > 0 && !c.edit(kinds, mine, theirs, step) {
		c.around(kinds, mine, theirs, step)
	}
	if len(names)+len(kinds) == 0 && hidden {
		// A variable of the base image, mostly: then that is another one, which says it.
		if c.inherits(x, y, step); len(c.causes) == 0 {
			c.add(Cause{Kind: ByEnv, Step: step})
		}
		return
	}
	// With another number of inputs, what differs is not an option: one of the steps may start from
	// nothing.
	if len(names)+len(kinds) == 0 && len(x.Inputs) == len(y.Inputs) {
		c.add(Cause{Kind: ByOptions, Step: step})
	}
}

// inherits compares what two operations take in, before anything else is said.
func (c *comparison) inherits(x, y *Operation, step int) {
	for n := range min(len(x.Inputs), len(y.Inputs)) {
		c.intake(x.Inputs[n], y.Inputs[n], step)
	}
}

// differing returns the kinds of traits in which two definitions differ, and the names of
// variables. hidden reports that they also differ in variables that neither the Dockerfile
// nor the client names.
func differing(x, y []Trait) (kinds []dockerfile.TraitKind, names []string, hidden bool) {
	type id struct {
		kind dockerfile.TraitKind
		id   string
	}
	find := func(list []Trait, at id) Trait {
		for _, t := range list {
			if t.Kind == at.kind && t.ID == at.id {
				return t
			}
		}
		return Trait{}
	}
	for _, t := range slices.Concat(x, y) {
		at := id{t.Kind, t.ID}
		a, b := find(x, at), find(y, at)
		if a.Digest == b.Digest {
			continue
		}
		name := cmp.Or(a.Name, b.Name)
		switch {
		case t.Kind != dockerfile.VariableTrait:
			if !slices.Contains(kinds, t.Kind) {
				kinds = append(kinds, t.Kind)
			}
		case name == "":
			hidden = true
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return kinds, names, hidden
}

// lines returns the instructions of a step and of the one that stands for it in the other
// build; nil where that is not known.
func (c *comparison) lines(step int) (mine, theirs *Line) {
	mine = c.build.Evidence.lineOf(c.build.Steps[step])
	if j := c.steps[step]; j >= 0 {
		theirs = c.other.Evidence.lineOf(c.other.Steps[j])
	}
	return mine, theirs
}

// edited adds that the instruction of step i was edited, which is step j of the other build.
func (c *comparison) edited(i, j int) {
	mine, theirs := c.build.Evidence.lineOf(c.build.Steps[i]), c.other.Evidence.lineOf(c.other.Steps[j])
	c.add(Cause{Kind: ByDockerfile, Step: i, Line: c.build.Steps[i].Line, Before: textOf(theirs), After: textOf(mine)})
}

// edit adds an edit of the instruction itself as the cause of a difference in kinds, and
// reports whether there is one.
func (c *comparison) edit(kinds []dockerfile.TraitKind, mine, theirs *Line, step int) bool {
	if mine == nil || theirs == nil || mine.Digest == theirs.Digest {
		return false
	}
	kind := ByDockerfile
	switch {
	case onlyKind(kinds, dockerfile.SecretTrait):
		kind = BySecret
	case onlyKind(kinds, dockerfile.SSHTrait):
		kind = BySSH
	}
	c.add(Cause{Kind: kind, Step: step, Line: mine.Number, Before: theirs.Text, After: mine.Text})
	return true
}

// onlyKind reports whether mounts of a kind are all that differs. If the number of mounts
// changed, that shows as a difference in other mounts as well, which does not count.
func onlyKind(kinds []dockerfile.TraitKind, kind dockerfile.TraitKind) bool {
	return slices.Contains(kinds, kind) && !slices.ContainsFunc(kinds, func(k dockerfile.TraitKind) bool {
		return k != kind && k != dockerfile.MountTrait
	})
}
