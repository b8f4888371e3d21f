package cache

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A Build is a finished build with what explains it.
type Build struct {
	Record
	Evidence *Evidence // nil if nothing is kept
}

// Earlier are the builds before a build, of the same definition on the same builder, the
// latest first. Evidence is large, and is read only of the builds that are compared.
type Earlier interface {
	Records() []Record
	// Evidence returns the evidence of the build with the index i in Records, nil if
	// nothing is kept.
	Evidence(i int) *Evidence
	// Made returns the index of the first build after which the builder had the results of
	// all keys (see [Evidence.Made]), -1 for none.
	Made(keys []string) int
}

// Builds is an [Earlier] of builds that are in memory.
type Builds []Build

var _ Earlier = Builds(nil)

// Records implements [Earlier].
func (b Builds) Records() []Record {
	list := make([]Record, len(b))
	for i := range b {
		list[i] = b[i].Record
	}
	return list
}

// Evidence implements [Earlier].
func (b Builds) Evidence(i int) *Evidence { return b[i].Evidence }

// Made implements [Earlier].
func (b Builds) Made(keys []string) int {
	return slices.IndexFunc(b, func(b Build) bool { return b.Evidence != nil && b.Evidence.Made(keys) })
}

// A CauseKind says what made a step run.
type CauseKind string

// The kinds of causes.
const (
	ByFiles      CauseKind = "files"      // local files that it takes are others
	ByArg        CauseKind = "arg"        // an ARG has another value
	ByEnv        CauseKind = "env"        // an ENV has another value
	ByBase       CauseKind = "base"       // the image that a stage starts from is another one
	ByDockerfile CauseKind = "dockerfile" // an instruction was edited, added or removed
	BySecret     CauseKind = "secret"     // the mount of a secret was edited, added or removed
	BySSH        CauseKind = "ssh"        // the mount of an ssh agent was
	ByPlatform   CauseKind = "platform"   // the build is for, or on, another platform
	ByOptions    CauseKind = "options"    // options of the build: its network, hosts and the like
	ByDownload   CauseKind = "download"   // an address gave something else
	ByNoCache    CauseKind = "no-cache"   // the build was told not to look into the cache
	ByGone       CauseKind = "gone"       // the result was there, and was dropped
	ByFirst      CauseKind = "first"      // it was never built here before
	ByEachBuild  CauseKind = "per-build"  // BuildKit finds its result in no later build
	ByInput      CauseKind = "input"      // something that it takes in ran
	ByUnknown    CauseKind = "unknown"    // it is not known, because of a Gap
)

// A Cause is one thing that made a step run.
type Cause struct {
	Kind CauseKind
	// Step is the step that the cause is about, an index into the build's; -1 if that is
	// not known. Mostly it is the step that ran. It is one that this takes in, if that was
	// reused in another state; for ByInput, it is the one that ran before.
	Step int
	// Name is that of a variable or of a local context; "" for one of the base image.
	Name string
	// Line is where the Dockerfile has what changed, 0 if nowhere.
	Line int
	// Before and After are versions of an instruction, "" where there is none, or
	// digests of an image.
	Before, After string
	// How says how the value of a variable came to be another one, and Through from which
	// other variable, if it is Derived.
	How     How
	Through string
	// TakenBefore and TakenAfter are digests of the manifests of the files, for ByFiles.
	TakenBefore, TakenAfter string
	// Gap is what is not known, for ByUnknown. Earlier says that it is not known of the
	// earlier build.
	Gap     Gap
	Earlier bool
	// Made is when the builder last surely had the result, for ByGone.
	Made time.Time
}

// How says how a variable came to have another value.
type How string

// The ways in which a value changes.
const (
	GivenOther How = "other"   // the client gave another one
	GivenNow   How = "given"   // the client gave one, and none before
	NotGiven   How = "omitted" // the client gave none, and one before
	Edited     How = "edited"  // it was edited in the Dockerfile
	Derived    How = "derived" // it follows from another variable, which changed
)

