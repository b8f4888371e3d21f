package cache

import (
	"cmp"
	"slices"
)

// A sighting is what is known before a build of the keys of one node: in bounds, and
// for the moments at which the solver can have them. All lists are sets.
//
// The solver finds keys of a node by definition, from the keys of its inputs, and by
// the content of inputs. Content of local files is known before the build. That of
// another stage the solver has only once the result of the input is there, and it looks
// only then, and only where it found nothing without it.
type sighting struct {
	// sure are the keys that the solver finds before any input needs to be made: the
	// lower bound. fast are those of them that it finds by definition alone, while it
	// has asked for no result of an input.
	sure, fast []KeyID
	// might are the keys that it may find: the upper bound, for reason where it is more
	// than sure. unbounded says that there is none: it may find a key that nobody knows.
	might     []KeyID
	unbounded bool
	reason    Uncertainty
	// strange says that the keys of its inputs, or their content, may lead to such a key.
	strange bool
	// late are the keys that it has found when the results of all inputs are there.
	// They include sure: an input that was made can have a key by which the solver did
	// not look for it.
	late []KeyID

	// What follows is of the moment at which the node's own result is there.

	// shown are the keys by which what takes the node in is found. result are those of
	// the result itself: what is stored with the node as an input is linked from them.
	shown, result []KeyID
	// oneOf are keys of which one is that of the result, where no more is known of it.
	oneOf []KeyID
	// open says that the result may have a key that is not among shown and result, and
	// vague that it may lack one that is: unknown content can give it another instead.
	open, vague bool

	// settled says that the solver looks for no more keys of the node once it has those
	// in sure, although content could lead to others; firm that this is so whichever of
	// the guesses are links.
	settled, firm bool
	// restless says that there surely is no such moment before its own result is there.
	restless bool
	// source says that the node has no inputs: its keys are the same in all caches.
	source bool
}

// Keys returns, for each node of g, all keys that it can have as far as they are
// known, however a build of g would find them.
func (m *Mirror) Keys(g Graph) [][]KeyID {
	if m == nil {
		m = m.clone()
	}
	keys := make([][]KeyID, len(g.Nodes))
	for i, s := range m.find(g) {
		keys[i] = union(s.sure, s.might, s.late, s.shown, s.result, s.oneOf)
	}
	return keys
}

// SureKeys returns, for each node of g, the keys that a build of g finds before any result
// is there.
func (m *Mirror) SureKeys(g Graph) [][]KeyID {
	if m == nil {
		m = m.clone()
	}
	keys := make([][]KeyID, len(g.Nodes))
	for i, s := range m.find(g) {
		keys[i] = s.sure
	}
	return keys
}

// find returns the sightings of g's nodes.
func (m *Mirror) find(g Graph) []sighting {
	found := make([]sighting, len(g.Nodes))
	for i, n := range g.Nodes {
		found[i] = m.sight(n, found)
	}
	return found
}

// sight returns the sighting of n, given those of its inputs in found.
func (m *Mirror) sight(n Node, found []sighting) sighting {
	switch {
	case n.Unknown != "":
		return sighting{unbounded: true, reason: n.Unknown}
	case len(n.Inputs) == 0:
		return sightSource(n)
	}
	var s sighting
	if !n.NoCache {
		m.probe(n, found, &s)
	}
	if (n.Doubted || m.doubted[n.Digests[0]]) && findable(n, found) {
		if s.unbounded, s.strange = true, true; !s.reason.atSource() {
			s.reason = NotObserved
		}
	}
	m.complete(n, found, &s)
	s.settled, s.firm = m.settles(n, found, s, false), m.settles(n, found, s, true)
	s.restless = m.life(s.might) == Gone && !s.unbounded && slices.ContainsFunc(n.Inputs, func(in Input) bool {
		return in.ofStage() || found[in.Node].restless
	})
	return s
}

