package secrets

import (
	"math"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
)

// maxCheck bounds the size of a check. It is enough for the operator and the beginning of a value after a keyword, and
// small enough for package regexp to use its backtracker, the fastest of its matchers.
const maxCheck = 96

// prepare sets check, checkLen, stretches and rest from follow. The check is the beginning of what follows the literal,
// without assertions, so that it may accept too much but never too little.
func (a *anchor) prepare() {
	a.edge = a.edge && isWord(a.literal[0])
	if a.among {
		a.follow = nil
		return
	}
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
	whole := `\A(?s:.)`
	for _, re := range a.follow {
		whole += "(?:" + re.String() + ")"
		a.stretches = appendStretches(a.stretches, re)
	}
	a.rest = compiled(whole)
	a.follow = nil
	if a.checkLen > 0 {
		a.check = compiled(`\A` + expr.String())
	}
}

// compiled returns an expression that is compiled when it is first needed, as most are not. It is nil
// if that fails: without it, a scan is slower, but just as correct.
func compiled(source string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp {
		re, err := regexp.Compile(source)
		if err != nil {
			return nil
		}
		return re
	})
}

// A stretch is a part of a match: at most so many bytes of a set.
type stretch struct {
	set  byteSet
	most int
}

// appendStretches appends what re matches as stretches, in order. Any of them may be empty.
func appendStretches(list []stretch, re *syntax.Regexp) []stretch {
	switch re.Op {
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			list = appendStretches(list, sub)
		}
		return list
	}
	e := extentOf(re)
	if e.loop != (byteSet{}) {
		e.fixed = math.MaxInt
	}
	if e.fixed == 0 {
		return list
	}
	return append(list, stretch{bytesOf(re), e.fixed})
}

// reach returns how far to the right of text[:at] the stretches go. To begin each where the one before
// ends at the latest goes farthest: a run that begins earlier has to go past that place, too.
func reach(text string, at int, stretches []stretch) int {
	for _, s := range stretches {
		for n := s.most; n > 0 && at < len(text) && s.set.has(text[at]); n-- {
			at++
		}
	}
	return at
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
