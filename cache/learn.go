package cache

import (
	"crypto/sha256"
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
	// brought: it may have come from a cache elsewhere, with one that was made of it, and
	// perhaps under a key to which nothing of the builder's leads.
	brought
)

// Learn returns the mirror after a build of g in which the nodes had the given
// fates, and under which keys the result of each node is stored that was executed or
// loaded: none where that is not known, and several of a loaded one that is stored under
// one of them. imports says that the build looked into caches elsewhere: perhaps are the
// keys of results that may have come from there, with their nodes.
func (m *Mirror) Learn(g Graph, fates []Fate, imports bool) (_ *Mirror, stored [][]KeyID, perhaps map[KeyID]int) {
	next := m.clone()
	if imports {
		fates = withBrought(g, fates)
	}
	l := learner{mirror: next, graph: g, fates: slices.Clone(fates), imports: imports, all: make([]sighting, len(g.Nodes)), result: make([][]KeyID, len(g.Nodes))}
	stored, perhaps = make([][]KeyID, len(g.Nodes)), map[KeyID]int{}
	for n := range g.Nodes {
		switch l.learn(n); l.fates[n] {
		case Made, Loaded:
			stored[n] = l.live(n)
		case brought:
			for _, k := range l.all[n].might {
				if perhaps[k] = n; next.results[k] != Live {
					next.mark(k, Perhaps)
				}
			}
		}
	}
	return next, stored, perhaps
}

// withBrought returns the fates in a build that looked into caches elsewhere: what a
// result lies on comes with it (BuildKit: solver.combinedCacheManager.Load).
func withBrought(g Graph, fates []Fate) []Fate {
	all := slices.Clone(fates)
	for n := len(g.Nodes) - 1; n >= 0; n-- {
		if all[n] != Loaded && all[n] != brought {
			continue
		}
		for _, in := range g.Nodes[n].Inputs {
			if all[in.Node] == Untouched {
				all[in.Node] = brought
			}
		}
	}
	return all
}

// Mark returns the mirror after the builder was seen to hold, or not to hold,
// the results of keys.
func (m *Mirror) Mark(lives map[KeyID]Life) *Mirror {
	next := m
	for k, life := range lives {
		if m != nil && m.results[k] == life {
			continue
		}
		if next == m {
			next = m.clone()
		}
		next.mark(k, life)
	}
	return next
}

type learner struct {
	mirror *Mirror
	graph  Graph
	fates  []Fate
	// imports: see Learn.
	imports bool
	all     []sighting
	// result are the keys with which a node's result was handed on.
	result [][]KeyID
	into   map[KeyID][]Link // what led to each key before; made when it is needed
}

func (l *learner) learn(n int) {
	node := l.graph.Nodes[n]
	seen := node
	seen.Doubted = false // what was reused was there, whatever else may have been
	s := l.mirror.sight(seen, l.all)
	if l.imports && l.fates[n] == Loaded && len(node.Inputs) > 0 && l.mirror.life(s.sure) != Live {
		l.fates[n] = brought // it was not the builder's own
	}
	fate := l.fates[n]
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
	s.sure, s.might = union(s.sure, l.result[n]), union(s.might, l.result[n])
	s.result = l.result[n]
	if len(s.result) == 0 && !node.Doubted {
		s.oneOf = s.might
	}
	l.all[n] = s
}

// live marks the keys of a node whose result was made or loaded, and returns them. What
// was known to be there is what was loaded.
func (l *learner) live(n int) []KeyID {
	known := slices.DeleteFunc(slices.Clone(l.result[n]), func(k KeyID) bool { return l.mirror.results[k] != Live })
	if len(known) > 0 {
		return known
	}
	for _, k := range l.result[n] {
		l.mirror.mark(k, Live)
	}
	return l.result[n]
}

// connect makes each key of an input lead where one of them does (BuildKit:
// cacheManager.Query).
func (l *learner) connect(node Node, keys []KeyID) {
	for i, in := range node.Inputs {
		if in.Late { // nobody looked at the content
			in.Content = ""
		}
		for _, from := range in.froms(l.all[in.Node].sure) {
			for _, to := range keys {
				l.link(node, i, from, to)
			}
		}
	}
}

func (l *learner) link(node Node, i int, f from, to KeyID) {
	l.mirror.connect(node.link(i, f.key, f.selector), to)
}

