package ledger

import (
	"slices"

	"github.com/stokerd/stoker/cache"
)

// memory is about how many runs a cache.Luck looks back.
const memory = 20

// count adds a build to the luck of node n, whose fate it is: whether n was reused although
// a stage that it takes files of ran. It counts only where nothing else that n takes in ran,
// and where the build shows it.
func (l *Ledger) count(g cache.Graph, n cache.Node, fates []cache.Fate, fate cache.Fate) {
	ran, alone := false, false // a stage that n takes files of did; n is all that takes it in
	for _, in := range n.Inputs {
		switch made := fates[in.Node] == cache.Made; {
		case len(g.Nodes[in.Node].Inputs) == 0:
		case made && in.ByContent && in.Content == "":
			ran, alone = true, consumers(g, in.Node) == 1
		case made:
			return
		}
	}
	// If what takes n in is reused, too, nothing asks for the result of n, and the stage may
	// have run for another node: unless n is all that takes it in.
	if !ran || fate == cache.Untouched && !alone || len(n.Digests) == 0 {
		return
	}
	luck := l.luck[n.Digests[0]]
	luck.Of++
	if fate != cache.Made {
		luck.Reused++
	}
	if luck.Of > 2*memory {
		luck = cache.Luck{Reused: luck.Reused / 2, Of: luck.Of / 2}
	}
	l.luck[n.Digests[0]] = luck
	l.change(lucky, n.Digests[0], encodeLuck(luck))
}

// consumers returns how many nodes take node in.
func consumers(g cache.Graph, node int) int {
	n := 0
	for _, other := range g.Nodes {
		if slices.ContainsFunc(other.Inputs, func(in cache.Input) bool { return in.Node == node }) {
			n++
		}
	}
	return n
}

// Luck returns how often each node of g was reused although a stage that it takes
// files of ran: the zero value where that was never so.
func (l *Ledger) Luck(g cache.Graph) []cache.Luck {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]cache.Luck, len(g.Nodes))
	for i, n := range g.Nodes {
		if len(n.Digests) > 0 {
			list[i] = l.luck[l.seal(n.Digests[0])]
		}
	}
	return list
}
