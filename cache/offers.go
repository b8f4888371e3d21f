package cache

import "slices"

// Offers say what caches elsewhere have for the nodes of a build that looks into them, and
// where the builder has results of its own. After the build they tell what it brought.
type Offers struct {
	graph Graph
	nodes []offer
}

// An offer is what is offered for a node.
type offer struct {
	known bool // whether what follows is known
	// results are the topmost layers of the results that the caches have for the node,
	// each result once.
	results []*Layer
	// found reports that the node surely has a key elsewhere, and has no other there.
	found bool
	// needed reports that the builder has no result of its own for the node.
	needed bool
}

// Offers returns what the remotes have for a build of g. m is the mirror before the build,
// and known is g with the digests that m knows: see [Mirror.With].
func (m *Mirror) Offers(remotes []*RemoteCache, g, known Graph) *Offers {
	with := m.With(remotes, g, known)
	o := &Offers{graph: known, nodes: make([]offer, len(known.Nodes))}
	for i, s := range with.find(known) {
		if s.unbounded || s.source {
			continue
		}
		one := offer{known: true, needed: true}
		found, more := false, false // surely; another one, or perhaps
		for _, k := range s.might {
			if with.elsewhere[k] == "" {
				one.needed = one.needed && with.results[k] == Gone
				continue
			}
			for _, top := range with.offers[k] {
				if !slices.ContainsFunc(one.results, top.equal) {
					one.results = append(one.results, top)
				}
			}
			_, sure := slices.BinarySearch(s.sure, k)
			found, more = found || sure, more || !sure
		}
		one.found = found && !more
		o.nodes[i] = one
	}
	return o
}

// Brought returns the keys of which a build surely brought a result, with the topmost layer
// of each. fates are those of the build, and perhaps are the keys of which it perhaps brought
// one, with their nodes (see [Mirror.Learn]). brought reports whether the builder has a
// result with that topmost layer which the build can have brought for the key.
//
// A result is brought where one was loaded and the builder had none of its own. With it come
// the results that it was made from and whose layers it lies on, as far as the cache has them
// (BuildKit: solver.combinedCacheManager.Load, cacheimport.cacheResultStorage.LoadWithParents).
func (o *Offers) Brought(fates []Fate, perhaps map[KeyID]int, brought func(KeyID, *Layer) bool) map[KeyID]*Layer {
	keys := make([][]KeyID, len(o.nodes))
	for k, n := range perhaps {
		keys[n] = append(keys[n], k)
	}
	sure := map[KeyID]*Layer{}
	for n, one := range o.nodes {
		if fates[n] != Loaded || !one.needed || len(keys[n]) != 1 {
			continue
		}
		here := slices.DeleteFunc(slices.Clone(one.results), func(top *Layer) bool { return !brought(keys[n][0], top) })
		if len(here) != 1 {
			continue
		}
		sure[keys[n][0]] = here[0]
		o.below(n, func(under int) bool {
			if fates[under] != Untouched || !o.nodes[under].found {
				return false
			}
			if all := o.nodes[under].results; len(all) == 1 && all[0].under(here[0]) && len(keys[under]) == 1 && brought(keys[under][0], all[0]) {
				sure[keys[under][0]] = all[0]
			}
			return true
		})
	}
	return sure
}

// None returns those of the keys in perhaps (see [Offers.Brought]) that have no result:
// neither the builder nor the caches had one.
func (o *Offers) None(perhaps map[KeyID]int) []KeyID {
	var none []KeyID
	for k, n := range perhaps {
		if one := o.nodes[n]; one.known && one.needed && len(one.results) == 0 {
			none = append(none, k)
		}
	}
	return none
}

// below calls visit once for each input of n, and for the inputs of each node for which visit
// returns true.
func (o *Offers) below(n int, visit func(int) bool) {
	seen, open := map[int]bool{}, []int{n}
	for len(open) > 0 {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		for _, in := range o.graph.Nodes[at].Inputs {
			if !seen[in.Node] {
				if seen[in.Node] = true; visit(in.Node) {
					open = append(open, in.Node)
				}
			}
		}
	}
}

// equal reports whether l and other are the same layer on the same others.
func (l *Layer) equal(other *Layer) bool {
	for ; l != nil && other != nil; l, other = l.Below, other.Below {
		if l == other {
			return true
		}
		if l.Blob != other.Blob {
			return false
		}
	}
	return l == nil && other == nil
}

// under reports whether l is other or one of the layers on which that lies. Nothing, a nil l,
// is under no layer.
func (l *Layer) under(other *Layer) bool {
	if l == nil {
		return false
	}
	for ; other != nil; other = other.Below {
		if l.equal(other) {
			return true
		}
	}
	return false
}
