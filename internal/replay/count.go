package replay

import (
	"math/bits"
	"math/rand/v2"
)

// A counter computes, for sets of steps, in how many builds their tuple of states is new:
// the function R of [Best]. It leaves out builds in which no state changes, since no tuple
// is new there. It must not be used by several goroutines at once.
type counter struct {
	builds int
	lists  []list // by step
	// The memory of distinct, kept for the next call: an open hash table of tuples, in which
	// 0 is free, and for each whether a fresh build was subtracted for it.
	table []uint64
	known []bool
	spare []*joint // memory of joints that were released
}

// A list has the states of one step.
type list struct {
	hash    []uint64 // of the state in each build; nil if it never changes
	changed []uint64 // bit set of the builds with another state than the one before
	fresh   []uint64 // bit set of the builds with a state that no earlier one has
}

// A joint has the tuples of states of a set of steps, one per build, as hashes. They are only
// computed by fill, because often R of the set is known already.
type joint struct {
	below *joint // the set without the step list; nil once computed
	list  int

	hash           []uint64 // the fields are as in list
	changed, fresh []uint64
}

// newCounter makes a counter for lists of states. The hash of a tuple is the sum of random
// 64-bit numbers, one for each state, which have a fixed seed. With 10,000 builds and 4,096
// sets, the probability that two tuples have the same hash is about one in 10^8.
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

// bits returns an empty bit set of builds.
func (c *counter) bits() []uint64 { return make([]uint64, (c.builds+63)/64) }

// varies reports whether the state of a step ever changes.
func (c *counter) varies(i int) bool { return c.lists[i].hash != nil }

// none returns the joint of no steps, whose only tuple is new in the first build.
func (c *counter) none() *joint {
	j := &joint{hash: make([]uint64, c.builds), changed: c.bits(), fresh: c.bits()}
	j.changed[0], j.fresh[0] = 1, 1
	return j
}

// join returns the joint of a set and one more step. It is a itself if that never changes.
func (c *counter) join(a *joint, i int) *joint {
	if !c.varies(i) {
		return a
	}
	return &joint{below: a, list: i}
}

// fill computes the tuples of a joint, unless that is done.
func (c *counter) fill(j *joint) {
	if j.below == nil {
		return
	}
	a, l := j.below, c.lists[j.list]
	c.fill(a)
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

// release lets the memory of a joint be used for another one. Nothing may refer to j.
func (c *counter) release(j *joint) {
	if j.below == nil {
		c.spare = append(c.spare, j)
	}
}

// distinct returns the number of builds whose tuple is new. If one of the states is new, so
// is the tuple. If all states are as in the build before, it is not. Tuples only have to be
// compared in the other builds, in which a state changed back to an earlier one.
func (c *counter) distinct(j *joint) int {
	c.fill(j)
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
	// A tuple with a state that is new was counted as new, and then counted again if a later
	// build changed back to it.
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
