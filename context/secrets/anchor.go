package secrets

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// An anchor is a literal that occurs in matches of a rule, with a bound on how far a match extends around it. The
// anchors of a rule cover it: every match contains the literal of at least one of them, with no more than before to
// the left of it and no more than after to the right.
type anchor struct {
	literal       string // as written, or in lower case if fold is set
	fold          bool   // ASCII letters match in either case
	before, after extent
	edge          bool                  // a match begins with the literal, at a word boundary, so no word character precedes it
	follow        []*syntax.Regexp      // what follows the literal in a match; nil once prepare was called
	among         bool                  // something of a loop may stand between the literal and follow
	check         func() *regexp.Regexp // if not nil, what must match right after the literal
	checkLen      int                   // length in bytes of the longest text that check looks at
	stretches     []stretch             // bounds what follows the literal closer than after; nil if that is not known
	rest          func() *regexp.Regexp // if not nil, all that follows in a match, and the byte before
}

// An extent bounds the length of a text: at most fixed bytes, and any number of bytes that are in loop.
type extent struct {
	fixed int
	loop  byteSet
}

// add returns the extent of a text of extent e followed by one of extent o.
func (e extent) add(o extent) extent {
	return extent{fixed: e.fixed + o.fixed, loop: e.loop.union(o.loop)}
}

// A byteSet is a set of bytes.
type byteSet [4]uint64

func (s byteSet) has(b byte) bool { return s[b>>6]&(1<<(b&63)) != 0 }

func (s byteSet) union(o byteSet) byteSet {
	for i := range s {
		s[i] |= o[i]
	}
	return s
}

// addRunes adds all bytes that occur in the encoding of the runes from lo to hi.
func (s *byteSet) addRunes(lo, hi rune) {
	for r := lo; r <= min(hi, 0x7f); r++ {
		s[r>>6] |= 1 << (r & 63)
	}
	if hi >= 0x80 { // any byte of a longer encoding, or an invalid byte, which reads as U+FFFD
		s[2], s[3] = ^uint64(0), ^uint64(0)
	}
}

// The only runes outside ASCII that fold to ASCII letters. Texts that contain one are scanned in the slow way (see
// folds). Without that, every class in a (?i) expression would match up to three bytes instead of one.
const longS, kelvin = '\u017f', '\u212a'

// runesOf returns the bytes that may occur in runes of the ranges, which are pairs of the first and the last, and the
// length of the longest encoding of one.
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

// extentOf returns the extent of what re matches. A loop over more than a single rune counts as a loop over each of
// the bytes in it.
func extentOf(re *syntax.Regexp) extent {
	switch re.Op {
	case syntax.OpLiteral:
		if n := len(string(re.Rune)); n == len(re.Rune) || re.Flags&syntax.FoldCase == 0 {
			return extent{fixed: n}
		}
		return extent{fixed: utf8.UTFMax * len(re.Rune)} // case folding may change the length
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
	default: // concatenation, capture, optional, and assertions, which have no Sub and match the empty text
		var e extent
		for _, sub := range re.Sub {
			e = e.add(extentOf(sub))
		}
		return e
	}
}

// bytesOf returns the bytes that can occur in a match of re.
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

const (
	minLiteral  = 2  // shorter literals occur too often to be useful
	maxLiterals = 32 // more literals for one expression are not selective enough
)

// anchorsOf returns anchors that cover re, or nil if it finds none.
func anchorsOf(re *syntax.Regexp) []anchor {
	anchors := cover(re)
	for i := range anchors {
		anchors[i].prepare()
	}
	return anchors
}

// cover returns anchors that cover re: for every way in which re can match, a literal that must then occur. It
// returns nil if it finds none.
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
		// The literal may be in any iteration, so the others may be on either side of it.
		anchors, around := cover(re.Sub[0]), extentOf(re)
		for i := range anchors {
			a := &anchors[i]
			a.before, a.after, a.follow, a.edge = a.before.add(around), a.after.add(around), nil, false
			a.among = true
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

// coverConcat is cover for a concatenation. It tries the anchors of each part, and the literals that consecutive parts
// form together, and returns the best.
func coverConcat(subs []*syntax.Regexp) []anchor {
	var best []anchor
	consider := func(anchors []anchor, from, to int) { // anchors that cover subs[from:to]
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

// better reports whether a is the better choice: the one with longer literals, or with fewer of the same length.
func better(a, b []anchor) bool {
	if b == nil {
		return true
	}
	la, lb := shortest(a), shortest(b)
	return la > lb || la == lb && len(a) < len(b)
}

// shortest returns the length of the shortest literal.
func shortest(anchors []anchor) int {
	n := len(anchors[0].literal)
	for _, a := range anchors {
		n = min(n, len(a.literal))
	}
	return n
}

// A literal is a text that an expression matches.
type literal struct {
	text string
	fold bool // in any case
}

// usable returns anchors for the literals, or nil if one of them is too short or not ASCII.
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

// exact returns all texts that re matches, or nil if they are too many.
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

// product returns every text of a followed by every text of b, or nil if they are too many or one of the sets is nil.
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
