package secrets

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// anchor is a literal with how far a match around it can reach. A rule's anchors together cover it: every match
// of the rule contains the literal of one of them, with at most before to its left and after to its right.
type anchor struct {
	literal       string // as written; lower case if fold
	fold          bool   // any ASCII case will do
	before, after extent
	edge          bool // the literal starts a match at a word boundary, so a word character before it rules it out
	follow        []*syntax.Regexp
	check         func() *regexp.Regexp // nil, or what must match right after the literal, anchored there
	checkLen      int                   // longest text, in bytes, that check looks at
}

// extent bounds the length of what an expression matches: at most fixed bytes, plus any number of loop bytes.
type extent struct {
	fixed int
	loop  byteSet
}

func (e extent) add(o extent) extent {
	return extent{fixed: e.fixed + o.fixed, loop: e.loop.union(o.loop)}
}

// byteSet is a set of bytes.
type byteSet [4]uint64

func (s byteSet) has(b byte) bool { return s[b>>6]&(1<<(b&63)) != 0 }

func (s byteSet) union(o byteSet) byteSet {
	for i := range s {
		s[i] |= o[i]
	}
	return s
}

func (s *byteSet) addRunes(lo, hi rune) {
	for r := lo; r <= min(hi, 0x7f); r++ {
		s[r>>6] |= 1 << (r & 63)
	}
	if hi >= 0x80 { // any byte of a longer encoding, or an invalid one, which matches as U+FFFD
		s[2], s[3] = ^uint64(0), ^uint64(0)
	}
}

// The only runes outside ASCII that a fold of ASCII letters brings in. Texts that contain one take the slow path
// (window.go), so that they need not widen every class of a (?i) expression from one byte to three.
const longS, kelvin = '\u017f', '\u212a'

// runesOf gives the bytes that the ranges can match and the length of their longest encoding.
func runesOf(ranges []rune) (set byteSet, width int) {
	for i := 0; i+1 < len(ranges); i += 2 {
		lo, hi := ranges[i], ranges[i+1]
		if lo == hi && (lo == longS || lo == kelvin) {
			continue
		}
		set.addRunes(lo, hi)
		width = max(width, utf8.RuneLen(min(hi, utf8.MaxRune)))
	}
	return set, max(width, 1)
}

// extentOf walks the whole tree; loops over anything larger than one rune count as loops over all its bytes.
func extentOf(re *syntax.Regexp) extent {
	switch re.Op {
	case syntax.OpLiteral:
		if n := len(string(re.Rune)); n == len(re.Rune) || re.Flags&syntax.FoldCase == 0 {
			return extent{fixed: n}
		}
		return extent{fixed: utf8.UTFMax * len(re.Rune)} // folds may differ in length
	case syntax.OpCharClass:
		_, width := runesOf(re.Rune)
		return extent{fixed: width}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return extent{fixed: utf8.UTFMax}
	case syntax.OpStar, syntax.OpPlus:
		return extent{loop: bytesOf(re.Sub[0])}
	case syntax.OpRepeat:
		if re.Max < 0 {
			return extent{loop: bytesOf(re.Sub[0])}
		}
		e := extentOf(re.Sub[0])
		e.fixed *= re.Max
		return e
	case syntax.OpAlternate:
		var e extent
		for _, sub := range re.Sub {
			se := extentOf(sub)
			e.fixed, e.loop = max(e.fixed, se.fixed), e.loop.union(se.loop)
		}
		return e
	default: // concatenation, capture, optional; the assertions have no Sub and match nothing
		var e extent
		for _, sub := range re.Sub {
			e = e.add(extentOf(sub))
		}
		return e
	}
}

// bytesOf is every byte that a match of re can contain.
func bytesOf(re *syntax.Regexp) byteSet {
	var set byteSet
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			set.addRunes(r, r)
			if re.Flags&syntax.FoldCase != 0 && r < 0x80 {
				for _, c := range strings.ToLower(string(r)) + strings.ToUpper(string(r)) {
					set.addRunes(c, c)
				}
			}
		}
	case syntax.OpCharClass:
		set, _ = runesOf(re.Rune)
	case syntax.OpAnyChar:
		set.addRunes(0, utf8.MaxRune)
	case syntax.OpAnyCharNotNL:
		set.addRunes(0, '\n'-1)
		set.addRunes('\n'+1, utf8.MaxRune)
	}
	for _, sub := range re.Sub {
		set = set.union(bytesOf(sub))
	}
	return set
}

// Literals shorter than this hit too often to be worth a look; sets larger than this are no longer selective.
const minLiteral, maxLiterals = 2, 32

