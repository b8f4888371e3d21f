package secrets

// An automaton finds every occurrence of many words in one pass over a text, ignoring ASCII case. It is an
// Aho-Corasick automaton in the form of a transition table. Bytes are mapped to classes, which also folds case, so
// that the text need not be copied. It is immutable.
type automaton struct {
	class   [256]uint16 // byte -> class; 0 for bytes that no word has
	classes int
	next    []int32   // state*classes + class -> state
	out     [][]int32 // state -> indexes of the words that end there, longest first
}

// newAutomaton returns an automaton for words of ASCII characters. Empty words are ignored.
func newAutomaton(words []string) *automaton {
	a := &automaton{classes: 1}
	for _, w := range words {
		for i := range len(w) {
			if c := lowerByte(w[i]); a.class[c] == 0 {
				a.class[c] = uint16(a.classes)
				a.classes++
			}
		}
	}
	for c := byte('A'); c <= 'Z'; c++ {
		a.class[c] = a.class[lowerByte(c)]
	}
	a.addState()
	for id, w := range words {
		if w == "" {
			continue
		}
		s := int32(0)
		for i := range len(w) {
			at := int(s)*a.classes + int(a.class[w[i]])
			if a.next[at] == 0 {
				a.next[at] = a.addState()
			}
			s = a.next[at]
		}
		a.out[s] = append(a.out[s], int32(id))
	}
	a.link()
	return a
}

func (a *automaton) addState() int32 {
	a.next = append(a.next, make([]int32, a.classes)...)
	a.out = append(a.out, nil)
	return int32(len(a.out) - 1)
}

// link completes the trie to a table that needs no failure links. It goes breadth first: a missing edge of a state
// becomes the edge of its longest proper suffix, whose row is complete by then.
func (a *automaton) link() {
	suffix := make([]int32, len(a.out))
	var queue []int32
	for c := range a.classes {
		if s := a.next[c]; s != 0 {
			queue = append(queue, s)
		}
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		a.out[s] = append(a.out[s], a.out[suffix[s]]...)
		for c := range a.classes {
			at, fallback := int(s)*a.classes+c, a.next[int(suffix[s])*a.classes+c]
			if t := a.next[at]; t != 0 {
				suffix[t] = fallback
				queue = append(queue, t)
			} else {
				a.next[at] = fallback
			}
		}
	}
}

// A hit is an occurrence of a word, which ends at text[:end].
type hit struct {
	word int32 // index of the word
	end  int
}

// find appends every occurrence in text to hits, in order of end.
func (a *automaton) find(text string, hits []hit) []hit {
	s, n := int32(0), a.classes
	for i := range len(text) {
		s = a.next[int(s)*n+int(a.class[text[i]])]
		if out := a.out[s]; len(out) > 0 {
			for _, w := range out {
				hits = append(hits, hit{word: w, end: i + 1})
			}
		}
	}
	return hits
}

// contains reports whether any word occurs in text.
func (a *automaton) contains(text string) bool {
	s, n := int32(0), a.classes
	for i := range len(text) {
		s = a.next[int(s)*n+int(a.class[text[i]])]
		if len(a.out[s]) > 0 {
			return true
		}
	}
	return false
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
