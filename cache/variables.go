package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// line returns the instruction at a line, nil if that is not known.
func (e *Evidence) line(number int) *Line {
	for i := range e.Dockerfile {
		if e.Dockerfile[i].Number == number {
			return &e.Dockerfile[i]
		}
	}
	return nil
}

// lineOf returns the instruction of a step. A trigger of the base image has none.
func (e *Evidence) lineOf(s Step) *Line {
	l := e.line(s.Line)
	if l == nil || keywordOf(s.Instruction()) != l.Keyword {
		return nil
	}
	return l
}

// A scope is the instructions that may bear on another one, in order.
type scope []*Line

// scope returns the scope of an instruction: the global ARGs, all instructions above in its
// own stage, and of the stages that this starts from those whose effect stays in an image.
func (e *Evidence) scope(at *Line) scope {
	var above scope
	for i := range e.Dockerfile {
		if l := &e.Dockerfile[i]; l.Stage == -1 {
			above = append(above, l)
		}
	}
	stay := []string{"ENV", "WORKDIR", "USER", "SHELL"}
	for _, stage := range e.ancestry(at.Stage) {
		for i := range e.Dockerfile {
			l := &e.Dockerfile[i]
			own := l.Stage == at.Stage
			if l.Stage == stage && (own && l.Number < at.Number || !own && slices.Contains(stay, l.Keyword)) {
				above = append(above, l)
			}
		}
	}
	return above
}

// ancestry returns the stages that a stage starts from, the first one first, and then the
// stage itself.
func (e *Evidence) ancestry(stage int) []int {
	chain := []int{stage}
	for range e.Dockerfile { // no longer than that, should stages start from each other
		base := ""
		for _, l := range e.Dockerfile {
			if l.Keyword == "FROM" && l.Stage == chain[0] {
				base = l.Base
			}
		}
		from := -1
		for _, l := range e.Dockerfile {
			if l.Keyword == "FROM" && l.Stage < chain[0] && (l.Name != "" && strings.EqualFold(l.Name, base) || base == strconv.Itoa(l.Stage)) {
				from = l.Stage
			}
		}
		if from < 0 {
			break
		}
		chain = append([]int{from}, chain...)
	}
	return chain
}

// definer returns the instruction in s that gives a variable its value, nil if there is
// none: the last ENV, which overrides any ARG, else the last ARG.
func (s scope) definer(name string) *Line {
	var arg *Line
	for _, l := range slices.Backward(s) {
		if !slices.Contains(l.Defines, name) {
			continue
		}
		if l.Keyword == "ENV" {
			return l
		}
		if arg == nil {
			arg = l
		}
	}
	return arg
}

// last returns the last instruction in s with a keyword, nil if there is none.
func (s scope) last(keyword string) *Line {
	for _, l := range slices.Backward(s) {
		if l.Keyword == keyword {
			return l
		}
	}
	return nil
}

// state returns a digest of all that makes up the value of a variable after the instructions
// in s. Two that are equal mean that the values are. An ARG that is named again in a stage
// has the default given there, or that of the global one.
func (e *Evidence) state(s scope, name string) string {
	return (&states{evidence: e, scope: s, known: map[stateID]string{}}).of(len(s), name)
}

// states works out the states of variables within a scope, each only once: a variable such
// as PATH is often made from itself, again and again.
type states struct {
	evidence *Evidence
	scope    scope
	known    map[stateID]string
}

// A stateID names the state of a variable after the first so many instructions of a scope.
type stateID struct {
	above int
	name  string
}

// of returns the state of a variable after the first so many instructions.
func (s *states) of(above int, name string) string {
	id := stateID{above, name}
	if state, known := s.known[id]; known {
		return state
	}
	sum := sha256.New()
	for i, l := range s.scope[:above] {
		if !slices.Contains(l.Defines, name) {
			continue
		}
		if given, ok := s.evidence.Args[name]; ok && l.Keyword == "ARG" {
			fmt.Fprintf(sum, "given %s\n", given)
			continue
		}
		fmt.Fprintf(sum, "%s\n", l.Digest)
		for _, used := range l.Uses {
			fmt.Fprintf(sum, "%s\n", s.of(i, used))
		}
	}
	s.known[id] = hex.EncodeToString(sum.Sum(nil))
	return s.known[id]
}

// variables adds those of names that have another value at the instruction mine than at
// theirs, and reports whether there are any.
func (c *comparison) variables(names []string, mine, theirs *Line, step int) bool {
	if mine == nil || theirs == nil {
		return false
	}
	found := false
	for _, name := range names {
		if c.build.Evidence.state(c.build.Evidence.scope(mine), name) != c.other.Evidence.state(c.other.Evidence.scope(theirs), name) {
			c.variable(name, mine, theirs, step)
			found = true
		}
	}
	return found
}

