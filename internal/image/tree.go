package image

import (
	"cmp"
	"slices"
)

// TreeNode is a file or a folder of one layer, with the sums of what is below it.
type TreeNode struct {
	Path  string // relative to the root; "." is the root
	Kind  string // as Kind prints, or "deleted" and "opaque" for what the layer takes away below
	Depth int
	Bytes int64
	Files int
	// Hidden is what of Bytes a later entry replaces or deletes.
	Hidden int64
	// Left counts what a limit keeps out, directly in this folder.
	Left int
}

// Tree shows what layer n (from 1) holds: parents first, the largest first. depth and limit bound how deep and how many;
// 0 is no bound. An [Error] says that there is no such layer.
func (a *Analysis) Tree(n, depth, limit int) ([]TreeNode, error) {
	if n < 1 || n > len(a.Layers) {
		return nil, bad("", "there is no layer %d: %s has %d", n, a.Name, len(a.Layers))
	}
	g := grow(a, int32(n-1))
	g.show(depth, limit)
	return g.list(nil, root, 0), nil
}

// grown is the tree of one layer in the making.
type grown struct {
	a     *Analysis
	sums  map[int32]*branch
	kids  map[int32][]int32
	shown map[int32]bool
}

type branch struct {
	kind   string
	bytes  int64
	hidden int64
	files  int
}

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

// isHidden reports whether the content that an entry brings shows nowhere.
func (s *stack) isHidden(r ref, node int32) bool {
	return s.live[node] != r && s.names[r] == 0
}

// at returns the sums of a path, and puts it in the tree if it is new.
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

// show marks what is shown: of all the heaviest, which have heavier ones around them.
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
