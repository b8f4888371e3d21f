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
	// brought: its result may have come from a cache elsewhere, together with one that was
	// made from it, and perhaps under a key to which no link of the builder's own leads.
	// Only Learn gives this fate.
	brought
)

// Learn returns the mirror after a build of g in which the nodes had the given fates.
//
// stored are, for each node that was executed or loaded, the keys under which its result
// is stored: none where that is not known, and several where a result was loaded that is
// stored under one of them.
//
// imports says that the build looked into caches elsewhere. perhaps are then the keys of
// results that may have come from there, with their nodes.
func (m *Mirror) Learn(g Graph, fates []Fate, imports bool) (_ *Mirror, stored [][]KeyID, perhaps map[KeyID]int) {
	next := m.clone()
	if imports {
		fates = withBrought(g, fates)
	}
	l := learner{
		mirror: next, graph: g, fates: slices.Clone(fates), imports: imports,
		sights: make([]sighting, len(g.Nodes)), result: make([][]KeyID, len(g.Nodes)),
	}
	stored, perhaps = make([][]KeyID, len(g.Nodes)), map[KeyID]int{}
	for n := range g.Nodes {
		switch l.learn(n); l.fates[n] {
		case Made, Loaded:
			stored[n] = l.live(n)
		case brought:
			for _, k := range l.sights[n].might {
				if perhaps[k] = n; next.results[k] != Live {
					next.mark(k, Perhaps)
				}
			}
		}
	}
	return next, stored, perhaps
}

// withBrought returns the fates in a build that looked into caches elsewhere: with a
// result come those that it was made from (BuildKit: solver.combinedCacheManager.Load).
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

// A learner enters one build in a mirror, node by node, inputs first.
type learner struct {
	mirror  *Mirror // it changes as nodes are learned
	graph   Graph
	fates   []Fate
	imports bool // see Learn

	// By node, as far as it is learned: what was seen of its keys, and those of its
	// result, which are linked to what was made from it.
	sights []sighting
	result [][]KeyID

	into map[KeyID][]Link // the links to each key before the build; see renew
}

// learn enters what the build did with node n.
func (l *learner) learn(n int) {
	node := l.graph.Nodes[n]
	seen := node
	seen.Doubted = false // what was reused was there, whatever else may have been
	s := l.mirror.sight(seen, l.sights)
	if l.imports && l.fates[n] == Loaded && len(node.Inputs) > 0 && l.mirror.life(s.sure) != Live {
		l.fates[n] = brought // it was not the builder's own
	}
	fate := l.fates[n]
	l.connect(node, s.sure)
	switch {
	case len(node.Digests) == 0: // a local source, or one that is not known: it has no key
	case node.Unknown != "":
		l.mirror.doubted[node.Digests[0]] = true
	case len(node.Inputs) == 0:
		l.result[n] = s.sure
	case fate == Made:
		l.result[n] = l.madeKeys(node)
	default:
		l.result[n] = l.reusedKeys(node, &s, fate)
	}
	s.sure, s.might = union(s.sure, l.result[n]), union(s.might, l.result[n])
	s.result = l.result[n]
	if len(s.result) == 0 && !node.Doubted {
		s.oneOf = s.might
	}
	l.sights[n] = s
}

// live returns the keys of the result of a node that was made or loaded, which is now
// there. If some of them were known to have a result, that was loaded, and they are all.
// Else it may also have been loaded by content, or by a key that was taken for a new one.
func (l *learner) live(n int) []KeyID {
	keys := l.result[n]
	known := slices.DeleteFunc(slices.Clone(keys), func(k KeyID) bool { return l.mirror.results[k] != Live })
	if len(known) > 0 || len(keys) == 0 {
		return known
	}
	if l.fates[n] == Loaded {
		others := slices.DeleteFunc(subtract(l.sights[n].might, keys), func(k KeyID) bool { return l.mirror.results[k] == Gone })
		if len(others) > 0 {
			return union(keys, others)
		}
	}
	for _, k := range keys {
		l.mirror.mark(k, Live)
	}
	return keys
}

// connect links each key of each input with keys, to which one of them led: the solver
// does so when it finds a key (BuildKit: cacheManager.Query).
func (l *learner) connect(node Node, keys []KeyID) {
	for i, in := range node.Inputs {
		if in.Late { // nobody looked at the content
			in.Content = ""
		}
		for _, from := range in.origins(l.sights[in.Node].sure) {
			for _, to := range keys {
				l.link(node, i, from, to)
			}
		}
	}
}

