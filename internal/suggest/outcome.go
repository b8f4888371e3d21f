package suggest

import (
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/replay"
)

// A Replayed tells what builds of a Dockerfile would have cost over the history of its
// repository.
type Replayed struct {
	replay.Result
	Plan    *dockerfile.Plan
	Seconds []float64 // of one execution, per step of Plan
	Costs   string    // source of Seconds, Observed or Prior
}

// Replay computes which steps would have run, had each commit of the history been built
// with this text of the Dockerfile; nil is the text as it is. An error says why BuildKit's
// frontend rejects the text.
func (in Input) Replay(b Build, text []byte) (Replayed, error) {
	return in.replay(b, variant{text: text, declared: true}, in.pricer())
}

// runsOf returns the number of builds in which an instruction ran.
func (r Replayed) runsOf(text string) int {
	i := r.index(text)
	if i < 0 {
		return 0
	}
	return r.Runs[i]
}

// secondsOf returns the time that an instruction took in all builds together.
func (r Replayed) secondsOf(text string) float64 {
	i := r.index(text)
	if i < 0 {
		return 0
	}
	return r.Seconds[i] * float64(r.Runs[i])
}

// index returns the index of the first step of an instruction, or -1.
func (r Replayed) index(text string) int {
	return slices.IndexFunc(r.Plan.Steps, func(s dockerfile.Step) bool { return s.Instruction == text })
}

// A variant is a proposed state of the files, to be replayed in place of today's.
type variant struct {
	text   []byte             // of the Dockerfile; nil for today's
	ignore []byte             // of the ignore file; nil for today's
	costs  map[string]float64 // seconds of new instructions, by their text
	// declared says from where on an ARG that names the build (a commit, a date) makes
	// every build miss: from its declaration, which is the truth, or else only from its
	// first use, as after a change by late-arg. The latter finds orders that save time
	// only together with that change.
	declared bool
}

// compare computes what builds of the first definition cost with the current Dockerfile and
// would have with another text of it, at the same costs.
func (in Input) compare(text []byte) (now, then Replayed, price *pricer, err error) {
	price = in.pricer()
	if now, err = in.replay(in.Builds[0], variant{}, price); err != nil {
		return now, then, price, err
	}
	then, err = in.replay(in.Builds[0], variant{text: text}, price)
	return now, then, price, err
}

// replay computes what builds with a variant would have cost. It sets price.guessed if
// a cost is not observed.
func (in Input) replay(b Build, v variant, price *pricer) (Replayed, error) {
	today := v.text == nil && v.ignore == nil && v.costs == nil && !v.declared && in.shared != nil
	if known, ok := in.shared.today(b); today && ok {
		price.guessed = price.guessed || known.Costs == Prior
		return known, nil
	}
	if v.text == nil {
		v.text = in.File.Text
	}
	plan, err := b.Convert(v.text)
	if err != nil {
		return Replayed{}, err
	}
	takers, err := b.Takers(plan, v.ignore)
	if err != nil {
		return Replayed{}, err
	}
	r := Replayed{Plan: plan}
	steps := in.steps(b, plan, v.text, takers, price, v)
	for _, s := range steps {
		r.Seconds = append(r.Seconds, s.Seconds)
	}
	r.Result, r.Costs = replay.Run(in.Commits.Len(), steps), price.source()
	if today {
		in.shared.replays[b.Name] = r
	}
	return r, nil
}

// A shared holds results that several rules need: see [Input.Remembering].
type shared struct {
	*Memory
	replays   map[string]Replayed // of the files as they are, by name of the build
	manifests func() []Suggestion // of rule manifests-first
	orders    func() []Suggestion // of rule reorder
	mounts    func() []Suggestion // of rule cache-mount
}

// history returns what works out the states of steps over the commits.
func (in Input) history() *replay.History {
	if in.shared != nil {
		return in.shared.history
	}
	return replay.NewHistory(in.Commits)
}

