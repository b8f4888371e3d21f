package ignore

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"sync/atomic"
	"unicode"
)

// A node is the state of all rules after the beginning of a path. It is immutable
// except for next and below, whose entries are set once.
type node struct {
	threads []uint32 // ascending, and so in the order of the rules
	// inherited is the rule that decided about the parent directory, -1 for none.
	// Neither it nor the rules before it have threads here: it matches everything
	// below that directory, and of several rules that match, the last one wins.
	inherited int
	opaque    bool // a thread is the placeholder of an opaque rule

	// For a path that ends here; unset if opaque, as that takes the whole path.
	matched   bool // the verdict
	decider   int  // the rule that gives it, -1 for none
	lastMatch int  // the last rule that matches, whether a walk asks it or not, -1 for none

	next  []atomic.Pointer[node] // by class of the next character
	below atomic.Pointer[node]   // in the directory whose path ends here
}

// budget is the number of bytes that nodes may take. Ninety lines over a large
// repository need a twentieth of it. Patterns that are made to multiply nodes exceed
// it, and then all nodes are dropped.
const budget = 8 << 20

// nodeSize is roughly the size of a node without its tables, in bytes.
const nodeSize = 200

// intern returns the only node with these threads, making it if it does not exist.
// The caller holds a.mu.
func (a *automaton) intern(inherited int, threads []uint32) *node {
	key := make([]byte, 0, 4+4*len(threads))
	key = binary.LittleEndian.AppendUint32(key, uint32(inherited))
	for _, pc := range threads {
		key = binary.LittleEndian.AppendUint32(key, pc)
	}
	if n, ok := a.nodes[string(key)]; ok {
		return n
	}
	if a.size > budget {
		// Walks keep the old nodes alive for as long as they use them.
		a.forget()
	}
	// Each thread is stored twice, in the node and in its key.
	a.size += nodeSize + 8*len(a.bounds) + 8*len(threads)
	n := a.newNode(inherited, threads)
	a.nodes[string(key)] = n
	return n
}

func (a *automaton) newNode(inherited int, threads []uint32) *node {
	n := &node{threads: threads, inherited: inherited}
	for _, pc := range threads {
		n.opaque = n.opaque || a.code[pc].opaque
	}
	if len(threads) > 0 {
		n.next = make([]atomic.Pointer[node], len(a.bounds))
	}
	if !n.opaque {
		n.matched, n.decider = a.verdict(n, "")
		n.lastMatch = a.findLastMatch(n, "")
	}
	return n
}

// forget drops all nodes and makes a new root.
func (a *automaton) forget() {
	a.nodes, a.size = map[string]*node{}, 0
	a.root.Store(a.newNode(-1, a.start))
}

// verdict returns whether the path that ends at n matches, and the rule that decides,
// -1 for none. Like patternmatcher's MatchesUsingParentResults it asks a rule only if
// that would change the answer so far, so a rule that was not asked about a directory
// does not count for what is below. path is used for opaque rules only.
func (a *automaton) verdict(n *node, path string) (matched bool, decider int) {
	decider = n.inherited
	matched = decider >= 0 && !a.rules[decider].exception
	for _, pc := range n.threads {
		in := &a.code[pc]
		r := a.rules[in.rule]
		if r.exception == matched && (in.end || in.opaque && r.matchPath(path)) {
			matched, decider = !matched, in.rule
		}
	}
	return matched, decider
}

// findLastMatch returns the last rule that matches the path that ends at n, whether a
// walk would ask it or not, -1 for none. path is used for opaque rules only.
func (a *automaton) findLastMatch(n *node, path string) int {
	for _, pc := range slices.Backward(n.threads) {
		if in := &a.code[pc]; in.end || in.opaque && a.rules[in.rule].matchPath(path) {
			return in.rule
		}
	}
	return -1
}

// lastMatch is findLastMatch, without the work where the node has the answer.
func (a *automaton) lastMatch(n *node, path string) int {
	if n.opaque {
		return a.findLastMatch(n, path)
	}
	return n.lastMatch
}

// folds returns the characters that differ only in case from the one of an
// instruction, if that matches them too. `[Aa]` compiles to such an instruction.
func folds(in syntax.Inst) []rune {
	if syntax.Flags(in.Arg)&syntax.FoldCase == 0 {
		return nil
	}
	var list []rune
	for r := unicode.SimpleFold(in.Rune[0]); r != in.Rune[0]; r = unicode.SimpleFold(r) {
		list = append(list, r)
	}
	return list
}
