package cache

import "slices"

// DeadEnds returns, in random order, the keys without a result from which no link leads
// on to a key with one. The builder forgets them, too, but only some time after the
// results went (BuildKit: cacheManager.ReleaseUnreferenced). Until then they still
// count: the solver looks at content that may lead to one of them even where it has
// found a result by another key (BuildKit: edge.recalcCurrentState).
func (m *Mirror) DeadEnds() []KeyID {
	if m == nil {
		return nil
	}
	before := map[KeyID][]KeyID{} // the keys from which a link leads to a key
	for _, links := range []map[Link][]KeyID{m.links, m.guesses} {
		for link, to := range links {
			for _, k := range to {
				before[k] = append(before[k], link.From)
			}
		}
	}
	useful := m.useful(before)
	dead := map[KeyID]bool{}
	for k := range before {
		dead[k] = true
	}
	for k := range m.results {
		dead[k] = true
	}
	var list []KeyID
	for k := range dead {
		if !useful[k] {
			list = append(list, k)
		}
	}
	return list
}

// useful returns the keys that have a result, or perhaps do, and those that lead to one.
// before has, by key, the keys that lead to it.
func (m *Mirror) useful(before map[KeyID][]KeyID) map[KeyID]bool {
	useful := map[KeyID]bool{}
	var open []KeyID
	for k, life := range m.results {
		if life != Gone {
			open = append(open, k)
		}
	}
	for len(open) > 0 {
		k := open[len(open)-1]
		open = open[:len(open)-1]
		if !useful[k] {
			useful[k] = true
			open = append(open, before[k]...)
		}
	}
	return useful
}

// Forget returns m without keys, which must be [Mirror.DeadEnds] that the builder has
// forgotten. Predictions stay the same, except for the cause of a miss.
func (m *Mirror) Forget(keys []KeyID) *Mirror {
	next := m.clone()
	forgotten := make(map[KeyID]bool, len(keys))
	for _, k := range keys {
		forgotten[k] = true
		if _, known := next.results[k]; known {
			delete(next.results, k)
			note(&next.news.results, k)
		}
	}
	dropLinks(next.links, forgotten, &next.news.links)
	dropLinks(next.guesses, forgotten, &next.news.guesses)
	for op, to := range next.byOperand {
		if left := without(to, forgotten); len(left) == 0 {
			delete(next.byOperand, op)
		} else {
			next.byOperand[op] = left
		}
	}
	return next
}

// dropLinks removes all that leads from or to forgotten keys, and notes the links that
// are changed or gone.
func dropLinks(links map[Link][]KeyID, forgotten map[KeyID]bool, changed *map[Link]bool) {
	for link, to := range links {
		left := without(to, forgotten)
		switch {
		case forgotten[link.From] || len(left) == 0:
			delete(links, link)
		case len(left) < len(to):
			links[link] = left
		default:
			continue
		}
		note(changed, link)
	}
}

// without returns the keys of a set that are not forgotten.
func without(set []KeyID, forgotten map[KeyID]bool) []KeyID {
	return slices.DeleteFunc(slices.Clone(set), func(k KeyID) bool { return forgotten[k] })
}