// sightSource returns the sighting of a node without inputs, whose keys are its digests.
func sightSource(n Node) sighting {
	var keys []KeyID
	for _, d := range n.Digests {
		keys = append(keys, rootKey(d, n.Output))
	}
	keys = union(keys)
	return sighting{
		sure: keys, fast: keys, might: keys, late: keys, shown: keys, result: keys,
		settled: true, firm: true, source: true,
	}
}

// findable reports whether the solver may find a result of n that nobody observed. It
// does not look where the build was told not to. And there is none where an input has no
// key, such as the files of a named context that a stage starts from: BuildKit gives
// these another key in each build, and so to all that is made from them.
func findable(n Node, found []sighting) bool {
	return !n.NoCache && !slices.ContainsFunc(n.Inputs, func(in Input) bool {
		return !in.ByContent && found[in.Node].keyless()
	})
}

// keyless reports whether the node surely has no key.
func (s sighting) keyless() bool {
	return !s.unbounded && !s.open && len(s.might)+len(s.shown)+len(s.result) == 0
}

// atSource reports whether u is about something from outside of the build, which no
// observed build would have told.
func (u Uncertainty) atSource() bool {
	return u == NotRead || u == NotThere || u == NotSeen || u == NotResolved
}

// settles reports whether the solver looks for no more keys of n when it has the sure ones
// of s (BuildKit: edge.recalcCurrentState): firmly, if that is so whichever of the guesses
// are links.
//
// It does where no input can get more keys and none counts by the content of a stage. It
// also does where a result is found, unless the inputs that can still get more keys all
// lead to one and the same other key, or perhaps to one that nobody knows. An input that
// counts by the content of a stage is none of these once it has settled itself.
func (m *Mirror) settles(n Node, found []sighting, s sighting, firmly bool) bool {
	settled := func(s sighting) bool { return s.settled && (s.firm || !firmly) }
	complete := true // all inputs have all their keys
	for _, in := range n.Inputs {
		complete = complete && settled(found[in.Node]) && !in.ofStage()
	}
	if complete || s.strange || m.life(s.sure) != Live {
		return complete
	}
	var others []KeyID // keys not in sure to which all inputs looked at so far lead
	for i, in := range n.Inputs {
		if from := found[in.Node]; in.ofStage() && (from.settled || firmly && !from.restless) {
			continue
		}
		reached, _, _ := m.through(n, i, found[in.Node])
		if firmly {
			reached = union(reached, m.guess(found[in.Node].might, n, i, in.Selector))
		}
		reached = subtract(reached, s.sure)
		if len(others) > 0 {
			reached = intersect(others, reached)
		}
		if others = reached; len(others) == 0 {
			return true
		}
	}
	return false
}

// ofStage reports whether in counts by content that the solver has only once the result
// of the input is there.
func (in Input) ofStage() bool { return in.ByContent && (in.Content == "" || in.Late) }

// probe fills in the keys that the solver finds: those to which all inputs lead.
func (m *Mirror) probe(n Node, found []sighting, s *sighting) {
	for i, in := range n.Inputs {
		from := found[in.Node]
		sure, might, reason := m.through(n, i, from)
		late := union(sure, m.follow(from.shown, n, i, in.Selector))
		fast := union(m.follow(from.fast, n, i, in.Selector))
		if might = union(might, late); from.open {
			might, reason = union(might, m.fromAny(n, i)), cmp.Or(reason, from.reason, ByStageContent)
		}
		if i == 0 {
			s.sure, s.might, s.late, s.fast = sure, might, late, fast
		} else {
			s.sure, s.might = intersect(s.sure, sure), intersect(s.might, might)
			s.late, s.fast = intersect(s.late, late), intersect(s.fast, fast)
		}
		if reason != "" && s.reason == "" || reason.atSource() && !s.reason.atSource() {
			s.reason = reason
		}
	}
}

