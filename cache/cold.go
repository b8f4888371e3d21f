package cache

import (
	"slices"
	"time"
)

// A Holding is something that a builder keeps on its disk in its cache.
type Holding struct {
	ID       string
	Parents  []string // IDs of those it builds on, which stay as long as it does
	Bytes    int64    // without those it builds on
	LastUsed time.Time
	InUse    bool
	// Shared says that something outside of the cache, such as an image, has it, too.
	Shared bool
	// Known says that it is of a build that was observed.
	Known bool
	// Needed says that the next build of a watched definition would take it.
	Needed bool
}

// A Policy says what may go from a cache.
type Policy struct {
	// UnusedSince keeps what was used at that moment or later; zero keeps nothing for that.
	UnusedSince time.Time
	// Keep is how many bytes may stay: once no more are left, nothing else goes. With 0,
	// all goes that may.
	Keep int64
	// Others lets what is not Known go, too, and what is Shared.
	Others bool
}

// Cold returns the indexes of the holdings that a policy lets go, in an order in which
// they can go, those that were used longest ago first. What is in use or needed never goes,
// nor what others build on that stay. What is shared goes only if the policy says so: to
// remove it would free nothing, and the builder keeps it (BuildKit:
// cache.cacheManager.pruneOnce).
func Cold(list []Holding, p Policy) []int {
	children, needed := make([]int, len(list)), Closure(list) // children: how many that stay build on each
	index := make(map[string]int, len(list))
	for i, h := range list {
		index[h.ID] = i
	}
	total := int64(0)
	for _, h := range list {
		total += h.Bytes
		for _, parent := range h.Parents {
			if at, ok := index[parent]; ok {
				children[at]++
			}
		}
	}
	goes := func(i int) bool {
		h := list[i]
		return !h.InUse && !needed[h.ID] && (h.Known && !h.Shared || p.Others) &&
			(p.UnusedSince.IsZero() || h.LastUsed.Before(p.UnusedSince))
	}
	order := make([]int, 0, len(list))
	for i := range list {
		if goes(i) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return list[a].LastUsed.Compare(list[b].LastUsed) })
	var cold []int
	gone := make([]bool, len(list))
	for progress := true; progress; {
		progress = false
		for _, i := range order {
			switch {
			case p.Keep > 0 && total <= p.Keep:
				return cold
			case gone[i] || children[i] > 0:
				continue
			}
			gone[i], progress, cold = true, true, append(cold, i)
			total -= list[i].Bytes
			for _, parent := range list[i].Parents {
				if at, ok := index[parent]; ok {
					children[at]--
				}
			}
		}
	}
	return cold
}

// Closure returns the IDs of the holdings that are needed, and of all that these build on.
func Closure(list []Holding) map[string]bool {
	parents := make(map[string][]string, len(list))
	var left []string
	for _, h := range list {
		parents[h.ID] = h.Parents
		if h.Needed {
			left = append(left, h.ID)
		}
	}
	needed := map[string]bool{}
	for len(left) > 0 {
		id := left[len(left)-1]
		left = left[:len(left)-1]
		if !needed[id] {
			needed[id] = true
			left = append(left, parents[id]...)
		}
	}
	return needed
}