// variable adds that a variable has another value at mine than at theirs, and how that came
// about.
func (c *comparison) variable(name string, mine, theirs *Line, step int) {
	cause := Cause{Kind: ByArg, Step: step, Name: name}
	given, now := c.build.Evidence.Args[name]
	before, once := c.other.Evidence.Args[name]
	var after, earlier *Line
	if mine != nil {
		after = c.build.Evidence.scope(mine).definer(name)
	}
	if theirs != nil {
		earlier = c.other.Evidence.scope(theirs).definer(name)
	}
	for _, l := range []*Line{earlier, after} {
		if l != nil && l.Keyword == "ENV" {
			cause.Kind = ByEnv
		}
	}
	if after != nil {
		cause.Line = after.Number
	}
	switch {
	case cause.Kind == ByArg && now && once && given != before:
		cause.How = GivenOther
	case cause.Kind == ByArg && now && !once:
		cause.How = GivenNow
	case cause.Kind == ByArg && once && !now:
		cause.How = NotGiven
	case after == nil && earlier == nil:
	case after == nil || earlier == nil || after.Digest != earlier.Digest:
		cause.How = Edited
	default:
		cause = c.indirectly(cause, mine, theirs, after, earlier)
	}
	c.add(cause)
}

// indirectly completes the cause of a variable whose definers, after and earlier, are equal:
// its value comes from another variable, the global ARG, an instruction in between, or the
// platform.
func (c *comparison) indirectly(cause Cause, mine, theirs, after, earlier *Line) Cause {
	cause.How = Edited
	l := c.redefined(cause.Name, mine, theirs)
	if l != nil {
		cause.Line = l.Number
	}
	for _, used := range after.Uses {
		if c.build.Evidence.state(c.build.Evidence.scope(after), used) != c.other.Evidence.state(c.other.Evidence.scope(earlier), used) {
			cause.How, cause.Through = Derived, used
			return cause
		}
	}
	if l == nil && c.build.Evidence.ofPlatform([]string{cause.Name}, mine) {
		return Cause{Kind: ByPlatform, Step: cause.Step}
	}
	return cause
}

// ofPlatform reports whether the platform that is built for, or on, is part of the value of
// one of the variables at an instruction (BuildKit: dockerfile2llb/platform.go).
func (e *Evidence) ofPlatform(names []string, at *Line) bool {
	above, seen := e.scope(at), map[string]bool{}
	var of func(names []string, above scope) bool
	of = func(names []string, above scope) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			l := above.definer(name)
			if l == nil || seen[name] {
				return false
			}
			seen[name] = true
			_, given := e.Args[name]
			return l.Keyword == "ARG" && !given && slices.Contains(platformArgs, name) || of(l.Uses, above)
		})
	}
	return of(names, above)
}

// platformArgs are those that BuildKit gives a value, unless the client does.
var platformArgs = []string{
	"BUILDPLATFORM", "BUILDOS", "BUILDOSVERSION", "BUILDARCH", "BUILDVARIANT",
	"TARGETPLATFORM", "TARGETOS", "TARGETOSVERSION", "TARGETARCH", "TARGETVARIANT",
}

// redefined returns the last instruction above mine that gives a variable a value, and that
// is not above theirs; nil if there is none.
func (c *comparison) redefined(name string, mine, theirs *Line) *Line {
	before := map[string]bool{}
	for _, l := range c.other.Evidence.scope(theirs) {
		before[l.Digest] = before[l.Digest] || slices.Contains(l.Defines, name)
	}
	for _, l := range slices.Backward(c.build.Evidence.scope(mine)) {
		if slices.Contains(l.Defines, name) && !before[l.Digest] {
			return l
		}
	}
	return nil
}

// around adds what changed traits of an instruction whose text is as it was: a variable in
// it, an instruction above such as SHELL or USER, the platform, or options of the build.
func (c *comparison) around(kinds []dockerfile.TraitKind, mine, theirs *Line, step int) {
	if mine == nil || theirs == nil {
		c.add(Cause{Kind: ByDockerfile, Step: step, Line: c.build.Steps[step].Line})
		return
	}
	if c.variables(mine.Uses, mine, theirs, step) {
		return
	}
	found := false
	for _, kind := range kinds {
		if c.setter(kind, mine, theirs, step) {
			found = true
		}
	}
	switch {
	case found:
	case c.build.Evidence.Args[epoch] != c.other.Evidence.Args[epoch] && mine.Keyword != "RUN": // no key of a RUN has it
		c.variable(epoch, mine, theirs, step)
	case !slices.Contains(kinds, dockerfile.OptionTrait) && c.build.Evidence.ofPlatform(mine.Uses, mine):
		c.add(Cause{Kind: ByPlatform, Step: step})
	default:
		c.add(Cause{Kind: ByOptions, Step: step})
	}
}

