package cache

import "slices"

// Offers are what caches elsewhere have for the nodes of a build that looks into them, and
// what the builder has.
type Offers struct {
	graph Graph
	nodes []offer
}

// An offer is what is offered for a node.
type offer struct {
	known bool // what follows is
	// results are the topmost layers of what it may be: of each result once.
	results []*Layer
	// found reports that a key of the node is found elsewhere, and that there is no
	// other that may be.
	found bool
	// needed reports that the builder has no result of its own.
	needed bool
}

// Offers returns what the remotes have for a build of g. known is g by the digests that m
// knows, and m is of before the build.
func (m *Mirror) Offers(remotes []*RemoteCache, g, known Graph) *Offers {
	with := m.With(remotes, g, known)
	o := &Offers{graph: known, nodes: make([]offer, len(known.Nodes))}
	for i, s := range with.find(known) {
		if s.unbounded || s.source {
			continue
		}
		one := offer{known: true, needed: true}
		found, more := false, false
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

// Brought returns, of the keys that a build perhaps has brought results of (see
// [Mirror.Learn]), those of which it surely did, with the topmost layers of the results.
// fates are those of the build. brought reports whether the builder has a result with that
// topmost layer which the build can have brought as that of the key.
//
// A result is brought where it is loaded and the builder has none of its own. With it comes
// what it lies on of that which it was made of, if the cache has that as results, too
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

// None returns those of the keys that a build perhaps has brought results of which have
// none: neither the builder nor the caches had one.
func (o *Offers) None(perhaps map[KeyID]int) []KeyID {
	var none []KeyID
	for k, n := range perhaps {
		if one := o.nodes[n]; one.known && one.needed && len(one.results) == 0 {
			none = append(none, k)
		}
	}
	return none
}

// below calls visit for each node that n is made of, and goes on below it where visit
// says so.
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

// equal reports whether two results have the same layers.
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

// under reports whether l, which is no less than one layer, is what other lies on, or other itself.
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