// stored gives the result of an execution its key (BuildKit:
// edge.commitOptions).
func (l *learner) stored(node Node) []KeyID {
	keys := l.mirror.stored(node, l.all)
	if len(keys) == 0 {
		return l.add(node)
	}
	if !node.NoCache || l.mirror.results[keys[0]] != Live {
		l.renew(keys[0])
	}
	l.lead(node, keys[0])
	return keys[:1]
}

// found returns the keys of a result that was reused, or that only what takes
// it in was found by.
func (l *learner) found(node Node, s sighting, fate Fate) []KeyID {
	held := func(keys []KeyID) []KeyID {
		if fate != Loaded {
			return keys
		}
		return slices.DeleteFunc(slices.Clone(keys), func(k KeyID) bool { return l.mirror.results[k] == Gone })
	}
	if keys := held(s.sure); len(keys) > 0 {
		l.renewUnseen(keys, fate)
		l.connect(node, keys)
		return keys
	}
	// Something of another stage was equal to what it once was.
	switch keys := held(s.might); {
	case len(keys) == 0:
		added := l.add(node)
		for _, k := range added {
			l.mirror.mark(k, Perhaps)
			l.guessContents(node, k)
		}
		return added
	case node.Doubted:
	case len(keys) == 1:
		l.renewUnseen(keys, fate)
		l.lead(node, keys[0])
		return keys
	}
	for _, k := range held(s.might) {
		l.guess(node, k)
	}
	return nil // one of them, or a key that nobody knows
}

// renewUnseen is renew for keys whose results were not known to be there.
func (l *learner) renewUnseen(keys []KeyID, fate Fate) {
	for _, k := range keys {
		if (fate == Loaded || fate == brought) && l.mirror.results[k] != Live {
			l.renew(k)
		}
	}
}

// renew notes that the result of a key was gone, or may have been, before this
// build. Once it is, a builder drops a key to which nothing clings, at the next
// prune or some minutes after it collected garbage (BuildKit:
// cacheManager.ReleaseUnreferenced): what led to the key may lead there no more.
func (l *learner) renew(key KeyID) {
	if l.into == nil {
		l.into = map[KeyID][]Link{}
		for link, to := range l.mirror.links {
			for _, k := range to {
				l.into[k] = append(l.into[k], link)
			}
		}
	}
	for _, link := range l.into[key] {
		l.mirror.disconnect(link, key)
	}
	delete(l.into, key)
}

// lead makes the keys of node's inputs lead to a key of it.
func (l *learner) lead(node Node, to KeyID) {
	for i, in := range node.Inputs {
		for _, f := range l.shown(in).froms(l.result[in.Node]) {
			l.link(node, i, f, to)
		}
	}
	l.guess(node, to)
}

// shown returns in without content at which the builder did not look, because nothing
// asked for the result.
func (l *learner) shown(in Input) Input {
	if fate := l.fates[in.Node]; in.Late && fate != Made && fate != Loaded {
		in.Content = ""
	}
	return in
}

// guess notes that the keys that node's inputs may have may lead to a key of it.
func (l *learner) guess(node Node, to KeyID) {
	for i, in := range node.Inputs {
		for _, k := range union(l.result[in.Node], l.all[in.Node].oneOf) {
			l.mirror.suppose(node.link(i, k, in.Selector), to)
		}
	}
}

// guessContents notes that content at which the builder did not look in this build may lead
// to a key of node: it did in the build that made the result, which nobody saw.
func (l *learner) guessContents(node Node, to KeyID) {
	for i, in := range node.Inputs {
		if in.Late && in.Content != "" {
			l.mirror.suppose(node.link(i, contentKey(in.Content), ""), to)
		}
	}
}

// add makes a key for a state that was not known, unless it cannot be told from
// what it follows.
func (l *learner) add(node Node) []KeyID {
	known, h := true, sha256.New()
	fmt.Fprintf(h, "%s@%d", node.Digests[0], node.Output)
	for i, in := range node.Inputs {
		froms := l.shown(in).froms(union(l.result[in.Node], l.all[in.Node].oneOf))
		known = known && len(froms) > 0
		for _, f := range froms {
			fmt.Fprintf(h, "|%d %s %s", i, f.key, f.selector)
		}
	}
	if !known {
		l.mirror.doubted[node.Digests[0]] = true
		return nil
	}
	key := KeyID(h.Sum(nil)[:16])
	if _, known := l.mirror.results[key]; known {
		l.renew(key)
	}
	l.lead(node, key)
	return []KeyID{key}
}
