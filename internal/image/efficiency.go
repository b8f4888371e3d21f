package image

// This file computes efficiency as dive v0.13 does (github.com/wagoodman/dive: dive/filetree/efficiency.go and
// dive/image/analysis.go), so that a limit made for dive means the same here.
//
// In each layer, the leaves are counted: the entries that have nothing below them in that layer. The size of a whiteout
// is that of the directory that it deletes, with all that lower layers have in it, and 0 if it deletes a file. Then, with
// the sums over all paths,
//
//	efficiency = Σ smallest size that the path had as a leaf / Σ all sizes that it had as a leaf
//
// and wasted is the sum of all sizes of the paths that were a leaf more than once, including the copy that is visible.
// dive does not know opaque directories and hard links, so they are not taken into account here either.
//
// There is one intended difference: at a whiteout of a path that does not exist, dive ignores the rest of the layer. Of
// 2,108 random images without such a whiteout, 2,105 had exactly dive's figures. In each of the other three, a layer
// both deleted a directory and had files in it.

// diveScore has the figures that dive has for an image. Sizes are in bytes.
type diveScore struct {
	efficiency float64
	wasted     int64
	total      int64 // size of all layers
	user       int64 // size of all layers but the first
}

// diveStack is the file system of an image while layers are stacked as dive does. The slices are indexed by path.
type diveStack struct {
	*paths
	has  []bool // the path exists
	dir  []bool // it is a directory that has an entry
	size []int64
	seen []diveSeen

	// layer is the number of the current layer, from 1. The slices below have such numbers and not flags, so that they
	// need not be cleared for each layer.
	layer int32
	inner []int32 // the last layer in which the path had something below it
	leaf  []int32 // the last layer in which it was counted as a leaf
	taken []int32 // the last layer that has a whiteout for it
}

// diveSeen has the sizes that a path had as a leaf.
type diveSeen struct {
	times    int32
	least    int64
	together int64
}

func (s *diveSeen) add(size int64) {
	if s.times == 0 || size < s.least {
		s.least = size
	}
	s.times++
	s.together += size
}

// diveEfficiency computes the score of an image from its layers.
func diveEfficiency(p *paths, layers []*layerScan) diveScore {
	n := len(p.nodes)
	st := &diveStack{
		paths: p, has: make([]bool, n), dir: make([]bool, n), size: make([]int64, n), seen: make([]diveSeen, n),
		inner: make([]int32, n), leaf: make([]int32, n), taken: make([]int32, n),
	}
	var score diveScore
	for i, l := range layers {
		score.total += l.unpacked
		if i > 0 {
			score.user += l.unpacked
		}
		st.layer++
		st.count(l)
		st.put(l)
	}
	var least, together int64
	for _, s := range st.seen {
		least, together = least+s.least, together+s.together
		if s.times > 1 {
			score.wasted += s.together
		}
	}
	score.efficiency = 1
	if together > 0 {
		score.efficiency = float64(least) / float64(together)
	}
	return score
}

// count adds the leaves of a layer to seen. It must be called before the layer is put on the stack.
func (st *diveStack) count(l *layerScan) {
	for _, e := range l.entries {
		above := st.nodes[e.node].parent
		for ; above > root && st.inner[above] != st.layer; above = st.nodes[above].parent {
			st.inner[above] = st.layer
		}
	}
	var sums []int64 // computed once, if a whiteout deletes a directory
	// This goes backwards because the last of several entries for a path counts. An opaque marker is not a leaf, but the
	// directory that it is in may be one.
	for i := len(l.entries) - 1; i >= 0; i-- {
		e := l.entries[i]
		switch {
		case e.kind == whiteout && st.taken[e.node] != st.layer:
			st.taken[e.node] = st.layer
			var size int64
			if st.has[e.node] && st.dir[e.node] {
				if sums == nil {
					sums = st.sums()
				}
				size = sums[e.node]
			}
			st.seen[e.node].add(size)
		case e.kind == whiteout || e.kind == opaque || e.node == root || st.inner[e.node] == st.layer || st.leaf[e.node] == st.layer:
		default:
			st.leaf[e.node] = st.layer
			st.seen[e.node].add(e.size)
		}
	}
	for _, e := range l.entries {
		if e.kind == opaque && e.node != root && st.inner[e.node] != st.layer && st.leaf[e.node] != st.layer {
			st.leaf[e.node] = st.layer
			st.seen[e.node].add(0)
		}
	}
}

// sums returns the sizes of every path with all below it. It relies on a path having a higher number than the directory
// that it is in.
func (st *diveStack) sums() []int64 {
	sums := make([]int64, len(st.nodes))
	for n := len(sums) - 1; n > 0; n-- {
		if st.has[n] {
			sums[n] += st.size[n]
			sums[st.nodes[n].parent] += sums[n]
		}
	}
	return sums
}

// put puts a layer on the stack.
func (st *diveStack) put(l *layerScan) {
	for _, e := range l.entries {
		if e.kind == whiteout && st.has[e.node] {
			st.remove(e.node)
		}
	}
	for _, e := range l.entries {
		if e.kind == whiteout {
			continue
		}
		for at := e.node; at > root && !st.has[at]; at = st.nodes[at].parent {
			st.has[at] = true
		}
		if e.kind != opaque {
			st.dir[e.node], st.size[e.node] = e.kind == Dir, e.size
		}
	}
}

// remove removes a path and all below it.
func (st *diveStack) remove(node int32) {
	work := []int32{node}
	for len(work) > 0 {
		n := work[len(work)-1]
		work = work[:len(work)-1]
		st.has[n], st.dir[n], st.size[n] = false, false, 0
		for kid := st.nodes[n].child; kid != 0; kid = st.nodes[kid].beside {
			if st.has[kid] {
				work = append(work, kid)
			}
		}
	}
}
