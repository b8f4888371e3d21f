package image

import "slices"

// ref refers to an entry by the index of its layer and its index in there.
type ref struct{ layer, at int32 }

// none refers to no entry.
var none = ref{-1, -1}

// A way is how an entry was hidden.
type way uint8

const (
	overwritten way = iota + 1
	deleted         // by a whiteout
	covered         // by an opaque directory
)

// loss is what one entry of a layer hides: a file that replaces another one, a whiteout or an opaque marker.
type loss struct {
	node  int32 // the path that was replaced or deleted
	by    int32 // the layer with the entry
	way   way
	bytes int64
	files int
	from  []int32 // the layers with the bytes
}

// stack is the file system that the layers of an image make when they are put on top of each other. An entry that a
// container sees is called live. live and below are indexed by path, hidden by layer.
type stack struct {
	*paths
	layers []*layerScan
	live   []ref   // the live entry at a path; none if there is none
	below  []int32 // the number of live entries at and below a path
	hidden []int64 // bytes of a layer that are not visible any more
	losses map[lossKey]*loss

	// owners has, for each hard link, the entry with its content. names is the number of live names of a content, by
	// the entry that has it; a content that is not in there has one.
	owners map[ref]ref
	names  map[ref]int
}

type lossKey struct {
	node, by int32
	way      way
}

// newStack puts the layers on top of each other, from the first one.
func newStack(p *paths, layers []*layerScan) *stack {
	s := &stack{
		paths: p, layers: layers, live: make([]ref, len(p.nodes)), below: make([]int32, len(p.nodes)),
		hidden: make([]int64, len(layers)), losses: map[lossKey]*loss{}, owners: map[ref]ref{}, names: map[ref]int{},
	}
	for i := range s.live {
		s.live[i] = none
	}
	for n := range layers {
		s.put(int32(n))
	}
	return s
}

// put puts a layer on top: first its whiteouts and opaque markers, then its files (image-spec: layer.md).
func (s *stack) put(layer int32) {
	entries := s.layers[layer].entries
	for _, e := range entries {
		switch e.kind {
		case whiteout:
			s.hideTree(e.node, s.loss(e.node, layer, deleted), true)
		case opaque:
			s.hideTree(e.node, s.loss(e.node, layer, covered), false)
		}
	}
	for i, e := range entries {
		if e.kind == whiteout || e.kind == opaque {
			continue
		}
		s.show(ref{layer, int32(i)}, e)
	}
}

func (s *stack) entry(r ref) *entry { return &s.layers[r.layer].entries[r.at] }

// loss returns a function that returns the loss with these properties, and makes it when it is first called: an entry
// that hides nothing has no loss.
func (s *stack) loss(node, by int32, how way) func() *loss {
	return func() *loss {
		key := lossKey{node, by, how}
		l := s.losses[key]
		if l == nil {
			l = &loss{node: node, by: by, way: how}
			s.losses[key] = l
		}
		return l
	}
}

// show makes an entry live, in place of what was at its path.
func (s *stack) show(r ref, e entry) {
	// A file at a path above is replaced by a directory.
	for at := s.nodes[e.node].parent; at > root; at = s.nodes[at].parent {
		if old := s.live[at]; old != none && s.entry(old).kind != Dir {
			s.hide(at, s.loss(at, r.layer, overwritten))
		}
	}
	act := s.loss(e.node, r.layer, overwritten)
	owner := r
	if e.kind == Hardlink {
		// This comes before anything is replaced, because a link may replace the name that it refers to.
		if target := s.live[e.target]; target != none && s.entry(target).kind != Dir {
			owner = s.owner(target)
		}
	}
	if owner != r {
		s.owners[r] = owner
		s.names[owner] = s.count(owner) + 1
	}
	if e.kind == Dir {
		if old := s.live[e.node]; old != none && s.entry(old).kind != Dir {
			s.hide(e.node, act)
		}
	} else {
		s.hideTree(e.node, act, true)
	}
	if s.live[e.node] == none {
		s.rise(e.node, 1)
	}
	s.live[e.node] = r
}

// rise adds to the number of live entries at a path and all above it.
func (s *stack) rise(at, by int32) {
	for ; at >= root; at = s.nodes[at].parent {
		s.below[at] += by
	}
}

// owner returns the entry with the content of another one, which is that itself unless it is a hard link.
func (s *stack) owner(r ref) ref {
	if o, ok := s.owners[r]; ok {
		return o
	}
	return r
}

// count returns the number of live names of the content of an entry.
func (s *stack) count(owner ref) int {
	if n, ok := s.names[owner]; ok {
		return n
	}
	return 1
}

// hide hides the live entry at a path. Its bytes are hidden only with the last name of its content.
func (s *stack) hide(at int32, act func() *loss) {
	r := s.live[at]
	s.live[at] = none
	s.rise(at, -1)
	e := s.entry(r)
	if e.kind == Dir {
		return
	}
	l := act()
	l.files++
	owner := s.owner(r)
	n := s.count(owner) - 1
	s.names[owner] = n
	if n == 0 {
		size := s.entry(owner).size
		l.bytes += size
		if !slices.Contains(l.from, owner.layer) {
			l.from = append(l.from, owner.layer)
		}
		s.hidden[owner.layer] += size
		delete(s.names, owner)
	}
}

// hideTree hides all live entries below a path, and with self also the one at it. It only visits paths with live
// entries, so that many whiteouts of one directory do not cost more than what they hide.
func (s *stack) hideTree(at int32, act func() *loss, self bool) {
	if s.below[at] == 0 {
		return
	}
	work := []int32{at}
	for len(work) > 0 {
		n := work[len(work)-1]
		work = work[:len(work)-1]
		if s.live[n] != none && (self || n != at) {
			s.hide(n, act)
		}
		if s.below[n] == 0 || s.below[n] == 1 && s.live[n] != none {
			continue
		}
		for kid := s.nodes[n].child; kid != 0; kid = s.nodes[kid].beside {
			if s.below[kid] > 0 {
				work = append(work, kid)
			}
		}
	}
}

// each calls f for every live entry, in the order of the numbers of paths.
func (s *stack) each(f func(node int32, r ref, e *entry)) {
	for n, r := range s.live {
		if r != none {
			f(int32(n), r, s.entry(r))
		}
	}
}
