package cache

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// align returns for each step of b the step of the other build that stands for it, -1 for
// none: the same instruction, even if it was moved within its stage, else one with the same
// keyword in its place. Where both builds are for several platforms, steps are aligned with
// those for the same one.
func align(b, other Build) []int {
	to := slices.Repeat([]int{-1}, len(b.Steps))
	mine, theirs := platforms(b.Steps), platforms(other.Steps)
	for _, p := range mine {
		list := slices.Clone(theirs)
		slices.SortStableFunc(list, func(x, y []int) int { return cmp.Compare(likeness(b, other, p, y), likeness(b, other, p, x)) })
		for _, others := range list { // steps that platforms share are listed with one of them
			for _, pair := range alignStages(b.Steps, other.Steps, p, others) {
				if to[pair[0]] < 0 {
					to[pair[0]] = pair[1]
				}
			}
		}
	}
	return to
}

// platforms returns the indexes of steps, grouped by platform. A build for a single one does
// not name it.
func platforms(steps []Step) [][]int {
	var list [][]int
	at := map[string]int{}
	for i, s := range steps {
		n, known := at[s.Platform]
		if !known {
			n, at[s.Platform] = len(list), len(list)
			list = append(list, nil)
		}
		list[n] = append(list[n], i)
	}
	return list
}

// likeness returns how likely steps of two builds are for the same platform, in comparison
// with other groups of steps: by its name where both have one, else by how much is equal in
// what the steps do and take in.
func likeness(b, other Build, mine, theirs []int) int {
	if p := b.Steps[mine[0]].Platform; p != "" && other.Steps[theirs[0]].Platform != "" {
		if p == other.Steps[theirs[0]].Platform {
			return 1
		}
		return 0
	}
	if b.Evidence == nil || other.Evidence == nil {
		return 0
	}
	n := 0
	for _, pair := range alignStages(b.Steps, other.Steps, mine, theirs) {
		does := other.Evidence.does(pair[1])
		for t := range b.Evidence.does(pair[0]) {
			if does[t] {
				n++
			}
		}
	}
	return n
}

// does returns the traits of the operations of a step, and as such the platforms of the
// images that they take in.
func (e *Evidence) does(step int) map[Trait]bool {
	all := map[Trait]bool{}
	for _, op := range e.all(step) {
		for _, t := range e.Operations[op].Traits {
			all[t] = true
		}
		for _, in := range e.Operations[op].Inputs {
			if from := e.Operations[in.Operation]; from.Source != "" {
				all[Trait{Kind: dockerfile.PlatformTrait, ID: from.Source, Digest: from.Platform}] = true
			}
		}
	}
	return all
}

// alignStages pairs those steps of two builds that are in some and someOthers, stage by
// stage.
func alignStages(steps, others []Step, some, someOthers []int) (pairs [][2]int) {
	mine, theirs := stages(steps, some), stages(others, someOthers)
	taken := map[string]bool{}
	for _, s := range mine {
		if t := find(theirs, s.name); t != nil {
			taken[s.name] = true
			pairs = append(pairs, pair(steps, others, s.steps, t.steps)...)
		}
	}
	// What is left may have been renamed.
	var rest []stage
	for _, t := range theirs {
		if !taken[t.name] {
			rest = append(rest, t)
		}
	}
	for _, s := range mine {
		if !taken[s.name] && len(rest) > 0 {
			pairs = append(pairs, pair(steps, others, s.steps, rest[0].steps)...)
			rest = rest[1:]
		}
	}
	return pairs
}

// A stage is the steps of one, for one platform.
type stage struct {
	name  string
	steps []int
}

// stages returns those steps that are in some, grouped by stage.
func stages(steps []Step, some []int) []stage {
	var list []stage
	for _, i := range some {
		name := steps[i].Stage
		if t := find(list, name); t != nil {
			t.steps = append(t.steps, i)
		} else {
			list = append(list, stage{name, []int{i}})
		}
	}
	return list
}

// find returns the stage with a name, nil if there is none.
func find(list []stage, name string) *stage {
	for i := range list {
		if list[i].name == name {
			return &list[i]
		}
	}
	return nil
}

// pair aligns the steps of two stages.
func pair(steps, others []Step, mine, theirs []int) (pairs [][2]int) {
	texts := func(all []Step, list []int) []string {
		var texts []string
		for _, i := range list {
			texts = append(texts, all[i].Instruction())
		}
		return texts
	}
	a, b := texts(steps, mine), texts(others, theirs)
	matchedA, matchedB := map[int]bool{}, map[int]bool{}
	match := func(i, j int) {
		matchedA[i], matchedB[j] = true, true
		pairs = append(pairs, [2]int{mine[i], theirs[j]})
	}
	matches(a, b, match)
	for i := range a { // what was moved
		for j := range b {
			if !matchedA[i] && !matchedB[j] && a[i] == b[j] {
				match(i, j)
			}
		}
	}
	return pairs
}

// matches calls match with the pairs of instructions that stand for each other: those of a
// longest common subsequence, and between these such as have the same keyword, in order.
func matches(a, b []string, match func(i, j int)) {
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	i, j, fromA, fromB := 0, 0, 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			between(a, b, fromA, i, fromB, j, match)
			match(i, j)
			i, j = i+1, j+1
			fromA, fromB = i, j
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	between(a, b, fromA, len(a), fromB, len(b), match)
}

// between matches instructions between two pairs of equal ones, by keyword.
func between(a, b []string, i, endA, j, endB int, match func(i, j int)) {
	for ; i < endA; i++ {
		for k := j; k < endB; k++ {
			if keywordOf(a[i]) == keywordOf(b[k]) {
				match(i, k)
				j = k + 1
				break
			}
		}
	}
}

// keywordOf returns the first word of an instruction.
func keywordOf(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return word
}
