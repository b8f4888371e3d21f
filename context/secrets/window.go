package secrets

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// index is the automaton over every keyword and anchor literal of a rule set, with what each word stands for.
// Immutable.
type index struct {
	automaton *automaton
	keywords  [][]int32   // word -> rules that it lets run
	roles     [][]roleRef // word -> anchors that it is the literal of
	lengths   []int       // word -> bytes
}

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

// maxLooked bounds the work on overlapping windows, in lengths of the text.
const maxLooked = 64

// span is text[lo:hi].
type span struct{ lo, hi int }

// survey is what one pass over a text found out. Its slices are reused from text to text; one goroutine at a time.
type survey struct {
	hits    []hit
	run     []bool   // rule -> one of its keywords occurs
	windows [][]span // rule -> where its matches must lie, in order of lo; only for rules that run
	looked  int      // bytes in windows so far, overlaps counted again
	whole   bool     // windows cannot be trusted for this text: every rule that runs looks at all of it
}

// survey fills sv for text.
func (s *Scanner) survey(text string, sv *survey) {
	sv.reset(len(s.rules))
	if folds(text) {
		s.surveyFolded(text, sv)
		return
	}
	sv.hits = s.index.automaton.find(text, sv.hits[:0])
	for _, h := range sv.hits {
		for _, r := range s.index.keywords[h.word] {
			sv.run[r] = true
		}
	}
	for _, h := range sv.hits {
		for _, ref := range s.index.roles[h.word] {
			if sv.run[ref.rule] {
				s.widen(text, h.end-s.index.lengths[h.word], h.end, ref, sv)
			}
		}
		// A text made for it could have every hit reach across all of it: no worse than whole, then.
		if sv.looked > maxLooked*len(text)+1<<16 {
			sv.whole = true
			return
		}
	}
}

// folds reports whether text has a rune outside ASCII that case folding or lowering maps into ASCII: long s and
// the Kelvin sign for (?i), the Kelvin sign and dotted capital I for the lower-cased text that gitleaks looks for
// keywords in. Rare enough for such texts to be scanned the slow way.
func folds(text string) bool {
	return strings.Contains(text, string(longS)) || strings.Contains(text, string(kelvin)) ||
		strings.Contains(text, "\u0130")
}

func (s *Scanner) surveyFolded(text string, sv *survey) {
	sv.whole = true
	sv.hits = s.index.automaton.find(strings.ToLower(text), sv.hits[:0])
	for _, h := range sv.hits {
		for _, r := range s.index.keywords[h.word] {
			sv.run[r] = true
		}
	}
}

func (sv *survey) reset(rules int) {
	if sv.run == nil {
		sv.run, sv.windows = make([]bool, rules), make([][]span, rules)
	}
	sv.whole, sv.looked = false, 0
	clear(sv.run)
	for i := range sv.windows {
		sv.windows[i] = sv.windows[i][:0]
	}
}

// widen adds the window of one hit at text[lo:hi] in the role ref, unless the hit cannot be in that role.
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
	w := span{reachLeft(text, lo, a.before), reachRight(text, hi, a.after)}
	// One rune more on either side, so that \b, ^ and $ see what is really there.
	w.lo, w.hi = runeStart(text, w.lo-1), min(w.hi+utf8.UTFMax, len(text))
	sv.looked += w.hi - w.lo
	spans := sv.windows[ref.rule]
	// Hits come in order of their end, so windows come nearly in order of lo: fold what overlaps from the back.
	for n := len(spans); n > 0 && spans[n-1].hi >= w.lo; n = len(spans) {
		last := spans[n-1]
		w = span{min(w.lo, last.lo), max(w.hi, last.hi)}
		spans = spans[:n-1]
	}
	sv.windows[ref.rule] = append(spans, w)
}

// matches gives what rule r's expression finds in text: the same as FindAllStringIndex over all of it, because
// every match lies inside a window, windows do not touch, and each holds the context that assertions ask for.
func (s *Scanner) matches(r *rule, at int, text string, sv *survey) ([][]int, error) {
	re, err := r.regex()
	if err != nil {
		return nil, fmt.Errorf("gitleaks rule %s: %w", r.id, err)
	}
	if sv.whole || len(r.anchors) == 0 {
		return re.FindAllStringIndex(text, -1), nil
	}
	var all [][]int
	for _, w := range sv.windows[at] {
		for _, m := range re.FindAllStringIndex(text[w.lo:w.hi], -1) {
			all = append(all, []int{m[0] + w.lo, m[1] + w.lo})
		}
	}
	return all, nil
}

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

// runeStart moves at left to where decoding the whole text from its start would begin a rune: the nearest byte
// that is no continuation byte; or nowhere, if no such byte is near enough for its rune to hold this one.
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
