package replay

import "github.com/stokerd/stoker/internal/changes"

// States returns, for each step, a number for the content of the files that it takes at each
// commit. Equal numbers mean equal content. It is nil for a step of whose files none changes.
// takers returns the steps that take a path of the repository; it is called once per path.
func States(log *changes.Log, steps int, takers func(path string) []int) [][]uint32 {
	type sum [2]uint64
	by := make([][]int, len(log.Paths()))
	for i, p := range log.Paths() {
		by[i] = takers(p)
	}
	states := make([][]uint32, steps)
	now := make([]sum, steps)
	seen := make([]map[sum]uint32, steps)
	touched := make([]bool, steps)
	for h, deltas := range log.All() {
		for _, d := range deltas {
			for _, s := range by[d.Path] {
				now[s][0] ^= d.Flip[0]
				now[s][1] ^= d.Flip[1]
				touched[s] = true
			}
		}
		for s := range steps {
			switch {
			case touched[s]:
				if states[s] == nil {
					// Until this commit, nothing that the step takes changed. That was state 0, the
					// zero sum, to which later content can change back.
					states[s] = make([]uint32, log.Len())
					seen[s] = map[sum]uint32{}
					if h > 0 {
						seen[s][sum{}] = 0
					}
				}
				id, ok := seen[s][now[s]]
				if !ok {
					id = uint32(len(seen[s]))
					seen[s][now[s]] = id
				}
				states[s][h] = id
				touched[s] = false
			case states[s] != nil:
				states[s][h] = states[s][h-1]
			}
		}
	}
	return states
}

// intern numbers the pairs of a[i] and b[i] in the order in which they first occur.
func intern(a, b []uint32) []uint32 {
	size := 4
	for size < 2*len(a) {
		size *= 2
	}
	// An open hash table, because with a map, this would take most of the time of a replay.
	type entry struct {
		pair uint64
		id   uint32 // plus one; 0 for none
	}
	table, mask := make([]entry, size), uint64(size-1)
	out := make([]uint32, len(a))
	next := uint32(0)
	for i := range a {
		pair := uint64(a[i])<<32 | uint64(b[i])
		at := (pair * 0x9e3779b97f4a7c15) >> 32 & mask // Fibonacci hashing
		for table[at].id != 0 && table[at].pair != pair {
			at = (at + 1) & mask
		}
		if table[at].id == 0 {
			next++
			table[at] = entry{pair, next}
		}
		out[i] = table[at].id - 1
	}
	return out
}
