package cache

import (
	"slices"
	"time"
)

// A Holding is something that a builder keeps on its disk.
type Holding struct {
	ID       string
	Parents  []string // IDs of what it builds on, which stays while it does
	Bytes    int64    // without what it builds on
	LastUsed time.Time
	InUse    bool
	// Shared says that something outside of the cache has it, too, such as an image.
	Shared bool
	// Known says that an observed build explains it, Needed that the next build of
	// something that is watched would take it.
	Known, Needed bool
}

// A Policy says what of a cache may go.
type Policy struct {
	// UnusedSince is the moment since which nobody used what goes; zero for any.
	UnusedSince time.Time
	// Keep is how many bytes may stay: no more goes than has to. 0 for no bound.
	Keep int64
	// Others lets go what no observed build explains, too, and what is shared.
	Others bool
}

// Cold returns the indexes of what a policy lets go, what was used longest ago
// first. Nothing goes that is in use or needed, or that others which stay build on;
// nor, unless the policy says so, what nobody explains, and what is shared: that
// would free nothing, and a builder keeps it (BuildKit: cache.cacheManager.pruneOnce).
func Cold(list []Holding, p Policy) []int {
	children, needed := make([]int, len(list)), Closure(list)
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

// Closure returns the IDs of what is needed and of all that it builds on.
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
