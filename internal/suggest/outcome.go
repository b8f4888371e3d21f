package suggest

import (
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/replay"
)

// A Replayed is a build over the history of its repository.
type Replayed struct {
	replay.Result
	Plan *dockerfile.Plan
	// Seconds are one execution of each step of Plan.
	Seconds []float64
	Costs   string // Observed or Prior
}

// Replay computes which steps the last commits would have run, had each been
// built with this text of the Dockerfile, nil being today's. The error is the
// frontend's.
func (in Input) Replay(b Build, text []byte) (Replayed, error) {
	return in.outcome(b, variant{text: text, declared: true}, &pricer{seconds: in.Seconds})
}

// runsOf returns in how many builds an instruction ran.
func (r Replayed) runsOf(text string) int {
	i := r.index(text)
	if i < 0 {
		return 0
	}
	return r.Runs[i]
}

// secondsOf returns how long an instruction ran over all builds.
func (r Replayed) secondsOf(text string) float64 {
	i := r.index(text)
	if i < 0 {
		return 0
	}
	return r.Seconds[i] * float64(r.Runs[i])
}

// index returns the first step of an instruction; -1 for none.
func (r Replayed) index(text string) int {
	return slices.IndexFunc(r.Plan.Steps, func(s dockerfile.Step) bool { return s.Instruction == text })
}

// A variant is what is replayed in place of what there is today.
type variant struct {
	text   []byte // of the Dockerfile; nil for today's
	ignore []byte // the ignore file; nil for today's
	// costs are seconds by instruction, for those that are new.
	costs map[string]float64
	// declared has an ARG that says which build it is count from where it is declared.
	// Else it does from its first use on, as if late-arg had been there already: of the two
	// neither may win anything without the other.
	declared bool
}

// outcome is Replay of a variant.
func (in Input) outcome(b Build, v variant, price *pricer) (Replayed, error) {
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

// A shared is what several rules compute alike for one call of [Suggest].
type shared struct {
	replays   map[string]Replayed // of today's text, by build
	manifests func() []Suggestion // of manifestsFirst
	orders    func() []Suggestion // of reorder
}

func (s *shared) today(b Build) (Replayed, bool) {
	if s == nil {
		return Replayed{}, false
	}
	r, ok := s.replays[b.Name]
	return r, ok
}

// steps returns the steps of a plan of a text as a replay takes them.
func (in Input) steps(b Build, plan *dockerfile.Plan, text []byte, takers func(string) []int, price *pricer, v variant) []replay.Step {
	states := replay.States(in.Commits, len(plan.Steps), takers)
	if b.Context.Exists(gitHead) {
		// It changes with every commit, although no commit says so.
		for _, i := range takers(path.Join(b.Dir, gitHead)) {
			states[i] = everyBuild(in.Commits.Len())
		}
	}
	in.unsettle(plan, text, v.declared, states)
	steps, given := make([]replay.Step, len(plan.Steps)), scripts(in.File.Name, text)
	for i, s := range plan.Steps {
		seconds, ok := v.costs[s.Instruction]
		if !ok {
			seconds = price.step(s, given[s.Lines.From])
		}
		steps[i] = replay.Step{States: states[i], Seconds: seconds, Parents: s.Parents}
		if s.Base >= 0 && standsAlone(s) {
			steps[i].Apart = []int{s.Base}
		}
	}
	in.told(b, plan, text, takers, steps)
	return steps
}

// unsettle has each RUN below the declaration of an ARG that says which build it is miss in
// every build: its value is part of the keys of all that follows in the stage, and in
// those that start from it (BuildKit: dockerfile2llb.dispatchArg).
func (in Input) unsettle(plan *dockerfile.Plan, text []byte, declared bool, states [][]uint32) {
	f, err := dockerfile.Parse(in.File.Name, text)
	if err != nil {
		return // it was converted
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

// Passing returns the ARGs of the stages which a replay takes to have another value in each
// build, by their names.
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

// gitHead stands for the repository's own folder.
const gitHead = ".git/HEAD"

// everyBuild is a state that never comes back.
func everyBuild(builds int) []uint32 {
	states := make([]uint32, builds)
	for h := range states {
		states[h] = uint32(h)
	}
	return states
}

// standsAlone reports a COPY that copies without a look at what is below it:
// --link, which --chmod silently undoes (BuildKit: dockerfile2llb.dispatchCopy).
func standsAlone(s dockerfile.Step) bool {
	if s.Keyword != "COPY" && s.Keyword != "ADD" {
		return false
	}
	words := strings.Fields(s.Instruction)
	return (slices.Contains(words, "--link") || slices.Contains(words, "--link=true")) &&
		!slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "--chmod") })
}
