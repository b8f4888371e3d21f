package secrets

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// An index is an automaton for all keywords and anchor literals of the rules, with the meaning of each word. It is
// immutable.
type index struct {
	automaton *automaton
	keywords  [][]int32   // word -> rules of which it is a keyword
	roles     [][]roleRef // word -> anchors of which it is the literal
	lengths   []int       // word -> length in bytes
}

// A roleRef refers to an anchor of a rule.
type roleRef struct{ rule, anchor int32 }

func newIndex(rules []rule) *index {
	ix, ids := &index{}, map[string]int{}
	var words []string
	word := func(w string) int {
		w = strings.ToLower(w)
		id, ok := ids[w]
		if !ok {
			id = len(words)
			ids[w] = id
			words = append(words, w)
			ix.keywords, ix.roles = append(ix.keywords, nil), append(ix.roles, nil)
			ix.lengths = append(ix.lengths, len(w))
		}
		return id
	}
	for r := range rules {
		for _, k := range rules[r].keywords {
			id := word(k)
			ix.keywords[id] = append(ix.keywords[id], int32(r))
		}
		for a := range rules[r].anchors {
			id := word(rules[r].anchors[a].literal)
			ix.roles[id] = append(ix.roles[id], roleRef{rule: int32(r), anchor: int32(a)})
		}
	}
	ix.automaton = newAutomaton(words)
	return ix
}

// maxLooked bounds the total length of a rule's windows in a text, as a multiple of the text's.
const maxLooked = 16

// A span is a part of a text, text[lo:hi].
type span struct {
	lo, hi int
	idle   bool // of a window: no match is in it
}

// A survey is the result of one pass over a text. Its memory is reused for the next text.
type survey struct {
	hits    []hit
	run     []bool   // rule -> one of its keywords occurs, and it is for files at this path
	windows [][]span // rule -> where its matches must be, sorted and without overlaps; only for rules that run
	looked  []int    // rule -> total length of windows, before overlapping ones were merged
	whole   []bool   // rule -> windows are incomplete: it has to look at the whole text if it runs
}

// survey sets sv to the survey of text, of a file at path.
func (s *Scanner) survey(path, text string, sv *survey) {
	sv.reset(len(s.rules))
	folded := folds(text)
	if folded {
		// The windows of such a text are not known.
		sv.hits = s.index.automaton.find(strings.ToLower(text), sv.hits[:0])
	} else {
		sv.hits = s.index.automaton.find(text, sv.hits[:0])
	}
	for _, h := range sv.hits {
		for _, r := range s.index.keywords[h.word] {
			sv.run[r] = true
		}
	}
	for r, run := range sv.run {
		sv.whole[r], sv.run[r] = folded, run && s.rules[r].isFor(path)
	}
	if folded {
		return
	}
	for _, h := range sv.hits {
		for _, ref := range s.index.roles[h.word] {
			if sv.run[ref.rule] && !sv.whole[ref.rule] {
				s.widen(text, h.end-s.index.lengths[h.word], h.end, ref, sv)
			}
		}
	}
}

// isFor reports whether the rule may apply to a file at path.
func (r *rule) isFor(path string) bool {
	if r.path == nil {
		return true
	}
	re, err := r.path()
	return err != nil || re.MatchString(path) // apply returns the error
}

// folds reports whether text has a rune outside ASCII that becomes ASCII by case folding or lower-casing: long s and the
// Kelvin sign for (?i), the Kelvin sign and dotted capital I for the lower-cased text in which gitleaks looks for
// keywords. Such texts are rare, and are scanned in a slower way.
func folds(text string) bool {
	return strings.Contains(text, string(longS)) || strings.Contains(text, string(kelvin)) ||
		strings.Contains(text, "\u0130")
}

// reset empties sv for a number of rules.
func (sv *survey) reset(rules int) {
	if sv.run == nil {
		sv.run, sv.windows = make([]bool, rules), make([][]span, rules)
		sv.looked, sv.whole = make([]int, rules), make([]bool, rules)
	}
	clear(sv.run)
	clear(sv.looked)
	for i := range sv.windows {
		sv.windows[i] = sv.windows[i][:0]
	}
}

