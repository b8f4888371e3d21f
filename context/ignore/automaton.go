package ignore

import (
	"regexp/syntax"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// An automaton runs all rules at once over a path. Its states, the nodes, come
// into being when a path first leads to them, and are kept: what a character
// does to ninety rules is then one look into a table. It is safe for concurrent
// use.
//
// A thread is a place in one rule's program, the index of an instruction.
type automaton struct {
	rules  []*rule
	code   []instruction
	bounds []rune // where the classes of characters begin, ascending, from 0
	ascii  [utf8.RuneSelf]uint8
	sep    rune
	start  []uint32 // threads before the first character
	alone  bool     // some rules are not in the code, and want whole paths
	root   atomic.Pointer[node]

	mu    sync.Mutex // guards all below, which only making a node needs
	nodes map[string]*node
	size  int   // what they take, in bytes
	seen  []int // by instruction: the last pass that came by
	pass  int
	found []uint32 // by the pass
}

// An instruction is one of a rule's program, with addresses in the automaton.
type instruction struct {
	syntax.Inst
	rule  int
	end   bool // a path that ends here matches the rule
	alone bool // it stands for a rule without a program
}

// newAutomaton joins the rules' programs.
func newAutomaton(rules []*rule, sep rune) *automaton {
	a := &automaton{rules: rules, sep: sep}
	var starts []uint32
	for i, r := range rules {
		base := uint32(len(a.code))
		if r.prog == nil {
			a.alone = true
			a.code = append(a.code, instruction{rule: i, alone: true})
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

// classify parts the characters into classes that all rules treat alike.
func (a *automaton) classify() {
	a.bounds = []rune{0, a.sep, a.sep + 1}
	for _, in := range a.code {
		for i, r := range in.Rune {
			// Ranges are pairs of the first and the last.
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

func (a *automaton) class(r rune) int {
	i, found := slices.BinarySearch(a.bounds, r)
	if !found {
		i--
	}
	return i
}

// step returns the node that follows n with a character of the class.
func (a *automaton) step(n *node, class int) *node {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := a.advance(n.threads, a.bounds[class], n.last)
	n.next[class].Store(next)
	return next
}

// run returns the node that name leads to. The name is one component: a
// separator in it has no meaning.
func (a *automaton) run(n *node, name string) *node {
	for i := 0; i < len(name); {
		if len(n.threads) == 0 {
			return n
		}
		class, width := 0, 1
		if c := name[i]; c < utf8.RuneSelf {
			class = int(a.ascii[c])
		} else {
			// Bytes that are not UTF-8 are one replacement character each, as
			// they are for package regexp.
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

// enter returns the node before the names in the directory that n is the end
// of. The path is the directory's; only rules without a program look at it.
func (a *automaton) enter(n *node, path string) *node {
	if below := n.below.Load(); below != nil {
		return below
	}
	_, decider := a.verdict(n, path)
	a.mu.Lock()
	defer a.mu.Unlock()
	below := a.advance(n.threads, a.sep, decider)
	if !n.alone {
		n.below.Store(below)
	}
	return below
}

// advance moves the threads of the rules after decider over a character.
func (a *automaton) advance(threads []uint32, r rune, decider int) *node {
	a.begin()
	for _, pc := range threads {
		in := &a.code[pc]
		switch {
		case in.rule <= decider:
		case in.alone || in.Op == syntax.InstMatch:
			// A rule without an end matches whatever follows.
			a.add(pc, false)
		case in.Op != syntax.InstEmptyWidth && in.MatchRune(r):
			a.add(in.Out, false)
		}
	}
	return a.intern(decider, a.threads())
}

func (a *automaton) begin() {
	a.pass++
	a.found = a.found[:0]
}

// add notes the threads that pc leads to without a character. Begin says
// whether that is before the path's first.
func (a *automaton) add(pc uint32, begin bool) {
	if a.seen[pc] == a.pass {
		return
	}
	a.seen[pc] = a.pass
	in := &a.code[pc]
	switch {
	case in.alone:
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

// threads returns what the pass has found, in the order of the rules.
func (a *automaton) threads() []uint32 {
	slices.Sort(a.found)
	return slices.Clone(a.found)
}

// ends reports whether a path that ends before pc's character matches.
func (a *automaton) ends(pc uint32) bool {
	in := &a.code[pc]
	if in.alone {
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
