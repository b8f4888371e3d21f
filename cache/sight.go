package cache

import (
	"cmp"
	"slices"
)

// A sighting is the keys that a node of a graph is found to have, before and
// after its result is there.
type sighting struct {
	sure []KeyID // sorted
	// might are the keys that it can have: sure and, where something is not
	// known, more. anything says that it can have one that nobody knows.
	might    []KeyID
	anything bool
	reason   Uncertainty // why might is more than sure
	// late are the keys that it has once the results of its inputs are there:
	// making one can reveal a key that was not looked for. They hold sure.
	late []KeyID
	// shown are the keys by which a consumer finds it once its result is there,
	// result those of the result itself, which lead on from it when it is stored.
	shown, result []KeyID
	// oneOf are the keys of which one is that of the result, where that is all
	// that is known.
	oneOf []KeyID
	open  bool // the result may have a key that is not among these
	// vague reports that the result may lack a key of these: content that nobody
	// knows can make it have another instead.
	vague bool
	// fast are the keys that are found while the results of inputs are neither
	// there nor asked for. settled reports that the solver looks for no more
	// keys of the node than sure, though content could lead to others.
	fast    []KeyID
	settled bool
	firm    bool // settled, whichever of the links that perhaps exist do
	source  bool // it takes nothing in: its keys are the same everywhere
}

// find looks for the keys of g's nodes.
func (m *Mirror) find(g Graph) []sighting {
	found := make([]sighting, len(g.Nodes))
	for i, n := range g.Nodes {
		found[i] = m.sight(n, found)
	}
	return found
}

func (m *Mirror) sight(n Node, found []sighting) sighting {
	var s sighting
	switch {
	case n.Unknown != "":
		s.anything, s.reason = true, n.Unknown
		return s
	case len(n.Inputs) == 0:
		for _, d := range n.Digests {
			s.sure = union(s.sure, []KeyID{rootKey(d, n.Output)})
		}
		s.might, s.late, s.shown, s.result, s.fast, s.settled = s.sure, s.sure, s.sure, s.sure, s.sure, true
		s.firm, s.source = true, true
		return s
	case !n.NoCache:
		m.probe(n, found, &s)
	}
	if (n.Doubted || m.doubted[n.Digests[0]]) && findable(n, found) {
		if s.anything = true; !s.reason.atSource() {
			s.reason = NotObserved
		}
	}
	m.complete(n, found, &s)
	s.settled, s.firm = m.settles(n, found, s.sure, false), m.settles(n, found, s.sure, true)
	return s
}

// findable reports whether the solver may find a result of n that nobody observed. It
// looks for none where the build was told not to, and there is none where n takes in what
// has no key, as the files of a named context that a stage starts from: their key is
// another one in each build, and so is that of all that is made of them.
func findable(n Node, found []sighting) bool {
	return !n.NoCache && !slices.ContainsFunc(n.Inputs, func(in Input) bool {
		f := found[in.Node]
		return !in.ByContent && !f.anything && !f.open && len(f.might)+len(f.shown)+len(f.result) == 0
	})
}

// atSource reports whether u is about what comes from outside: nobody could know that,
// whatever was observed.
func (u Uncertainty) atSource() bool { return u == NotRead || u == NotSeen || u == NotResolved }

// settles reports whether the solver looks no further for keys of n when it has
// found those in sure (BuildKit: edge.recalcCurrentState): firmly, if that is so whether
// links that perhaps exist do or not.
func (m *Mirror) settles(n Node, found []sighting, sure []KeyID, firmly bool) bool {
	settled := func(s sighting) bool { return s.settled && (s.firm || !firmly) }
	natural := true
	for _, in := range n.Inputs {
		natural = natural && settled(found[in.Node]) && !in.ofStage()
	}
	if natural || m.life(sure) != Live {
		return natural
	}
	var others []KeyID // that all inputs looked at so far lead to
	for i, in := range n.Inputs {
		if in.ofStage() && settled(found[in.Node]) {
			continue
		}
		reached, _, _ := m.through(n, i, found[in.Node])
		if firmly {
			reached = union(reached, m.guess(found[in.Node].might, n, i, in.Selector))
		}
		reached = subtract(reached, sure)
		if len(others) > 0 {
			reached = intersect(others, reached)
		}
		if others = reached; len(others) == 0 {
			return true
		}
	}
	return false
}

// ofStage reports whether in is keyed by the content of something that is made.
func (in Input) ofStage() bool { return in.ByContent && (in.Content == "" || in.Late) }

// probe fills in which keys the solver finds.
func (m *Mirror) probe(n Node, found []sighting, s *sighting) {
	for i, in := range n.Inputs {
		sure, might, reason := m.through(n, i, found[in.Node])
		late := union(sure, m.follow(found[in.Node].shown, n, i, in.Selector))
		fast := union(m.follow(found[in.Node].fast, n, i, in.Selector))
		if might = union(might, late); found[in.Node].open {
			might, reason = union(might, m.madeOf(n, i)), cmp.Or(reason, found[in.Node].reason, ByStageContent)
		}
		if i == 0 {
			s.sure, s.might, s.late, s.fast = sure, might, late, fast
		} else {
			s.sure, s.might, s.late, s.fast = intersect(s.sure, sure), intersect(s.might, might), intersect(s.late, late), intersect(s.fast, fast)
		}
		if reason != "" && s.reason == "" || reason.atSource() && !s.reason.atSource() {
			s.reason = reason
		}
	}
}