// link makes an origin at input i of node lead to a key of node.
func (l *learner) link(node Node, i int, f origin, to KeyID) {
	l.mirror.connect(node.link(i, f.key, f.selector), to)
}

// madeKeys links the result of an execution with its inputs, and returns its key: one
// that is known, else a new one (BuildKit: edge.commitOptions).
func (l *learner) madeKeys(node Node) []KeyID {
	keys := l.mirror.stored(node, l.sights)
	if len(keys) == 0 {
		return l.newKey(node)
	}
	if !node.NoCache || l.mirror.results[keys[0]] != Live {
		l.renew(keys[0])
	}
	l.linkInputs(node, keys[0])
	return keys[:1]
}

// reusedKeys returns the keys of a node that was not executed: those of its result where
// it was loaded, else those by which what takes it in may have been found. There is none
// where it is one of several, or one that nobody knows. Among s.might is then what it may
// be beside those that were known.
func (l *learner) reusedKeys(node Node, s *sighting, fate Fate) []KeyID {
	held := func(keys []KeyID) []KeyID { // those that may have a result, if one was loaded
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
	// It was found by content of another stage that is as it once was.
	switch keys := held(s.might); {
	case len(keys) == 0:
		added := l.newKey(node)
		for _, k := range added {
			l.mirror.mark(k, Perhaps)
			l.guessContents(node, k)
		}
		return added
	case node.Doubted:
	case l.imports:
		// Or it was found elsewhere, and is new to the builder: what led to the known ones
		// there may not lead to them here.
		if key, known := l.nameKey(node); known {
			s.might = union(s.might, []KeyID{key})
		}
	case len(keys) == 1:
		l.renewUnseen(keys, fate)
		l.linkInputs(node, keys[0])
		return keys
	}
	for _, k := range held(s.might) {
		l.guessInputs(node, k)
	}
	return nil
}

// renewUnseen is renew for keys whose results were not known to be there.
func (l *learner) renewUnseen(keys []KeyID, fate Fate) {
	for _, k := range keys {
		if (fate == Loaded || fate == brought) && l.mirror.results[k] != Live {
			l.renew(k)
		}
	}
}

// renew notes that the result of a key was gone before this build, or may have been. A
// builder drops a key that has no result and leads to none, at its next prune or some
// minutes after it collected garbage (BuildKit: cacheManager.ReleaseUnreferenced), and
// with the key the links to it. So these are guesses from now on.
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

// linkInputs makes what is known of each input of node lead to a key of node: what was
// stored with the result.
func (l *learner) linkInputs(node Node, to KeyID) {
	for i, in := range node.Inputs {
		for _, f := range l.shown(in).origins(l.result[in.Node]) {
			l.link(node, i, f, to)
		}
	}
	l.guessInputs(node, to)
}

// shown returns in without content at which the builder did not look, because the result
// of the input was not there.
func (l *learner) shown(in Input) Input {
	if fate := l.fates[in.Node]; in.Late && fate != Made && fate != Loaded {
		in.Content = ""
	}
	return in
}

// guessInputs notes that the keys that the inputs of node may have perhaps lead to a key
// of node.
func (l *learner) guessInputs(node Node, to KeyID) {
	for i, in := range node.Inputs {
		for _, k := range union(l.result[in.Node], l.sights[in.Node].oneOf) {
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

// newKey returns a new key of node, linked with its inputs. Where nothing is known to lead
// there from some input, there is no key, and the operation is doubted from then on.
func (l *learner) newKey(node Node) []KeyID {
	key, known := l.nameKey(node)
	if !known {
		l.mirror.doubted[node.Digests[0]] = true
		return nil
	}
	if _, known := l.mirror.results[key]; known {
		l.renew(key)
	}
	l.linkInputs(node, key)
	return []KeyID{key}
}

// nameKey returns what a new key of node is called: it is a digest of all that leads to
// it. known reports whether something does from every input.
func (l *learner) nameKey(node Node) (key KeyID, known bool) {
	h := sha256.New()
	fmt.Fprintf(h, "%s@%d", node.Digests[0], node.Output)
	known = true
	for i, in := range node.Inputs {
		origins := l.shown(in).origins(union(l.result[in.Node], l.sights[in.Node].oneOf))
		known = known && len(origins) > 0
		for _, f := range origins {
			fmt.Fprintf(h, "|%d %s %s", i, f.key, f.selector)
		}
	}
	return KeyID(h.Sum(nil)[:16]), known
}
