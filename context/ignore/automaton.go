package ignore

import (
	"regexp/syntax"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// An automaton matches a path against all rules at once. It is a lazily built DFA
// over the rules' regular expressions: its states, the nodes, are made when a path
// first leads to them, and kept. From then on a character costs one table look-up,
// however many rules there are. It is safe for concurrent use.
//
// A thread is a position in the program of one rule: the index of an instruction.
// A rule that the automaton cannot run is opaque. It has a single instruction, as a
// placeholder, and is matched against whole paths (see rule.matchPath).
type automaton struct {
	rules  []*rule
	code   []instruction        // the programs of all rules, one after the other
	bounds []rune               // first rune of each class of characters, ascending from 0
	ascii  [utf8.RuneSelf]uint8 // the class of each ASCII character
	sep    rune                 // path separator
	start  []uint32             // threads before the first character of a path
	opaque bool                 // some rules are opaque
	root   atomic.Pointer[node]

	mu    sync.Mutex // guards the fields that follow, which only making a node needs
	nodes map[string]*node
	size  int // of all nodes, in bytes

	// Threads are collected in passes: begin starts one, add adds to it, and
	// threads returns the result.
	pass  int      // number of the pass
	seen  []int    // by instruction: the last pass that reached it
	found []uint32 // threads of this pass
}

// An instruction is one of a rule's program, with jump targets in automaton.code.
type instruction struct {
	syntax.Inst
	rule   int
	end    bool // a path that ends here matches the rule
	opaque bool // placeholder of an opaque rule
}

// newAutomaton returns an automaton for the rules, in their order. sep separates the
// components of paths.
func newAutomaton(rules []*rule, sep rune) *automaton {
	a := &automaton{rules: rules, sep: sep}
	var starts []uint32
	for i, r := range rules {
		base := uint32(len(a.code))
		if r.prog == nil {
			a.opaque = true
			a.code = append(a.code, instruction{rule: i, opaque: true})
			starts = append(starts, base)
			continue
		}
		for _, in := range r.prog.Inst {
			in.Out += base
			if in.Op == syntax.InstAlt || in.Op == syntax.InstAltMatch {
				in.Arg += base
			}
			a.code = append(a.code, instruction{Inst: in, rule: i})
		}
		starts = append(starts, base+uint32(r.prog.Start))
	}
	a.seen = make([]int, len(a.code))
	for pc := range a.code {
		a.code[pc].end = a.ends(uint32(pc))
	}
	a.classify()
	a.begin()
	for _, pc := range starts {
		a.add(pc, true)
	}
	a.start = a.threads()
	a.forget()
	return a
}

// classify divides the characters into classes, such that no rule distinguishes
// between two characters of a class.
func (a *automaton) classify() {
	a.bounds = []rune{0, a.sep, a.sep + 1}
	for _, in := range a.code {
		for i, r := range in.Rune {
			// A range is a pair of the first rune and the last.
			if i%2 == 1 {
				r++
			}
			a.bounds = append(a.bounds, r)
		}
		if len(in.Rune) == 1 {
			a.bounds = append(a.bounds, in.Rune[0]+1)
			for _, r := range folds(in.Inst) {
				a.bounds = append(a.bounds, r, r+1)
			}
		}
	}
	slices.Sort(a.bounds)
	a.bounds = slices.Compact(a.bounds)
	for c := range a.ascii {
		a.ascii[c] = uint8(a.class(rune(c)))
	}
}

// class returns the class of r, an index into a.bounds.
func (a *automaton) class(r rune) int {
	i, found := slices.BinarySearch(a.bounds, r)
	if !found {
		i--
	}
	return i
}

// step makes the node that n leads to with a character of the class.
func (a *automaton) step(n *node, class int) *node {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := a.advance(n.threads, a.bounds[class], n.inherited)
	n.next[class].Store(next)
	return next
}

// run returns the node that n leads to with name, one component of a path. A
// separator in it is a character like any other.
func (a *automaton) run(n *node, name string) *node {
	for i := 0; i < len(name); {
		if len(n.threads) == 0 {
			return n
		}
		class, width := 0, 1
		if c := name[i]; c < utf8.RuneSelf {
			class = int(a.ascii[c])
		} else {
			// A byte that is not UTF-8 reads as one replacement character, as it
			// does for package regexp.
			var r rune
			r, width = utf8.DecodeRuneInString(name[i:])
			class = a.class(r)
		}
		i += width
		next := n.next[class].Load()
		if next == nil {
			next = a.step(n, class)
		}
		n = next
	}
	return n
}

// enter returns the node before the names in the directory whose path ends at n.
// path is that path; only opaque rules look at it.
func (a *automaton) enter(n *node, path string) *node {
	if below := n.below.Load(); below != nil {
		return below
	}
	_, decider := a.verdict(n, path)
	a.mu.Lock()
	defer a.mu.Unlock()
	below := a.advance(n.threads, a.sep, decider)
	if !n.opaque {
		n.below.Store(below)
	}
	return below
}

// advance returns the node after the character r. Threads of the rules up to decider
// are dropped, since these no longer matter (see node.inherited).
func (a *automaton) advance(threads []uint32, r rune, decider int) *node {
	a.begin()
	for _, pc := range threads {
		in := &a.code[pc]
		switch {
		case in.rule <= decider:
		case in.opaque || in.Op == syntax.InstMatch:
			// An opaque rule stays, and so does one that matched: it does not ask
			// for the end of the path, so whatever follows matches too.
			a.add(pc, false)
		case in.Op != syntax.InstEmptyWidth && in.MatchRune(r):
			a.add(in.Out, false)
		}
	}
	return a.intern(decider, a.threads())
}

// begin starts a pass.
func (a *automaton) begin() {
	a.pass++
	a.found = a.found[:0]
}

// add adds the threads that pc leads to without consuming a character. begin says
// that this is before the first character of the path.
func (a *automaton) add(pc uint32, begin bool) {
	if a.seen[pc] == a.pass {
		return
	}
	a.seen[pc] = a.pass
	in := &a.code[pc]
	switch {
	case in.opaque:
		a.found = append(a.found, pc)
	case in.Op == syntax.InstAlt || in.Op == syntax.InstAltMatch:
		a.add(in.Out, begin)
		a.add(in.Arg, begin)
	case in.Op == syntax.InstCapture || in.Op == syntax.InstNop:
		a.add(in.Out, begin)
	case in.Op == syntax.InstEmptyWidth && syntax.EmptyOp(in.Arg) == syntax.EmptyBeginText:
		if begin {
			a.add(in.Out, begin)
		}
	case in.Op != syntax.InstFail:
		a.found = append(a.found, pc)
	}
}

// threads returns the threads of the pass, in the order of the rules.
func (a *automaton) threads() []uint32 {
	slices.Sort(a.found)
	return slices.Clone(a.found)
}

// ends reports whether a path that ends where pc is about to read a character matches
// the rule of pc.
func (a *automaton) ends(pc uint32) bool {
	in := &a.code[pc]
	if in.opaque {
		return false
	}
	if in.Op == syntax.InstMatch {
		return true
	}
	if in.Op != syntax.InstEmptyWidth || syntax.EmptyOp(in.Arg) != syntax.EmptyEndText {
		return false
	}
	a.begin()
	a.add(in.Out, false)
	for _, next := range slices.Clone(a.found) {
		if a.ends(next) {
			return true
		}
	}
	return false
}
