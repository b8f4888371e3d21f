package ignore

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"sync/atomic"
	"unicode"
)

// A node is where the rules stand after a part of a path. It is immutable but
// for the tables, which only ever fill.
type node struct {
	threads []uint32 // ascending, so in the order of the rules
	// last is the last rule that matched a directory on the way, -1 for none.
	// What it and those before it do below no longer matters: the last match
	// wins, and what matches a directory matches all below.
	last int
	// matched is the answer for a path that ends here, and decider the rule
	// that gives it, -1 for none; without meaning if alone.
	matched bool
	decider int
	alone   bool // a thread stands for a rule that wants the whole path
	// newest is the last rule that matches a path that ends here, asked or not,
	// -1 for none; without meaning if alone.
	newest int

	next  []atomic.Pointer[node] // by class of characters
	below atomic.Pointer[node]   // in the directory whose path ends here
}

// budget bounds the bytes that nodes take. Ninety lines over a large repository
// need a twentieth; patterns made to multiply nodes begin anew when it is used up.
const budget = 8 << 20

// nodeSize is about what a node takes beside its tables, in bytes.
const nodeSize = 200

// intern returns the one node of the threads; the caller holds the lock.
func (a *automaton) intern(last int, threads []uint32) *node {
	key := make([]byte, 0, 4+4*len(threads))
	key = binary.LittleEndian.AppendUint32(key, uint32(last))
	for _, pc := range threads {
		key = binary.LittleEndian.AppendUint32(key, pc)
	}
	if n, ok := a.nodes[string(key)]; ok {
		return n
	}
	if a.size > budget {
		// States that walks hold keep the old nodes for as long as they need them.
		a.forget()
	}
	// A thread is there twice, in the node and in its key.
	a.size += nodeSize + 8*len(a.bounds) + 8*len(threads)
	n := a.newNode(last, threads)
	a.nodes[string(key)] = n
	return n
}

func (a *automaton) newNode(last int, threads []uint32) *node {
	n := &node{threads: threads, last: last}
	for _, pc := range threads {
		n.alone = n.alone || a.code[pc].alone
	}
	if len(threads) > 0 {
		n.next = make([]atomic.Pointer[node], len(a.bounds))
	}
	if !n.alone {
		n.matched, n.decider = a.verdict(n, "")
		n.newest = a.newest(n, "")
	}
	return n
}

// forget drops all nodes and begins with a new root.
func (a *automaton) forget() {
	a.nodes, a.size = map[string]*node{}, 0
	a.root.Store(a.newNode(-1, a.start))
}

// verdict returns whether the path that ends at n is matched, and the rule that
// decides, -1 for none. A rule is only asked if it would change the answer so
// far: one that is not asked for a directory does not count for what is below
// (patternmatcher: MatchesUsingParentResults).
func (a *automaton) verdict(n *node, path string) (matched bool, decider int) {
	decider = n.last
	matched = decider >= 0 && !a.rules[decider].exception
	for _, pc := range n.threads {
		in := &a.code[pc]
		r := a.rules[in.rule]
		if r.exception == matched && (in.end || in.alone && r.alone(path)) {
			matched, decider = !matched, in.rule
		}
	}
	return matched, decider
}

// newest returns the last rule that matches the path that ends at n.
func (a *automaton) newest(n *node, path string) int {
	for _, pc := range slices.Backward(n.threads) {
		if in := &a.code[pc]; in.end || in.alone && a.rules[in.rule].alone(path) {
			return in.rule
		}
	}
	return -1
}

// newestAt is newest, kept where it can be.
func (a *automaton) newestAt(n *node, path string) int {
	if n.alone {
		return a.newest(n, path)
	}
	return n.newest
}

// folds returns the other cases of an instruction's one character, if it takes
// them too: `[Aa]` becomes such an instruction.
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
