package replay

import (
	"math/bits"
	"sync"

	"github.com/stokerd/stoker/internal/changes"
)

// States returns, for each step, a number for the content of the files that it takes at each
// commit. Equal numbers mean equal content. It is nil for a step of whose files none changes.
// takers returns the steps that take a path of the repository; it is called once per path.
func States(log *changes.Log, steps int, takers func(path string) []int) [][]uint32 {
	return NewHistory(log).States(steps, takers)
}

// A History works out the states of several Dockerfiles over one log, many of whose steps take
// the same files. It is not safe for concurrent use.
type History struct {
	log   *changes.Log
	known map[pathSet][]uint32 // states by what is taken
}

// A pathSet stands for a set of paths of a log: it is a hash of their indices.
type pathSet [2]uint64

// with returns the set with one path more.
func (s pathSet) with(path int) pathSet {
	s[0] = (s[0] ^ uint64(path+1)) * 0x100000001b3
	s[1] = bits.RotateLeft64(s[1]+uint64(path+1), 23) * 0x9e3779b97f4a7c15
	return s
}

// NewHistory returns a History of the commits of log.
func NewHistory(log *changes.Log) *History {
	return &History{log: log, known: map[pathSet][]uint32{}}
}

// States is the function of that name, which does not work out again what is known. The caller
// must not change the lists in the result.
func (h *History) States(steps int, takers func(path string) []int) [][]uint32 {
	by := make([][]int, len(h.log.Paths()))
	takes := make([]pathSet, steps)
	for i, p := range h.log.Paths() {
		by[i] = takers(p)
		for _, s := range by[i] {
			takes[s] = takes[s].with(i)
		}
	}
	states := make([][]uint32, steps)
	var missing []int
	for s := range steps {
		known, ok := h.known[takes[s]]
		if states[s] = known; !ok {
			missing = append(missing, s)
		}
	}
	h.follow(missing, by, states)
	for _, s := range missing {
		h.known[takes[s]] = states[s]
	}
	return states
}

// follow sets the states of some steps. by has the steps that take each path.
func (h *History) follow(steps []int, by [][]int, states [][]uint32) {
	type sum [2]uint64
	now := make([]sum, len(states))
	seen := make([]map[sum]uint32, len(states))
	touched := make([]bool, len(states))
	for at, deltas := range h.log.All() {
		for _, d := range deltas {
			for _, s := range by[d.Path] {
				now[s][0] ^= d.Flip[0]
				now[s][1] ^= d.Flip[1]
				touched[s] = true
			}
		}
		for _, s := range steps {
			switch {
			case touched[s]:
				if states[s] == nil {
					// Until this commit, nothing that the step takes changed. That was state 0, the
					// zero sum, to which later content can change back.
					states[s] = make([]uint32, h.log.Len())
					seen[s] = map[sum]uint32{}
					if at > 0 {
						seen[s][sum{}] = 0
					}
				}
				id, ok := seen[s][now[s]]
				if !ok {
					id = uint32(len(seen[s]))
					seen[s][now[s]] = id
				}
				states[s][at] = id
				touched[s] = false
			case states[s] != nil:
				states[s][at] = states[s][at-1]
			}
		}
	}
}

// A pairTable is an open hash table of pairs of states. With a map, interning would take most
// of the time of a replay, and so would the memory of a table for each.
type pairTable struct {
	entries []pairEntry // their number is a power of two
	round   uint32      // of the entries that are in use
}

type pairEntry struct {
	pair  uint64
	id    uint32
	round uint32 // in which it was set; those of earlier rounds are free
}

var pairTables = sync.Pool{New: func() any { return &pairTable{} }}

// reset makes room for n pairs, and empties the table.
func (t *pairTable) reset(n int) {
	t.round++
	if 2*n <= len(t.entries) && t.round != 0 {
		return
	}
	size := 4
	for size < 2*n {
		size *= 2
	}
	t.entries, t.round = make([]pairEntry, size), 1
}

// intern numbers the pairs of a[i] and b[i] in the order in which they first occur.
func intern(a, b []uint32) []uint32 {
	t := pairTables.Get().(*pairTable)
	defer pairTables.Put(t)
	t.reset(len(a))
	mask := uint64(len(t.entries) - 1)
	out := make([]uint32, len(a))
	next := uint32(0)
	for i := range a {
		pair := uint64(a[i])<<32 | uint64(b[i])
		at := (pair * 0x9e3779b97f4a7c15) >> 32 & mask // Fibonacci hashing
		for t.entries[at].round == t.round && t.entries[at].pair != pair {
			at = (at + 1) & mask
		}
		if t.entries[at].round != t.round {
			t.entries[at] = pairEntry{pair, next, t.round}
			next++
		}
		out[i] = t.entries[at].id
	}
	return out
}
