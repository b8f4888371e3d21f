package cache

import (
	"slices"
	"strings"
)

// align returns for each step of a build the step of another one that stands for
// it, -1 for none: the same instruction, else one in its place.
func align(steps, others []Step) []int {
	to := slices.Repeat([]int{-1}, len(steps))
	mine, theirs := stages(steps), stages(others)
	taken := map[string]bool{}
	for _, s := range mine {
		if t := find(theirs, s.name); t != nil {
			taken[s.name] = true
			pair(to, steps, others, s.steps, t.steps)
		}
	}
	// A stage can have got a name, or another one.
	var rest []stage
	for _, t := range theirs {
		if !taken[t.name] {
			rest = append(rest, t)
		}
	}
	for _, s := range mine {
		if !taken[s.name] && len(rest) > 0 {
			pair(to, steps, others, s.steps, rest[0].steps)
			rest = rest[1:]
		}
	}
	return to
}

// A stage is the steps of one, for one platform.
type stage struct {
	name  string
	steps []int
}

func stages(steps []Step) []stage {
	var list []stage
	for i, s := range steps {
		name := s.Platform + " " + s.Stage
		if t := find(list, name); t != nil {
			t.steps = append(t.steps, i)
		} else {
			list = append(list, stage{name, []int{i}})
		}
	}
	return list
}

func find(list []stage, name string) *stage {
	for i := range list {
		if list[i].name == name {
			return &list[i]
		}
	}
	return nil
}

// pair aligns the steps of two stages.
func pair(to []int, steps, others []Step, mine, theirs []int) {
	texts := func(all []Step, list []int) []string {
		var texts []string
		for _, i := range list {
			texts = append(texts, all[i].Instruction())
		}
		return texts
	}
	matches(texts(steps, mine), texts(others, theirs), func(i, j int) { to[mine[i]] = theirs[j] })
}

// matches calls match with what of two lists of instructions stands for each other:
// equal ones of a longest common subsequence, and between them those that have the
// same keyword, in order.
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

// between matches what lies between two equal ones.
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

func keywordOf(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return word
}