// An Explanation says why one step of a build ran. It has no Causes if the step did not.
type Explanation struct {
	Causes []Cause
	// Against is the Ref of the build that the step was compared with; "" for none.
	Against string
}

// near is how many builds are compared to find the one that differs least.
const near = 10

// Explain says for each step of b why it ran, by what differs from one of the builds in
// earlier. BuildKit knows the results of all of them, and so the build that differs least
// tells most; of several, the latest does. If against is not nil, it is the only build that
// b is compared with.
func Explain(b Build, earlier Earlier, against *Build) []Explanation {
	if against != nil {
		earlier = Builds{*against}
	}
	x := explainer{build: b, earlier: earlier, records: earlier.Records()}
	out := make([]Explanation, len(b.Steps))
	for i, s := range b.Steps {
		switch {
		case s.Outcome == Cascaded, s.Outcome == Failed && x.follows(i) >= 0:
			out[i] = Explanation{Causes: []Cause{{Kind: ByInput, Step: x.follows(i)}}}
		case s.Outcome.Ran():
			out[i] = x.breaker(i)
		}
	}
	return out
}

// An explainer explains the steps of one build.
type explainer struct {
	build   Build
	earlier Earlier
	records []Record // of earlier
}

// follows returns the step that ran and that step i takes in; -1 if that is not
// known.
func (x *explainer) follows(i int) int {
	if x.build.Evidence == nil {
		return -1
	}
	ops := x.build.Evidence.Operations
	seen := map[int]bool{}
	found := -1
	var look func(op int)
	look = func(op int) {
		for _, in := range ops[op].Inputs {
			if seen[in.Operation] || found >= 0 {
				continue
			}
			seen[in.Operation] = true
			own := false
			for _, s := range ops[in.Operation].Steps {
				own = own || s == i
				if o := x.build.Steps[s].Outcome; s != i && (o.Ran() || o == Joined) {
					found = s
					return
				}
			}
			if own || len(ops[in.Operation].Steps) == 0 {
				look(in.Operation)
			}
		}
	}
	for _, op := range x.build.Evidence.of(i) {
		look(op)
	}
	return found
}

// of returns the operations of a step: those that were executed, else all.
func (e *Evidence) of(step int) []int {
	var all, made []int
	for i, op := range e.Operations {
		if slices.Contains(op.Steps, step) {
			if all = append(all, i); op.Fate == Made {
				made = append(made, i)
			}
		}
	}
	if made != nil {
		return made
	}
	return all
}

// breaker explains step i, which ran although nothing that it takes in did.
func (x *explainer) breaker(i int) Explanation {
	one := func(c Cause) Explanation { c.Step = i; return Explanation{Causes: []Cause{c}} }
	e := x.build.Evidence
	switch {
	case e == nil:
		return one(Cause{Kind: ByUnknown, Gap: NoEvidence})
	case e.ignores(x.build.Steps[i]):
		return one(Cause{Kind: ByNoCache})
	case e.Bare != "":
		return one(Cause{Kind: ByUnknown, Gap: e.Bare})
	case slices.ContainsFunc(e.of(i), func(op int) bool { return e.Operations[op].NoKey }):
		return one(Cause{Kind: ByEachBuild})
	}
	if made := x.made(i); made >= 0 {
		found := one(Cause{Kind: ByGone, Made: x.records[made].Completed})
		found.Against = x.records[made].Ref
		return found
	}
	best := x.closest(i)
	switch {
	case best.Against == "" && x.comparable():
		return x.new(i)
	case best.Against == "" && len(x.records) > 0:
		return one(Cause{Kind: ByUnknown, Gap: NoEvidence, Earlier: true})
	case best.Against == "":
		return one(Cause{Kind: ByFirst})
	case len(best.Causes) == 0: // nothing differs: it would have been found if it were there
		best.Causes = []Cause{{Kind: ByGone, Step: i}}
	}
	return best
}

