package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// A Fate says what a finished build did with a node.
type Fate int8

// The fates.
const (
	Untouched Fate = iota // its result was not asked for
	Loaded                // its result was taken from the cache
	Made                  // it was executed
)

// Learn returns the mirror after a build of g in which the nodes had the given
// fates, and the key under which the result of each node that was executed or
// loaded is stored, "" where there is none or it is not known.
func (m *Mirror) Learn(g Graph, fates []Fate) (*Mirror, []KeyID) {
	next := m.clone()
	l := learner{mirror: next, graph: g, all: make([]sighting, len(g.Nodes)), result: make([][]KeyID, len(g.Nodes))}
	stored := make([]KeyID, len(g.Nodes))
	for n := range g.Nodes {
		l.learn(n, fates[n])
		if fates[n] != Untouched && len(l.result[n]) > 0 {
			stored[n] = l.result[n][0]
		}
	}
	return next, stored
}

// Doubt returns the mirror after a build in which the operation with the digest
// ran on something that nobody knows.
func (m *Mirror) Doubt(digest string) *Mirror {
	next := m.clone()
	next.doubted[digest] = true
	return next
}

// Mark returns the mirror after the builder was seen to hold, or not to hold,
// the results of keys.
func (m *Mirror) Mark(lives map[KeyID]Life) *Mirror {
	next := m.clone()
	for k, life := range lives {
		next.results[k] = life
	}
	return next
}

type learner struct {
	mirror *Mirror
	graph  Graph
	all    []sighting
	// result are the keys with which a node's result was handed on.
	result [][]KeyID
}

func (l *learner) learn(n int, fate Fate) {
	node := l.graph.Nodes[n]
	s := l.mirror.sight(node, l.all)
	l.connect(node, s.sure)
	switch {
	case len(node.Digests) == 0: // a local source, or one that is not known
	case node.Unknown != "":
		l.mirror.doubted[node.Digests[0]] = true
	case len(node.Inputs) == 0:
		l.result[n] = s.sure
	case fate == Made:
		l.result[n] = l.stored(node)
	default:
		l.result[n] = l.found(node, s, fate)
	}
	if fate != Untouched {
		for _, k := range l.result[n] {
			l.mirror.results[k] = Live
		}
	}
	s.sure, s.might = union(s.sure, l.result[n]), union(s.might, l.result[n])
	s.result = l.result[n]
	if len(s.result) == 0 {
		s.oneOf = s.might
	}
	l.all[n] = s
}

// connect makes each key of an input lead where one of them does (BuildKit:
// cacheManager.Query).
func (l *learner) connect(node Node, keys []KeyID) {
	for i, in := range node.Inputs {
		for _, from := range in.froms(l.all[in.Node].sure) {
			for _, to := range keys {
				l.link(node, i, from, to)
			}
		}
	}
}

func (l *learner) link(node Node, i int, f from, to KeyID) {
	m, link := l.mirror, node.link(i, f.key, f.selector)
	m.links[link] = union(m.links[link], []KeyID{to})
	op := operand{digest: node.Digests[0], output: node.Output, input: i}
	m.made[op] = union(m.made[op], []KeyID{to})
}

// stored gives the result of an execution its key (BuildKit:
// edge.commitOptions).
func (l *learner) stored(node Node) []KeyID {
	keys := l.mirror.stored(node, l.all)
	if len(keys) == 0 {
		return l.add(node)
	}
	l.lead(node, keys[0])
	return keys[:1]
}

// found returns the keys of a result that was reused, or that only what takes
// it in was found by.
func (l *learner) found(node Node, s sighting, fate Fate) []KeyID {
	held := func(keys []KeyID) []KeyID {
		if fate == Untouched {
			return keys
		}
		return slices.DeleteFunc(slices.Clone(keys), func(k KeyID) bool { return l.mirror.results[k] == Gone })
	}
	if keys := held(s.sure); len(keys) > 0 {
		return keys
	}
	// Something of another stage was equal to what it once was.
	switch keys := held(s.might); len(keys) {
	case 0:
		added := l.add(node)
		for _, k := range added {
			l.mirror.results[k] = Perhaps
		}
		return added
	case 1:
		l.lead(node, keys[0])
		return keys
	}
	for _, k := range held(s.might) {
		l.guess(node, k)
	}
	return nil // one of them: nobody knows which
}

// lead makes the keys of node's inputs lead to a key of it.
func (l *learner) lead(node Node, to KeyID) {
	for i, in := range node.Inputs {
		for _, f := range in.froms(l.result[in.Node]) {
			l.link(node, i, f, to)
		}
	}
	l.guess(node, to)
}

// guess notes that the keys that node's inputs may have may lead to a key of it.
func (l *learner) guess(node Node, to KeyID) {
	for i, in := range node.Inputs {
		for _, k := range union(l.result[in.Node], l.all[in.Node].oneOf) {
			link := node.link(i, k, in.Selector)
			l.mirror.guesses[link] = union(l.mirror.guesses[link], []KeyID{to})
		}
	}
}

// add makes a key for a state that was not known, unless it cannot be told from
// what it follows.
func (l *learner) add(node Node) []KeyID {
	known, h := true, sha256.New()
	fmt.Fprintf(h, "%s@%d", node.Digests[0], node.Output)
	for i, in := range node.Inputs {
		froms := in.froms(union(l.result[in.Node], l.all[in.Node].oneOf))
		known = known && len(froms) > 0
		for _, f := range froms {
			fmt.Fprintf(h, "|%d %s %s", i, f.key, f.selector)
		}
	}
	if !known {
		l.mirror.doubted[node.Digests[0]] = true
		return nil
	}
	key := KeyID(hex.EncodeToString(h.Sum(nil)))
	l.lead(node, key)
	return []KeyID{key}
}