// complete fills in what keys the node has once its result is there.
func (m *Mirror) complete(n Node, found []sighting, s *sighting) {
	for _, k := range s.late {
		if m.results[k] == Live {
			s.result = append(s.result, k)
		}
	}
	if len(s.result) == 0 {
		s.result = m.stored(n, found)
		s.vague = m.storedElse(n, found, s.result)
		s.open = s.anything || n.NoCache || m.life(s.might) != Gone
		for _, in := range n.Inputs {
			s.open = s.open || found[in.Node].open && len(s.might) > 0 // without any, its key is a new one
		}
	}
	if m.life(s.sure) != Live {
		s.vague = s.vague || vagueInput(n, found)
	}
	if !n.NoCache {
		s.shown = union(s.late, s.result)
	}
}

// vagueInput reports whether something that n takes in is vague.
func vagueInput(n Node, found []sighting) bool {
	return slices.ContainsFunc(n.Inputs, func(in Input) bool { return found[in.Node].vague })
}

// storedElse reports whether the result of an execution of n may be stored under one
// other than keys: the content of a stage can lead to more, and any of those to which
// all lead will do for the builder.
func (m *Mirror) storedElse(n Node, found []sighting, keys []KeyID) bool {
	var others []KeyID
	unknown := false
	for i, in := range n.Inputs {
		var to []KeyID
		for _, f := range in.froms(found[in.Node].result) {
			to = union(to, m.links[n.link(i, f.key, f.selector)])
		}
		if in.ByContent && in.Content == "" {
			unknown, to = true, union(to, m.madeOf(n, i))
		}
		if to = subtract(to, keys); i > 0 {
			to = intersect(others, to)
		}
		others = to
	}
	return unknown && len(others) > 0
}

// stored returns the keys under which the result of an execution of n would be
// stored and, in caches elsewhere, be looked for, as far as they are known.
func (m *Mirror) stored(n Node, found []sighting) []KeyID {
	keys, asked := m.storedIn("", n, found), map[string]bool{"": true}
	for _, in := range n.Inputs {
		for _, k := range found[in.Node].result {
			if name := m.elsewhere[k]; !asked[name] {
				asked[name] = true
				keys = union(keys, m.storedIn(name, n, found))
			}
		}
	}
	return keys
}

// storedIn is stored for one cache (BuildKit: cacheManager.getIDFromDeps).
func (m *Mirror) storedIn(name string, n Node, found []sighting) []KeyID {
	var matches []KeyID
	for i, in := range n.Inputs {
		from := found[in.Node]
		keys := slices.DeleteFunc(slices.Clone(from.result), func(k KeyID) bool { return m.elsewhere[k] != name && !from.source })
		if name != "" && len(keys) == 0 {
			return nil // only the builder's own cache has what was found by content found by the key, too
		}
		froms := in.froms(keys)
		if len(froms) == 0 {
			return nil // a key that nothing leads on from yet
		}
		for _, f := range froms {
			to := slices.DeleteFunc(slices.Clone(m.links[n.link(i, f.key, f.selector)]), func(k KeyID) bool { return m.elsewhere[k] != name })
			if i == 0 {
				matches = union(matches, to)
			} else {
				matches = intersect(matches, to)
			}
		}
	}
	return matches
}

// A from is a key that leads on, with what limits it.
type from struct {
	key      KeyID
	selector string
}

// froms returns what leads on from an input that has the given keys.
func (in Input) froms(keys []KeyID) []from {
	var list []from
	for _, k := range keys {
		list = append(list, from{k, in.Selector})
	}
	if in.ByContent && in.Content != "" {
		list = append(list, from{contentKey(in.Content), ""})
	}
	return list
}

// through returns the keys to which input i of n leads.
func (m *Mirror) through(n Node, i int, from sighting) (sure, might []KeyID, reason Uncertainty) {
	in := n.Inputs[i]
	sure = m.follow(from.sure, n, i, in.Selector)
	if in.ByContent && in.Content != "" {
		led := m.follow([]KeyID{contentKey(in.Content)}, n, i, "")
		might = m.guess([]KeyID{contentKey(in.Content)}, n, i, "")
		if in.Late {
			might = append(might, led...)
		} else {
			sure = append(sure, led...)
		}
	}
	sure = union(sure)
	might = union(sure, might, m.follow(from.might, n, i, in.Selector), m.guess(from.might, n, i, in.Selector))
	switch {
	case from.anything:
		might, reason = union(might, m.madeOf(n, i)), from.reason
	case in.ofStage() && !in.Late:
		might, reason = union(might, m.madeOf(n, i)), ByStageContent
	case in.Late && len(might) > len(sure):
		reason = cmp.Or(from.reason, ByStageContent)
	case len(might) > len(sure):
		reason = cmp.Or(from.reason, PerhapsGone)
	}
	return sure, might, reason
}

// mayLead reports whether a key that input i of n can have leads on to n, without
// a look at content.
func (m *Mirror) mayLead(from sighting, n Node, i int) bool {
	selector := n.Inputs[i].Selector
	return len(m.follow(from.might, n, i, selector)) > 0 || len(m.guess(from.might, n, i, selector)) > 0
}

// life returns the best that is known of the results of keys.
func (m *Mirror) life(keys []KeyID) Life {
	best := Gone
	for _, k := range keys {
		switch life := m.results[k]; {
		case life == Live && !m.stale:
			return Live
		case life != Gone:
			best = Perhaps
		}
	}
	return best
}