// setters are the keywords of the instructions that set a trait of those below.
var setters = map[dockerfile.TraitKind]string{
	dockerfile.CommandTrait:     "SHELL",
	dockerfile.WorkDirTrait:     "WORKDIR",
	dockerfile.DestinationTrait: "WORKDIR",
	dockerfile.UserTrait:        "USER",
	dockerfile.OwnerTrait:       "USER",
}

// setter adds that the instruction above, or the platform, that sets a trait of mine is
// another one than that of theirs, and reports whether it is.
func (c *comparison) setter(kind dockerfile.TraitKind, mine, theirs *Line, step int) bool {
	after, before := c.build.Evidence.scope(mine).last(setters[kind]), c.other.Evidence.scope(theirs).last(setters[kind])
	switch {
	case kind == dockerfile.PlatformTrait:
		c.add(Cause{Kind: ByPlatform, Step: step})
	case after == nil && before == nil:
		return false
	case after == nil || before == nil || after.Digest != before.Digest:
		at := 0
		if after != nil {
			at = after.Number
		}
		c.add(Cause{Kind: ByDockerfile, Step: step, Line: at, Before: textOf(before), After: textOf(after)})
	case c.variables(after.Uses, after, before, step):
	case kind != dockerfile.CommandTrait && c.build.Evidence.ofPlatform(after.Uses, after):
		c.add(Cause{Kind: ByPlatform, Step: step})
	default:
		return false
	}
	return true
}

// epoch is the arg that changes the times of files (BuildKit:
// frontend/dockerui, buildArgSourceDateEpoch).
const epoch = "SOURCE_DATE_EPOCH"

// structure adds which instructions were added, removed or edited above a step, so that it
// now works on the result of another one.
func (c *comparison) structure(step int) {
	mine, theirs := c.lines(step)
	if mine == nil || theirs == nil {
		c.add(Cause{Kind: ByDockerfile, Step: step, Line: c.build.Steps[step].Line})
		return
	}
	if mine.Digest != theirs.Digest {
		c.edit(nil, mine, theirs, step)
	}
	same := c.instructions(c.build.Evidence.executed(mine), c.other.Evidence.executed(theirs), step)
	if len(c.causes) > 0 {
		return
	}
	for _, pair := range same { // a FROM may name another stage now
		c.variables(pair.after.Uses, pair.after, pair.before, step)
	}
	switch {
	case len(c.causes) > 0:
	case c.sameDockerfile():
		// Of one of the builds the steps were worked out from its files, and so are not for sure.
		c.add(Cause{Kind: ByUnknown, Step: step, Gap: Unmatched, Earlier: !c.build.Evidence.Presumed})
	default:
		c.add(Cause{Kind: ByDockerfile, Step: step, Line: mine.Number})
	}
}

// A linePair is an instruction that both builds have, at its place in each.
type linePair struct{ after, before *Line }

// instructions adds which of the instructions above a step were added, removed or edited, and
// returns those that are in both lists.
func (c *comparison) instructions(after, before []Line, step int) []linePair {
	digests := func(lines []Line) (list []string) {
		for _, l := range lines {
			list = append(list, l.Keyword+" "+l.Digest)
		}
		return list
	}
	var same []linePair
	matchedAfter, matchedBefore := map[int]bool{}, map[int]bool{}
	matches(digests(after), digests(before), func(i, j int) {
		matchedAfter[i], matchedBefore[j] = true, true
		same = append(same, linePair{&after[i], &before[j]})
		if after[i].Digest != before[j].Digest {
			c.add(Cause{Kind: ByDockerfile, Step: step, Line: after[i].Number, Before: before[j].Text, After: after[i].Text})
		}
	})
	for i, l := range after {
		if !matchedAfter[i] {
			c.add(Cause{Kind: ByDockerfile, Step: step, Line: l.Number, After: l.Text})
		}
	}
	for j, l := range before {
		if !matchedBefore[j] {
			c.add(Cause{Kind: ByDockerfile, Step: step, Before: l.Text})
		}
	}
	return same
}

// sameDockerfile reports whether the Dockerfiles of both builds have the same instructions.
func (c *comparison) sameDockerfile() bool {
	return slices.EqualFunc(c.build.Evidence.Dockerfile, c.other.Evidence.Dockerfile, func(a, b Line) bool { return a.Digest == b.Digest })
}

// executed returns the instructions above at that make up the files that it works on.
func (e *Evidence) executed(at *Line) []Line {
	var list []Line
	for _, stage := range e.ancestry(at.Stage) {
		for _, l := range e.Dockerfile {
			if l.Stage == stage && (stage != at.Stage || l.Number < at.Number) &&
				slices.Contains([]string{"FROM", "RUN", "COPY", "ADD", "WORKDIR", "ONBUILD"}, l.Keyword) {
				list = append(list, l)
			}
		}
	}
	return list
}