// closest returns what differs at step i from the earlier build in which that is least,
// among the latest that had a result of the step. Against is "" if there is none.
func (x *explainer) closest(i int) Explanation {
	best, looked := Explanation{}, 0
	for n, a := range x.records {
		if looked == near {
			break
		}
		c := newComparison(x.build, Build{Record: a})
		j := c.steps[i]
		if j < 0 || !hadResult(a.Steps[j].Outcome) {
			continue
		}
		if c.other.Evidence = x.earlier.Evidence(n); c.other.bare() {
			continue
		}
		c.step(i, j)
		if !c.otherPlatform() {
			looked++
		}
		if best.Against == "" || weight(c.causes) < weight(best.Causes) {
			best = Explanation{Causes: c.causes, Against: a.Ref}
		}
	}
	return best
}

// weight says how much causes explain, the less the better: it counts them, but another
// platform weighs more than all others together, since steps are mostly made for that as
// well, and what is not known weighs even more.
func weight(causes []Cause) int {
	n := len(causes)
	for _, c := range causes {
		switch c.Kind {
		case ByPlatform:
			n += 1000
		case ByUnknown:
			n += 100_000
		}
	}
	return n
}

// hadResult reports whether the builder had the result of a step after a build.
func hadResult(o Outcome) bool { return o.Reused() || o == Executed || o == Cascaded }

// ignores reports whether the build was told not to look into the cache for the stage of s
// (BuildKit: frontend/dockerui, Client.IsNoCache). The stage's name is looked up, because
// steps do not tell it where there is only one stage.
func (e *Evidence) ignores(s Step) bool {
	stage := s.Stage
	if l := e.line(s.Line); l != nil {
		stage = e.nameOf(l.Stage)
	}
	return slices.ContainsFunc(e.NoCache, func(s string) bool { return s == AllStages || strings.EqualFold(s, stage) })
}

// nameOf returns the name that the Dockerfile gives to a stage, "" if it gives none.
func (e *Evidence) nameOf(stage int) string {
	for _, l := range e.Dockerfile {
		if l.Keyword == "FROM" && l.Stage == stage {
			return l.Name
		}
	}
	return ""
}

// comparable reports whether there is an earlier build to compare with.
func (x *explainer) comparable() bool {
	for n, a := range x.records {
		if !(Build{a, x.earlier.Evidence(n)}).bare() {
			return true
		}
	}
	return false
}

// made returns the index of the latest build after which the builder had all results of
// step i; -1 for none.
func (x *explainer) made(i int) int {
	var want []string
	for _, op := range x.build.Evidence.of(i) {
		key := x.build.Evidence.Operations[op].Key
		if key == "" {
			return -1
		}
		want = append(want, key)
	}
	if len(want) == 0 {
		return -1
	}
	return x.earlier.Made(want)
}

// Made reports whether the builder had the results of all keys after the build: its
// operations with these keys were executed or loaded.
func (e *Evidence) Made(keys []string) bool {
	return e.Bare == "" && !slices.ContainsFunc(keys, func(key string) bool {
		return !slices.ContainsFunc(e.Operations, func(op Operation) bool { return op.Key == key && op.Fate != Untouched })
	})
}

// new explains a step of which no earlier build had a result. Its instruction was added
// after the latest build without it. If all of them have the instruction, none of them came
// to it, and it is built for the first time.
func (x *explainer) new(i int) Explanation {
	step := x.build.Steps[i]
	first := Explanation{Causes: []Cause{{Kind: ByFirst, Step: i, Line: step.Line}}}
	line := x.build.Evidence.lineOf(step)
	if line == nil {
		return first
	}
	for n, a := range x.records {
		e := x.earlier.Evidence(n)
		if e == nil || e.Dockerfile == nil {
			continue
		}
		if !slices.ContainsFunc(e.Dockerfile, func(l Line) bool { return l.Digest == line.Digest }) {
			return Explanation{Causes: []Cause{{Kind: ByDockerfile, Step: i, Line: step.Line, After: line.Text}}, Against: a.Ref}
		}
		first.Against = cmp.Or(first.Against, a.Ref)
	}
	return first
}