// anchorsOf gives anchors that cover re, or none if that cannot be shown.
func anchorsOf(re *syntax.Regexp) []anchor {
	anchors := cover(re)
	for i := range anchors {
		anchors[i].prepare()
	}
	return anchors
}

// cover picks, for every way re can match, a literal that must then occur.
func cover(re *syntax.Regexp) []anchor {
	switch re.Op {
	case syntax.OpLiteral, syntax.OpCharClass:
		return usable(exact(re))
	case syntax.OpCapture:
		return cover(re.Sub[0])
	case syntax.OpPlus, syntax.OpRepeat:
		if re.Op == syntax.OpRepeat && re.Min == 0 {
			return nil
		}
		// Which round holds the literal is open, so the rest of the loop may lie on either side of it.
		anchors, around := cover(re.Sub[0]), extentOf(re)
		for i := range anchors {
			a := &anchors[i]
			a.before, a.after, a.follow, a.edge = a.before.add(around), a.after.add(around), nil, false
		}
		return anchors
	case syntax.OpAlternate:
		var all []anchor
		for _, sub := range re.Sub {
			anchors := cover(sub)
			if anchors == nil || len(all)+len(anchors) > maxLiterals {
				return nil
			}
			all = append(all, anchors...)
		}
		return all
	case syntax.OpConcat:
		return coverConcat(re.Sub)
	}
	return nil
}

func coverConcat(subs []*syntax.Regexp) []anchor {
	var best []anchor
	consider := func(anchors []anchor, from, to int) {
		if anchors == nil || !better(anchors, best) {
			return
		}
		var before, after extent
		for _, sub := range subs[:from] {
			before = before.add(extentOf(sub))
		}
		for _, sub := range subs[to:] {
			after = after.add(extentOf(sub))
		}
		best = make([]anchor, len(anchors))
		for i, a := range anchors {
			a.edge = a.edge && from == 0 || from == 1 && subs[0].Op == syntax.OpWordBoundary && a.before == extent{}
			a.follow = append(a.follow[:len(a.follow):len(a.follow)], subs[to:]...)
			a.before, a.after = before.add(a.before), a.after.add(after)
			best[i] = a
		}
	}
	for from := range subs {
		consider(cover(subs[from]), from, from+1)
		set := []literal{{}}
		for to := from; to < len(subs); to++ {
			set = product(set, exact(subs[to]))
			if set == nil {
				break
			}
			consider(usable(set), from, to+1)
		}
	}
	return best
}

// better prefers long literals, then few.
func better(a, b []anchor) bool {
	if b == nil {
		return true
	}
	la, lb := shortest(a), shortest(b)
	return la > lb || la == lb && len(a) < len(b)
}

func shortest(anchors []anchor) int {
	n := len(anchors[0].literal)
	for _, a := range anchors {
		n = min(n, len(a.literal))
	}
	return n
}

// literal is one string of a finite set that an expression can match.
type literal struct {
	text string
	fold bool
}

func usable(set []literal) []anchor {
	var anchors []anchor
	for _, l := range set {
		if len(l.text) < minLiteral || !isASCII(l.text) {
			return nil
		}
		if l.fold {
			l.text = strings.ToLower(l.text)
		}
		anchors = append(anchors, anchor{literal: l.text, fold: l.fold})
	}
	return anchors
}

// exact is the finite set of strings that re matches, or nil if there is none that is small.
func exact(re *syntax.Regexp) []literal {
	switch re.Op {
	case syntax.OpLiteral:
		return []literal{{text: string(re.Rune), fold: re.Flags&syntax.FoldCase != 0}}
	case syntax.OpCharClass:
		var set []literal
		for i := 0; i+1 < len(re.Rune); i += 2 {
			if re.Rune[i+1]-re.Rune[i] > 4 {
				return nil
			}
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if r != longS && r != kelvin {
					set = append(set, literal{text: string(r)})
				}
			}
		}
		if len(set) > 4 {
			return nil
		}
		return set
	case syntax.OpCapture:
		return exact(re.Sub[0])
	case syntax.OpConcat:
		set := []literal{{}}
		for _, sub := range re.Sub {
			set = product(set, exact(sub))
		}
		return set
	case syntax.OpAlternate:
		var set []literal
		for _, sub := range re.Sub {
			part := exact(sub)
			if part == nil || len(set)+len(part) > maxLiterals {
				return nil
			}
			set = append(set, part...)
		}
		return set
	}
	return nil
}

func product(a, b []literal) []literal {
	if a == nil || b == nil || len(a)*len(b) > maxLiterals {
		return nil
	}
	out := make([]literal, 0, len(a)*len(b))
	for _, l := range a {
		for _, r := range b {
			out = append(out, literal{text: l.text + r.text, fold: l.fold || r.fold})
		}
	}
	return out
}
