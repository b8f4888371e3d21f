package secrets

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
)

// maxCheck bounds the size of a check. It is enough for the operator and the beginning of a value after a keyword, and
// small enough for package regexp to use its backtracker, the fastest of its matchers.
const maxCheck = 96

// prepare sets check and checkLen from follow. The check is the beginning of what follows the literal, without
// assertions, so that it may accept too much but never too little.
func (a *anchor) prepare() {
	a.edge = a.edge && isWord(a.literal[0])
	var expr strings.Builder
	budget := maxCheck
	for _, re := range a.follow {
		part, whole := checkPart(re, &budget)
		if part != nil {
			expr.WriteString("(?:" + part.String() + ")")
			a.checkLen += extentOf(part).fixed
		}
		if !whole {
			break
		}
	}
	a.follow = nil
	if a.checkLen == 0 {
		return
	}
	source := `\A` + expr.String()
	a.check = sync.OnceValue(func() *regexp.Regexp {
		re, err := regexp.Compile(source)
		if err != nil {
			return nil // without a check it is slower, but just as correct
		}
		return re
	})
}

// checkPart returns as much of the beginning of re as has a bounded length and fits the budget, from which it subtracts
// the size. whole says that it is all of re, so that what comes after re may be checked too.
func checkPart(re *syntax.Regexp, budget *int) (part *syntax.Regexp, whole bool) {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary, syntax.OpEmptyMatch:
		return nil, true
	case syntax.OpCapture:
		return checkPart(re.Sub[0], budget)
	case syntax.OpConcat:
		cat := &syntax.Regexp{Op: syntax.OpConcat, Flags: re.Flags}
		for _, sub := range re.Sub {
			p, w := checkPart(sub, budget)
			if p != nil {
				cat.Sub = append(cat.Sub, p)
			}
			if !w {
				return nonEmpty(cat), false
			}
		}
		return nonEmpty(cat), true
	case syntax.OpPlus, syntax.OpRepeat:
		if single(re.Sub[0]) {
			return checkRepeat(re, budget)
		}
	}
	n := size(re)
	if n >= 0 && n <= *budget {
		*budget -= n
		return re, true
	}
	if re.Op == syntax.OpAlternate {
		return checkAlternate(re, budget)
	}
	return nil, false
}

// checkAlternate is checkPart for an alternation that does not fit as a whole. It returns the beginnings of its
// branches, or nothing if one of them has none.
func checkAlternate(re *syntax.Regexp, budget *int) (*syntax.Regexp, bool) {
	alt, left := &syntax.Regexp{Op: syntax.OpAlternate, Flags: re.Flags}, *budget
	for _, sub := range re.Sub {
		p, _ := checkPart(sub, &left)
		if p == nil {
			return nil, false
		}
		alt.Sub = append(alt.Sub, p)
	}
	*budget = left
	return alt, false
}

// checkRepeat is checkPart for the repetition of a single rune. If all of it does not fit, it returns the minimum
// number of repetitions.
func checkRepeat(re *syntax.Regexp, budget *int) (*syntax.Regexp, bool) {
	least, most := re.Min, re.Max
	if re.Op == syntax.OpPlus {
		least, most = 1, -1
	}
	if most >= 0 && most <= *budget {
		*budget -= most
		return re, true
	}
	n := min(least, *budget)
	*budget -= n
	if n == 0 {
		return nil, false
	}
	return &syntax.Regexp{Op: syntax.OpRepeat, Flags: re.Flags, Min: n, Max: n, Sub: re.Sub}, false
}

// nonEmpty returns a concatenation, or nil if it has no parts.
func nonEmpty(cat *syntax.Regexp) *syntax.Regexp {
	if len(cat.Sub) == 0 {
		return nil
	}
	return cat
}

// single reports whether re always matches exactly one rune.
func single(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpLiteral:
		return len(re.Rune) == 1
	}
	return false
}

// size returns roughly the number of instructions that re compiles to, or -1 if it has no bounded length or has an
// assertion.
func size(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpConcat, syntax.OpAlternate, syntax.OpQuest, syntax.OpRepeat:
		n := 1
		for _, sub := range re.Sub {
			s := size(sub)
			if s < 0 {
				return -1
			}
			n += s
		}
		if re.Op == syntax.OpRepeat {
			if re.Max < 0 {
				return -1
			}
			n *= re.Max
		}
		return n
	}
	return -1
}