// widen adds the window around text[lo:hi], an occurrence of the literal of the anchor ref, unless that cannot be part
// of a match.
func (s *Scanner) widen(text string, lo, hi int, ref roleRef, sv *survey) {
	a := &s.rules[ref.rule].anchors[ref.anchor]
	if !a.fold && text[lo:hi] != a.literal || a.edge && lo > 0 && isWord(text[lo-1]) {
		return
	}
	if a.check != nil {
		if re := a.check(); re != nil && !re.MatchString(text[hi:min(hi+a.checkLen, len(text))]) {
			return
		}
	}
	w := span{lo: reachLeft(text, lo, a.before), hi: reachRight(text, hi, a.after)}
	if a.rest != nil {
		w.hi = min(w.hi, reach(text, hi, a.stretches))
	}
	// One rune more on either side, so that \b, ^ and $ see the real context.
	w.lo, w.hi = runeStart(text, w.lo-1), min(w.hi+utf8.UTFMax, len(text))
	if a.rest != nil {
		re := a.rest()
		w.idle = re != nil && !re.MatchString(text[hi-1:w.hi])
	}
	// In a text that is made for the purpose, every window may span all of it. Searching the whole text once is better
	// then, and does not slow down the other rules.
	sv.looked[ref.rule] += w.hi - w.lo
	sv.whole[ref.rule] = sv.looked[ref.rule] > maxLooked*len(text)+1<<16
	spans := sv.windows[ref.rule]
	// Hits are sorted by their end, so windows are nearly sorted. Merge with those before that overlap.
	for n := len(spans); n > 0 && spans[n-1].hi >= w.lo; n = len(spans) {
		last := spans[n-1]
		w = span{min(w.lo, last.lo), max(w.hi, last.hi), w.idle && last.idle}
		spans = spans[:n-1]
	}
	sv.windows[ref.rule] = append(spans, w)
}

// matches returns what the expression of r, which is rule number at, finds in text. The result is the same as that of
// FindAllStringIndex over the whole text, because every match is inside a window that is not idle, windows do not
// touch, and each has the context that assertions need.
func (s *Scanner) matches(r *rule, at int, text string, sv *survey) ([][]int, error) {
	re, err := r.regex()
	if err != nil {
		return nil, fmt.Errorf("gitleaks rule %s: %w", r.id, err)
	}
	if sv.whole[at] || len(r.anchors) == 0 {
		return re.FindAllStringIndex(text, -1), nil
	}
	var all [][]int
	for _, w := range sv.windows[at] {
		if w.idle {
			continue
		}
		for _, m := range re.FindAllStringIndex(text[w.lo:w.hi], -1) {
			all = append(all, []int{m[0] + w.lo, m[1] + w.lo})
		}
	}
	return all, nil
}

// reachLeft returns how far to the left of text[at:] a part of the extent e can begin.
func reachLeft(text string, at int, e extent) int {
	if at-e.fixed <= 0 {
		return 0
	}
	if e.loop == (byteSet{}) {
		return at - e.fixed
	}
	for left := e.fixed; at > 0; at-- {
		if !e.loop.has(text[at-1]) {
			if left == 0 {
				break
			}
			left--
		}
	}
	return at
}

// reachRight returns how far to the right of text[:at] a part of the extent e can end.
func reachRight(text string, at int, e extent) int {
	if at+e.fixed >= len(text) || e.loop == (byteSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}) {
		return len(text)
	}
	if e.loop == (byteSet{}) {
		return at + e.fixed
	}
	for left := e.fixed; at < len(text); at++ {
		if !e.loop.has(text[at]) {
			if left == 0 {
				break
			}
			left--
		}
	}
	return at
}

// runeStart returns where the rune that includes text[at] begins when the text is decoded from its start: at the nearest
// byte to the left that is not a continuation byte. If there is none within the length of a rune, it returns at.
func runeStart(text string, at int) int {
	for back := range min(utf8.UTFMax, at+1) {
		if utf8.RuneStart(text[at-back]) {
			return at - back
		}
	}
	return max(at, 0)
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
