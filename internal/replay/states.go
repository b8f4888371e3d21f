package replay

import (
	"math/bits"
	"slices"
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
	paths, takes := make([][]uint32, steps), make([]pathSet, steps)
	for i, p := range h.log.Paths() {
		for _, s := range takers(p) {
			paths[s] = append(paths[s], uint32(i))
			takes[s] = takes[s].with(i)
		}
	}
	states := make([][]uint32, steps)
	for s := range states {
		known, ok := h.known[takes[s]]
		if !ok {
			known = h.follow(paths[s])
			h.known[takes[s]] = known
		}
		states[s] = known
	}
	return states
}

// follow returns the states of what a set of paths has, given as indices.
func (h *History) follow(paths []uint32) []uint32 {
	taken := make([]bool, len(h.log.Paths()))
	for _, p := range paths {
		taken[p] = true
	}
	t := tables.Get().(*table)
	defer tables.Put(t)
	t.reset(h.log.Len() + 1)
	var states []uint32
	var now [2]uint64
	state, next := uint32(0), uint32(0)
	for at, deltas := range h.log.All() {
		touched := false
		for i := range deltas {
			if d := &deltas[i]; taken[d.Path] {
				now[0] ^= d.Flip[0]
				now[1] ^= d.Flip[1]
				touched = true
			}
		}
		if touched {
			if states == nil {
				states = make([]uint32, h.log.Len())
				if at > 0 {
					// What was there so far is state 0, to which later content can change back.
					_, next = t.number([2]uint64{}, next)
				}
			}
			state, next = t.number(now, next)
		}
		if states != nil {
			states[at] = state
		}
	}
	return states
}

// A table has the numbers of keys. It is an open hash table: with maps, looking them up would
// take most of the time of a replay, and so would the memory of a table for each use.
type table struct {
	entries []tableEntry // how many there are is a power of two
	round   uint32       // of the entries that are in use
}

type tableEntry struct {
	key   [2]uint64
	id    uint32
	round uint32 // in which it was set; those of earlier rounds are free
}

var tables = sync.Pool{New: func() any { return &table{} }}

// reset makes room for n keys, and empties the table.
func (t *table) reset(n int) {
	t.round++
	if 2*n <= len(t.entries) && t.round != 0 {
		return
	}
	size := 4
	for size < 2*n {
		size *= 2
	}
	t.entries, t.round = make([]tableEntry, size), 1
}

// number returns the number of a key, which is next if the key is new, and the next one.
func (t *table) number(key [2]uint64, next uint32) (id, after uint32) {
	const golden = 0x9e3779b97f4a7c15 // Fibonacci hashing
	mask := uint64(len(t.entries) - 1)
	at := (key[0]*golden + key[1]) * golden >> 32 & mask
	for t.entries[at].round == t.round && t.entries[at].key != key {
		at = (at + 1) & mask
	}
	e := &t.entries[at]
	if e.round == t.round {
		return e.id, next
	}
	*e = tableEntry{key, next, t.round}
	return next, next + 1
}

// intern numbers the pairs of a[i] and b[i] in the order in which they first occur. A pair can
// only occur again after another one if a state in it does, which few states do.
func intern(a, b []uint32) []uint32 {
	t := tables.Get().(*table)
	defer tables.Put(t)
	t.reset(len(a))
	out := make([]uint32, len(a))
	backA, backB := comingBack(a), comingBack(b)
	next := uint32(0)
	for i, x := range a {
		y := b[i]
		switch {
		case i > 0 && x == a[i-1] && y == b[i-1]:
			out[i] = out[i-1]
		case backA[x] || backB[y]:
			out[i], next = t.number([2]uint64{uint64(x), uint64(y)}, next)
		default:
			out[i] = next
			next++
		}
	}
	return out
}

// comingBack reports, for each state, whether it occurs in list again after another one.
func comingBack(list []uint32) []bool {
	n := slices.Max(list) + 1
	seen, back := make([]bool, n), make([]bool, n)
	for i, s := range list {
		if i > 0 && s == list[i-1] {
			continue
		}
		back[s] = back[s] || seen[s]
		seen[s] = true
	}
	return back
}
