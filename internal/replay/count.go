package replay

import (
	"math/bits"
	"math/rand/v2"
)

// A counter computes R for sets of lists of states. Builds in which nothing
// changes are left out: they are new to no set. It is for one goroutine.
type counter struct {
	builds int
	lists  []list
	// of distinct: hashes by their low bits, 0 for none, and which of them an
	// earlier build has
	table []uint64
	known []bool
	spare []*joint
}

// A list is one step's states.
type list struct {
	hash    []uint64 // of the state in each build; nil if it never changes
	changed []uint64 // bit set of builds that differ from the one before
	fresh   []uint64 // bit set of builds whose state occurs for the first time
}

// A joint is the tuple of states over a set, per build. Most are never needed,
// because R of their set is known already: they are made when asked for.
type joint struct {
	below *joint // nil once made
	list  int    // added to below

	hash           []uint64
	changed, fresh []uint64
}

// newCounter prepares the lists. Two tuples are told apart by sums of 64-bit
// hashes under a fixed seed: with 10,000 builds in each of 4,096 sets, the odds
// that any two are mixed up are about one in 10^8.
func newCounter(builds int, states [][]uint32) counter {
	kept := []int{0}
	for h := 1; h < builds; h++ {
		for _, s := range states {
			if s != nil && s[h] != s[h-1] {
				kept = append(kept, h)
				break
			}
		}
	}
	size := 4
	for size < 2*len(kept) {
		size *= 2
	}
	c := counter{builds: len(kept), lists: make([]list, len(states)), table: make([]uint64, size), known: make([]bool, size)}
	for i, s := range states {
		if s == nil {
			continue
		}
		l := list{hash: make([]uint64, c.builds), changed: c.bits(), fresh: c.bits()}
		values := map[uint32]uint64{}
		rnd := rand.New(rand.NewPCG(uint64(i), 1))
		for k, h := range kept {
			v, ok := values[s[h]]
			if !ok {
				v = rnd.Uint64()
				values[s[h]] = v
				l.fresh[k/64] |= 1 << (k % 64)
			}
			l.hash[k] = v
			if k == 0 || l.hash[k] != l.hash[k-1] {
				l.changed[k/64] |= 1 << (k % 64)
			}
		}
		if len(values) > 1 {
			c.lists[i] = l
		}
	}
	return c
}

func (c *counter) bits() []uint64 { return make([]uint64, (c.builds+63)/64) }

func (c *counter) varies(i int) bool { return c.lists[i].hash != nil }

// none is the tuple over nothing, which the first build makes new.
func (c *counter) none() *joint {
	j := &joint{hash: make([]uint64, c.builds), changed: c.bits(), fresh: c.bits()}
	j.changed[0], j.fresh[0] = 1, 1
	return j
}

// join adds a list to a tuple.
func (c *counter) join(a *joint, i int) *joint {
	if !c.varies(i) {
		return a
	}
	return &joint{below: a, list: i}
}

// make fills a tuple in.
func (c *counter) make(j *joint) {
	if j.below == nil {
		return
	}
	a, l := j.below, c.lists[j.list]
	c.make(a)
	j.below = nil
	if n := len(c.spare); n > 0 {
		old := c.spare[n-1]
		c.spare = c.spare[:n-1]
		j.hash, j.changed, j.fresh = old.hash, old.changed, old.fresh
	} else {
		j.hash, j.changed, j.fresh = make([]uint64, c.builds), c.bits(), c.bits()
	}
	for k := range j.hash {
		j.hash[k] = a.hash[k] + l.hash[k]
	}
	for k := range j.changed {
		j.changed[k] = a.changed[k] | l.changed[k]
		j.fresh[k] = a.fresh[k] | l.fresh[k]
	}
}

// release gives back what a tuple that nothing refers to any more holds.
func (c *counter) release(j *joint) {
	if j.below == nil {
		c.spare = append(c.spare, j)
	}
}

// distinct counts the builds whose tuple is new. Where a list has a state that
// it never had, the tuple is new; where all are as in the build before, it is
// not. Only where one went back to an old state do tuples have to be compared.
func (c *counter) distinct(j *joint) int {
	c.make(j)
	n, doubt := 0, false
	for k := range j.changed {
		n += bits.OnesCount64(j.fresh[k])
		doubt = doubt || j.changed[k]&^j.fresh[k] != 0
	}
	if !doubt {
		return n
	}
	clear(c.table)
	clear(c.known)
	mask := uint64(len(c.table) - 1)
	find := func(build int) uint64 {
		h := j.hash[build] | 1<<63 // never 0
		at := h & mask
		for c.table[at] != 0 && c.table[at] != h {
			at = (at + 1) & mask
		}
		return at
	}
	for k := range j.changed {
		for word := j.changed[k] &^ j.fresh[k]; word != 0; word &= word - 1 {
			build := 64*k + bits.TrailingZeros64(word)
			if at := find(build); c.table[at] == 0 {
				c.table[at] = j.hash[build] | 1<<63
				n++
			}
		}
	}
	// A build with a state that never was comes before all that are equal to it.
	for k, word := range j.fresh {
		for ; word != 0; word &= word - 1 {
			if at := find(64*k + bits.TrailingZeros64(word)); c.table[at] != 0 && !c.known[at] {
				c.known[at] = true
				n--
			}
		}
	}
	return n
}