// today returns the replay of the files as they are, if it was computed already.
func (s *shared) today(b Build) (Replayed, bool) {
	if s == nil {
		return Replayed{}, false
	}
	r, ok := s.replays[b.Name]
	return r, ok
}

// steps returns the steps of plan, which was made from text, in the form that package
// replay works on: with the state of their inputs in each build, their cost and parents.
func (in Input) steps(b Build, plan *dockerfile.Plan, text []byte, takers func(string) []int, price *pricer, v variant) []replay.Step {
	states := in.history().States(len(plan.Steps), takers)
	if b.Context.Exists(gitHead) {
		// Every commit changes it, although no commit lists it.
		for _, i := range takers(path.Join(b.Dir, gitHead)) {
			states[i] = everyBuild(in.Commits.Len())
		}
	}
	in.unsettle(plan, text, v.declared, states)
	steps, given := make([]replay.Step, len(plan.Steps)), in.scripts(b, text)
	weighs := scale{in: in, build: b, plan: plan, takers: takers, ignore: v.ignore}
	for i, s := range plan.Steps {
		seconds, ok := v.costs[s.Instruction]
		if !ok {
			seconds = price.step(weighs, i, given[s.Lines.From])
		}
		steps[i] = replay.Step{States: states[i], Seconds: seconds, Parents: s.Parents}
		if s.Base >= 0 && standsAlone(s) {
			steps[i].Apart = []int{s.Base}
		}
	}
	in.told(b, plan, text, takers, steps)
	return steps
}

// unsettle makes RUNs miss in every build that stand below an ARG which names the build,
// in its stage or in one that starts from it: the value of an ARG is part of the cache
// keys of all RUNs below (BuildKit: dockerfile2llb.dispatchArg). declared is as in variant.
func (in Input) unsettle(plan *dockerfile.Plan, text []byte, declared bool, states [][]uint32) {
	f, err := in.parse(text)
	if err != nil {
		return // cannot be: the frontend converted the text
	}
	in.File = f
	for _, st := range f.Stages {
		var names []string
		counts := false
		for _, ins := range instructionsOf(f, st.Index) {
			used := ins.Run != nil || ins.Keyword == "ENV" || ins.Keyword == "ARG"
			counts = counts || used && len(names) > 0 && mentions(f.Source(ins.Lines), names)
			if ins.Keyword == "ARG" && slices.ContainsFunc(ins.Vars, in.namesBuild) {
				names, counts = append(names, ins.Names...), counts || declared
			}
			for i, s := range plan.Steps {
				if counts && s.Keyword == "RUN" && s.Lines.From == ins.Lines.From {
					states[i] = everyBuild(in.Commits.Len())
				}
			}
		}
	}
}

// Passing returns the names of the ARGs, declared in stages, that a replay takes to have a
// new value in every build.
func (in Input) Passing() []string {
	var names []string
	for _, st := range in.File.Stages {
		for _, ins := range st.Instructions {
			for _, a := range ins.Vars {
				if ins.Keyword == "ARG" && in.namesBuild(a) && !slices.Contains(names, a.Name) {
					names = append(names, a.Name)
				}
			}
		}
	}
	return names
}

// gitHead stands for the folder .git: a step that takes it changes with every commit.
const gitHead = ".git/HEAD"

// everyBuild returns states that differ in every build.
func everyBuild(builds int) []uint32 {
	states := make([]uint32, builds)
	for h := range states {
		states[h] = uint32(h)
	}
	return states
}

// standsAlone reports whether a step is a COPY or ADD whose cache key does not depend on
// the steps below it: one with --link, which has no effect beside --chmod (BuildKit:
// dockerfile2llb.dispatchCopy).
func standsAlone(s dockerfile.Step) bool {
	if s.Keyword != "COPY" && s.Keyword != "ADD" {
		return false
	}
	words := strings.Fields(s.Instruction)
	return (slices.Contains(words, "--link") || slices.Contains(words, "--link=true")) &&
		!slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "--chmod") })
}
