package image

import (
	"cmp"
	"slices"
)

// TreeNode is a file or directory of one layer. Sizes and counts are of all files at and below it.
type TreeNode struct {
	Path   string // relative to the root; "." is the root
	Kind   string // as Kind.String returns it; "deleted" for a whiteout, "opaque" for a directory with an opaque marker
	Depth  int    // 0 for the root
	Bytes  int64
	Files  int
	Hidden int64 // the part of Bytes that a later entry replaces or deletes
	Left   int   // number of files and directories directly in this one that were left out because of a bound
}

// Tree returns the files and directories of the layer with number n, which is from 1. A directory comes before what is
// in it, and the largest files come first. depth bounds the depth, and limit the number of nodes; 0 means no bound. The
// error is an [*Error] that there is no such layer.
func (a *Analysis) Tree(n, depth, limit int) ([]TreeNode, error) {
	if n < 1 || n > len(a.Layers) {
		return nil, bad("", "there is no layer %d: %s has %d", n, a.Name, len(a.Layers))
	}
	g := grow(a, int32(n-1))
	g.show(depth, limit)
	return g.list(nil, root, 0), nil
}

// grown is the tree of one layer. The maps are by path.
type grown struct {
	a     *Analysis
	sums  map[int32]*branch
	kids  map[int32][]int32 // what is in a directory, the largest first
	shown map[int32]bool    // see show
}

// branch is the sum of the files at and below a path.
type branch struct {
	kind   string
	bytes  int64
	hidden int64
	files  int
}

// grow makes the tree of the layer with an index.
func grow(a *Analysis, layer int32) *grown {
	g := &grown{a: a, sums: map[int32]*branch{root: {kind: "dir"}}, kids: map[int32][]int32{}, shown: map[int32]bool{}}
	for i, e := range a.stack.layers[layer].entries {
		b := g.at(e.node)
		switch e.kind {
		case whiteout:
			b.kind = "deleted"
		case opaque:
			b.kind = "opaque"
		default:
			b.kind = e.kind.String()
		}
		r := ref{layer, int32(i)}
		if e.kind == Dir || e.kind == whiteout || e.kind == opaque {
			continue
		}
		var hidden int64
		if a.stack.isHidden(r, e.node) {
			hidden = e.size
		}
		for at := e.node; at >= root; at = a.paths.nodes[at].parent {
			sum := g.at(at)
			sum.bytes, sum.hidden, sum.files = sum.bytes+e.size, sum.hidden+hidden, sum.files+1
		}
	}
	for _, kids := range g.kids {
		slices.SortFunc(kids, g.heavier)
	}
	return g
}

// isHidden reports whether the content of an entry, which is at a path, is not visible by any name.
func (s *stack) isHidden(r ref, node int32) bool {
	return s.live[node] != r && s.names[r] == 0
}

// at returns the branch of a path, and adds that to the tree if it is new.
func (g *grown) at(node int32) *branch {
	b := g.sums[node]
	if b == nil {
		b = &branch{kind: "dir"}
		g.sums[node] = b
		parent := g.a.paths.nodes[node].parent
		g.kids[parent] = append(g.kids[parent], node)
		g.at(parent)
	}
	return b
}

func (g *grown) heavier(x, y int32) int {
	a, b := g.sums[x], g.sums[y]
	return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(b.files, a.files), cmp.Compare(g.a.paths.nodes[x].name, g.a.paths.nodes[y].name))
}

// show marks the paths to show. Beginning with the root, it always takes the heaviest path whose directory is shown.
func (g *grown) show(depth, limit int) {
	type candidate struct {
		node  int32
		depth int
	}
	frontier := []candidate{{root, 0}}
	for count := 0; len(frontier) > 0 && (limit == 0 || count < limit); count++ {
		next := frontier[0]
		frontier = frontier[1:]
		g.shown[next.node] = true
		if depth > 0 && next.depth == depth {
			continue
		}
		for _, k := range g.kids[next.node] {
			frontier = append(frontier, candidate{k, next.depth + 1})
		}
		if limit > 0 {
			slices.SortStableFunc(frontier, func(x, y candidate) int { return g.heavier(x.node, y.node) })
			frontier = frontier[:min(len(frontier), limit-count)]
		}
	}
}

// list appends the shown nodes at and below a path.
func (g *grown) list(to []TreeNode, node int32, depth int) []TreeNode {
	b := g.sums[node]
	at := len(to)
	to = append(to, TreeNode{Path: g.a.paths.name(node), Kind: b.kind, Depth: depth, Bytes: b.bytes, Hidden: b.hidden, Files: b.files})
	for _, k := range g.kids[node] {
		if !g.shown[k] {
			to[at].Left++
			continue
		}
		to = g.list(to, k, depth+1)
	}
	return to
}