// complete fills in the keys of the node once its result is there: those of the result
// that is loaded, else those under which one that is made is stored.
func (m *Mirror) complete(n Node, found []sighting, s *sighting) {
	for _, k := range s.late {
		if m.results[k] == Live {
			s.result = append(s.result, k)
		}
	}
	if len(s.result) == 0 {
		s.result = m.stored(n, found)
		s.vague = m.storedElse(n, found, s.result)
		s.open = s.unbounded || n.NoCache || m.life(s.might) != Gone
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

// vagueInput reports whether an input of n is vague.
func vagueInput(n Node, found []sighting) bool {
	return slices.ContainsFunc(n.Inputs, func(in Input) bool { return found[in.Node].vague })
}

// storedElse reports whether the result of an execution of n may be stored under a key
// that is not among keys. The content of a stage, not known yet, can lead to more keys,
// and the builder stores the result under any one to which all inputs lead. In a cache
// elsewhere it may lead to none: only the builder's own cache links content to a key that
// was found without it.
func (m *Mirror) storedElse(n Node, found []sighting, keys []KeyID) bool {
	var others []KeyID // keys not in keys to which all inputs looked at so far may lead
	unknown := false   // the content of an input is
	for i, in := range n.Inputs {
		var to []KeyID
		for _, f := range in.origins(found[in.Node].result) {
			to = union(to, m.links[n.link(i, f.key, f.selector)])
		}
		if in.ByContent && in.Content == "" {
			unknown, to = true, union(to, m.fromAny(n, i))
		}
		if to = subtract(to, keys); i > 0 {
			to = intersect(others, to)
		}
		others = to
	}
	return unknown && (len(others) > 0 || slices.ContainsFunc(keys, func(k KeyID) bool { return m.elsewhere[k] != "" }))
}

// stored returns the keys under which the result of an execution of n is stored, as far
// as they are known; none for a key that is new. In caches elsewhere, which an input may
// come from, they are the keys by which the result is looked for from then on.
func (m *Mirror) stored(n Node, found []sighting) []KeyID {
	const own = "" // the builder's own cache
	keys, asked := m.storedIn(own, n, found), map[string]bool{own: true}
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

// storedIn is stored for the cache of that name (BuildKit: cacheManager.getIDFromDeps):
// the keys to which all that is known of the inputs leads, by key and by content.
func (m *Mirror) storedIn(name string, n Node, found []sighting) []KeyID {
	var matches []KeyID
	for i, in := range n.Inputs {
		from := found[in.Node]
		keys := slices.DeleteFunc(slices.Clone(from.result), func(k KeyID) bool { return m.elsewhere[k] != name && !from.source })
		if name != "" && len(keys) == 0 {
			// Only the builder's own cache links the key of what was found by content.
			return nil
		}
		origins := in.origins(keys)
		if len(origins) == 0 {
			return nil // nothing leads on from a new key yet
		}
		for _, f := range origins {
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

// An origin is where links to a node start: a key of one of its inputs, and the selector
// of the links.
type origin struct {
	key      KeyID
	selector string
}

// origins returns those of an input that has the given keys: the keys, and the key of
// its content where that is known.
func (in Input) origins(keys []KeyID) []origin {
	var list []origin
	for _, k := range keys {
		list = append(list, origin{k, in.Selector})
	}
	if in.ByContent && in.Content != "" {
		list = append(list, origin{contentKey(in.Content), ""})
	}
	return list
}

// through returns the keys to which input i of n leads, surely and at most, given the
// sighting of the input; reason says why these differ.
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
	case from.unbounded:
		might, reason = union(might, m.fromAny(n, i)), from.reason
	case in.ofStage() && !in.Late:
		might, reason = union(might, m.fromAny(n, i)), ByStageContent
	case in.Late && len(might) > len(sure):
		reason = cmp.Or(from.reason, ByStageContent)
	case len(might) > len(sure):
		reason = cmp.Or(from.reason, PerhapsGone)
	}
	return sure, might, reason
}

// mayLead reports whether a key that input i of n may have leads to n without a look at
// content, by a link or a guess.
func (m *Mirror) mayLead(from sighting, n Node, i int) bool {
	selector := n.Inputs[i].Selector
	return len(m.follow(from.might, n, i, selector)) > 0 || len(m.guess(from.might, n, i, selector)) > 0
}
