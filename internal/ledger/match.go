package ledger

import (
	"slices"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// A listing is what a builder lists, by what it is listed as.
type listing map[string][]buildkit.Held

// An execution is one of an operation, with the keys of its result.
type execution struct {
	run  buildkit.Run
	keys []cache.KeyID
	// It made one of the results from first on, and before end, of those that are
	// listed like it, by when they were made.
	first, end int
}

// A matching is what of a listing is known to be the result of what.
type matching struct {
	lives     map[cache.KeyID]cache.Life // of every key that has entries
	explained map[buildkit.Held]bool     // a known execution may have made it
	surplus   map[string]bool            // by record: more of these than known executions can have made
}

// match finds out which of the results that are known the builder lists.
func (l *Ledger) match(held listing) matching {
	m := matching{map[cache.KeyID]cache.Life{}, map[buildkit.Held]bool{}, map[string]bool{}}
	byRecord := map[string]map[buildkit.Run]*execution{}
	for key, entries := range l.entries {
		m.lives[key] = cache.Gone
		for _, e := range entries {
			if len(held[e.record]) == 0 {
				continue
			}
			runs := byRecord[e.record]
			if runs == nil {
				runs = map[buildkit.Run]*execution{}
				byRecord[e.record] = runs
			}
			if runs[e.run] == nil {
				runs[e.run] = &execution{run: e.run}
			}
			runs[e.run].keys = append(runs[e.run].keys, key)
		}
	}
	for record, list := range held {
		m.matchRecord(record, list, byRecord[record])
	}
	return m
}

// matchRecord matches what is listed as record.
func (m *matching) matchRecord(record string, held []buildkit.Held, runs map[buildkit.Run]*execution) {
	held = slices.SortedFunc(slices.Values(held), func(a, b buildkit.Held) int { return a.Created.Compare(b.Created) })
	after := func(h buildkit.Held, at time.Time) int { return h.Created.Compare(at) }
	var list []*execution
	for _, e := range runs {
		start, end := window(e.run)
		e.first, _ = slices.BinarySearchFunc(held, start, after)
		e.end, _ = slices.BinarySearchFunc(held, end, after)
		if e.first < e.end {
			slices.Sort(e.keys)
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *execution) int { return a.first - b.first })
	for len(list) > 0 {
		n, end := 1, list[0].end
		for n < len(list) && list[n].first < end {
			end = max(end, list[n].end)
			n++
		}
		near := held[list[0].first:end]
		m.settle(near, list[:n])
		m.surplus[record] = m.surplus[record] || len(near) > n
		list = list[n:]
	}
}

// foreign reports of what is listed as each record whether something made one of
// them that is not known.
func (m *matching) foreign(held listing) map[string]bool {
	foreign := map[string]bool{}
	for record, list := range held {
		foreign[record] = m.surplus[record] || slices.ContainsFunc(list, func(h buildkit.Held) bool { return !m.explained[h] })
	}
	return foreign
}

// settle matches executions that ran at about the same time with the results that
// one or the other of them made. Where results of several keys are listed alike, as
// of one RUN in two stages, and one is gone, nothing tells which.
func (m *matching) settle(held []buildkit.Held, executions []*execution) {
	life, only := cache.Live, executions[0].keys
	for _, e := range executions {
		if !slices.Equal(e.keys, only) && len(held) < len(executions) {
			life = cache.Perhaps
		}
	}
	for _, e := range executions {
		for _, key := range e.keys {
			m.lives[key] = better(m.lives[key], life)
		}
	}
	for _, h := range held {
		m.explained[h] = true
	}
}
