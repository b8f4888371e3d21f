package replay

import "github.com/stokerd/stoker/internal/changes"

// States returns, for each of a number of steps, which state the files that it
// takes are in at each commit: equal numbers are equal content. It is nil for a
// step that no commit concerns. takers lists the steps that take a path of the
// repository, and is asked once per path.
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
					// Up to here nothing concerned it. Were that a state of its own, the first
					// build would be told from one that has the very same content.
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

// intern numbers the pairs of a and b in order of first occurrence.
func intern(a, b []uint32) []uint32 {
	size := 4
	for size < 2*len(a) {
		size *= 2
	}
	// A table of its own: a map takes most of a replay's time.
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
