package cache

import (
	"cmp"
	"maps"
	"slices"
)

// A Blame is what broke the cache at a step of one build, in short, for [Stats].
type Blame struct {
	Step int // index into the build's steps
	Kind CauseKind
	Name string // path of a file, or name of a variable; "" where the kind says all
}

// maxBlamed is how many files are blamed for one step at most: those that tell most.
const maxBlamed = 5

// Blames returns what broke the cache in a build that was explained, as far as that
// is known. files returns the paths behind a cause that is ByFiles, the most telling
// first.
func Blames(b Build, explained []Explanation, files func(Cause) ([]string, error)) ([]Blame, error) {
	var list []Blame
	for i, s := range b.Steps {
		if s.Outcome != Executed {
			continue
		}
		for _, c := range explained[i].Causes {
			switch c.Kind {
			case ByFirst, ByInput, ByUnknown:
				continue
			case ByFiles:
				paths, err := files(c)
				if err != nil {
					return nil, err
				}
				for _, p := range paths[:min(len(paths), maxBlamed)] {
					list = append(list, Blame{i, c.Kind, p})
				}
				continue
			case ByArg, ByEnv:
				list = append(list, Blame{i, c.Kind, c.Name})
			default:
				list = append(list, Blame{i, c.Kind, ""})
			}
		}
	}
	return slices.Compact(list), nil
}

// A Behind is what was behind a breaker.
type Behind struct {
	Kind        CauseKind
	Name        string
	Times       int     // builds in which it broke the cache there
	SecondsLost float64 // in them, all that ran because of it
}

// A breaking is one time that a step was the first to miss.
type breaking struct {
	step    int
	seconds []float64 // of what ran because of it, by step
}

// charge adds one build's breaking to a step.
func (st *stepTally) charge(b *breaking, ids []StepID, blames []Blame) {
	st.broke.Times++
	lost := 0.0
	for i, seconds := range b.seconds {
		if seconds == 0 {
			continue
		}
		lost += seconds
		if st.costs == nil {
			st.costs = map[StepID]float64{}
		}
		st.costs[ids[i]] += seconds
	}
	st.broke.SecondsLost += lost
	for _, blame := range blames {
		if blame.Step != b.step {
			continue
		}
		what := Behind{Kind: blame.Kind, Name: blame.Name}
		if st.behind == nil {
			st.behind = map[Behind]*Behind{}
		}
		if st.behind[what] == nil {
			st.behind[what] = &Behind{Kind: blame.Kind, Name: blame.Name}
		}
		st.behind[what].Times++
		st.behind[what].SecondsLost += lost
	}
}

// breaker sums up how often a step broke the cache; names are of the steps.
func (st *stepTally) breaker(names map[StepID]string) Breaker {
	b := st.broke
	b.Name = st.stats.Name
	most := 0.0
	for _, id := range slices.SortedFunc(maps.Keys(st.costs), compareIDs) {
		if seconds := st.costs[id]; seconds > most {
			most, b.Costliest = seconds, names[id]
		}
	}
	for _, what := range st.behind {
		b.Behind = append(b.Behind, *what)
	}
	slices.SortFunc(b.Behind, func(x, y Behind) int {
		return cmp.Or(cmp.Compare(y.SecondsLost, x.SecondsLost), cmp.Compare(y.Times, x.Times), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Name, y.Name))
	})
	return b
}

func compareIDs(a, b StepID) int {
	return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Nth, b.Nth))
}
