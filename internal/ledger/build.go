package ledger

import (
	"slices"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// A Build is a finished build, as a ledger learns it. Graph and Records hold BuildKit's
// own digests.
type Build struct {
	Graph cache.Graph

	// By node of the graph.
	Fates   []cache.Fate
	Runs    []buildkit.Run // when it was executed or loaded; zero if it was not
	Records []string       // what its result is listed as: see dockerfile.Op.Record

	// Late reports that the builder could not be asked soon after the build what it holds.
	Late bool
	// Broken reports that the build did not succeed: nothing follows for nodes to which it
	// did not come.
	Broken bool
	// Whole reports that the build succeeded, so that another one may repeat it.
	Whole bool
	// Imports reports that the build looked into caches elsewhere. Elsewhere is what these
	// held; nil if that is not known of all of them.
	Imports   bool
	Elsewhere []*cache.RemoteCache
}

// reached returns the part of a broken build to which it came: the nodes that were
// executed or loaded, and what these are made from. Left out is what was made from files
// of which nobody knows what they were.
func (b Build) reached() Build {
	keep := b.reachedNodes()
	out := Build{Late: b.Late, Imports: b.Imports}
	place := make([]int, len(keep)) // in out, of the nodes that are kept
	for i, node := range b.Graph.Nodes {
		if !keep[i] {
			continue
		}
		place[i] = len(out.Graph.Nodes)
		node.Inputs = slices.Clone(node.Inputs)
		for j := range node.Inputs {
			node.Inputs[j].Node = place[node.Inputs[j].Node]
		}
		out.Graph.Nodes = append(out.Graph.Nodes, node)
		out.Fates = append(out.Fates, b.Fates[i])
		out.Runs = append(out.Runs, b.Runs[i])
		out.Records = append(out.Records, b.Records[i])
	}
	return out
}

// reachedNodes reports for each node whether it is part of what reached returns.
func (b Build) reachedNodes() []bool {
	n := len(b.Graph.Nodes)
	keep, lost := make([]bool, n), make([]bool, n) // lost: made from what is not known
	for i, node := range b.Graph.Nodes {           // inputs come first
		lost[i] = node.Unknown != "" || slices.ContainsFunc(node.Inputs, func(in cache.Input) bool { return lost[in.Node] })
	}
	for i := n - 1; i >= 0; i-- {
		keep[i] = !lost[i] && (keep[i] || b.Fates[i] != cache.Untouched)
		if !keep[i] {
			continue
		}
		for _, in := range b.Graph.Nodes[i].Inputs {
			keep[in.Node] = true
		}
	}
	return keep
}

// perBuild reports whether a node of g takes in local files as a whole, as those of a stage
// do that starts from a named context. BuildKit gives such files another key in each build,
// so that all that is made from them runs in each.
func perBuild(g cache.Graph) bool {
	return slices.ContainsFunc(g.Nodes, func(n cache.Node) bool {
		return slices.ContainsFunc(n.Inputs, func(in cache.Input) bool {
			source := g.Nodes[in.Node]
			return !in.ByContent && len(source.Inputs)+len(source.Digests) == 0
		})
	})
}
