package cache

import (
	"cmp"
	"maps"
	"slices"
)

// A Blame is one cause for which a step of one build broke the cache, in short, for [Stats].
type Blame struct {
	Step int // index into the build's steps
	Kind CauseKind
	Name string // path of a file, or name of a variable; "" for other kinds
}

// maxBlamed is how many files are blamed for one step at most: the most telling ones.
const maxBlamed = 5

// Blames returns what broke the cache in b, as far as that is known. explained is what
// [Explain] says of b. files returns the paths behind a cause of the kind ByFiles, the most
// telling first.
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

// A Behind is one cause for which a breaker broke the cache, over all builds.
type Behind struct {
	Kind        CauseKind
	Name        string  // as in [Blame]
	Times       int     // builds in which it broke the cache there
	SecondsLost float64 // in them, all that ran because of it
}

// A breaking is one time that a step broke the cache.
type breaking struct {
	step int
	lost float64 // seconds of the step itself and of those that ran because of it
}

// cost adds the seconds of a step that ran because st did.
func (st *stepTally) cost(of *stepTally, seconds float64) {
	if st.costs == nil {
		st.costs = map[*stepTally]float64{}
	}
	st.costs[of] += seconds
}

// charge adds a breaking of the step. blames are those of the build.
func (st *stepTally) charge(b breaking, blames []Blame) {
	st.broke.Times++
	st.broke.SecondsLost += b.lost
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
		st.behind[what].SecondsLost += b.lost
	}
}

// breaker sums up how the step broke the cache.
func (st *stepTally) breaker() Breaker {
	b := st.broke
	b.Name = st.stats.Name
	most := 0.0
	byID := func(a, b *stepTally) int { return compareIDs(a.stats.ID, b.stats.ID) }
	for _, of := range slices.SortedFunc(maps.Keys(st.costs), byID) {
		if seconds := st.costs[of]; seconds > most {
			most, b.Costliest = seconds, of.stats.Name
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

// compareIDs orders identities, so that nothing depends on the order of maps.
func compareIDs(a, b StepID) int {
	return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Nth, b.Nth))
}
