package image

import "slices"

// ref names an entry: its layer and its place in it.
type ref struct{ layer, at int32 }

var none = ref{-1, -1}

// A way is how an entry was hidden.
type way uint8

const (
	overwritten way = iota + 1
	deleted         // by a whiteout
	covered         // by an opaque directory
)

// loss is what one act of a layer hides: a file that replaces another, a whiteout, an opaque directory.
type loss struct {
	node  int32 // what was replaced or taken away
	by    int32 // the layer that did
	way   way
	bytes int64
	files int
	from  []int32 // the layers that the bytes lie in
}

// stack is the file system that layers make together, one layer after the other.
type stack struct {
	*paths
	layers []*layerScan
	live   []ref   // of each path the entry that shows; none if there is none
	below  []int32 // how many entries show at and below a path
	hidden []int64 // of each layer the bytes that do not show any more
	losses map[lossKey]*loss

	// Hard links: which entry holds the content of another, and how many names a content has, where it is not one.
	owners map[ref]ref
	names  map[ref]int
}

type lossKey struct {
	node, by int32
	way      way
}

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

// put lays a layer on top: first what it takes away, then what it has (image-spec: layer.md).
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

// loss returns the record of one act; what it turns out to hide is added to it.
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

// show lets an entry show in place of what was there.
func (s *stack) show(r ref, e entry) {
	// What was a file on the way is none any more.
	for at := s.nodes[e.node].parent; at > root; at = s.nodes[at].parent {
		if old := s.live[at]; old != none && s.entry(old).kind != Dir {
			s.hide(at, s.loss(at, r.layer, overwritten))
		}
	}
	act := s.loss(e.node, r.layer, overwritten)
	owner := r
	if e.kind == Hardlink {
		// Resolved before anything is replaced: a link may replace its own target's name.
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

// rise counts an entry more, or less, at a path and all above it.
func (s *stack) rise(at, by int32) {
	for ; at >= root; at = s.nodes[at].parent {
		s.below[at] += by
	}
}

// owner returns the entry that holds the content of another one.
func (s *stack) owner(r ref) ref {
	if o, ok := s.owners[r]; ok {
		return o
	}
	return r
}

func (s *stack) count(owner ref) int {
	if n, ok := s.names[owner]; ok {
		return n
	}
	return 1
}

// hide takes one entry out of sight.
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

// hideTree takes what shows below a path out of sight, and with self the path too. It looks only where something
// shows, so that many whiteouts of one folder cost no more than what they hide.
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

// each calls f for every entry that shows, in no order.
func (s *stack) each(f func(node int32, r ref, e *entry)) {
	for n, r := range s.live {
		if r != none {
			f(int32(n), r, s.entry(r))
		}
	}
}
