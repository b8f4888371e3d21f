package ledger

import (
	"slices"
	"strings"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// A COPY --link lies on what is below it without that anything looks into that. So a build that
// reuses imported results below it does not fetch their layers, and nor does what it makes on
// them need any. Until they are fetched, only a build that looks into the same cache finds such a
// result; another one does not, and makes the builder forget whose it is (BuildKit:
// solver.cacheManager.Records, cache.cacheManager.getRecord).
//
// A result is partial from when it was first listed like that until it goes: nothing tells
// whether the builder still knows whose it is.

// applyPartial notes which of the listed results are partial, and leaves in doubt what rests on
// nothing else.
func (l *Ledger) applyPartial(held listing, m matching) {
	byID, now := held.byID(), map[string]bool{}
	for id, h := range byID {
		is, surely := l.lacksBelow(h, byID)
		if l.partial[id] || is {
			now[id] = true
		}
		if is && surely && !l.partial[id] {
			l.partial[id] = true
			l.change(torn, id, []byte{1})
		}
	}
	for id := range l.partial {
		if _, listed := byID[id]; !listed {
			delete(l.partial, id)
			l.change(torn, id, nil)
		}
	}
	if len(now) == 0 {
		return
	}
	for key, life := range m.lives {
		if life == cache.Live && !l.livesWithout(key, held, now) {
			m.lives[key] = cache.Perhaps
		}
	}
}

// lacksBelow reports whether h is a merge of which a layer below may not be there. surely says that
// this does not only look so because that is in use.
func (l *Ledger) lacksBelow(h buildkit.Held, byID map[string]buildkit.Held) (lacks, surely bool) {
	if h.Merges == "" {
		return false, false
	}
	open := strings.Fields(h.Merges)
	seen := map[string]bool{}
	for len(open) > 0 {
		id := open[0]
		open = open[1:]
		a, listed := byID[id]
		if seen[id] || !listed {
			continue
		}
		seen[id] = true
		open = append(open, strings.Fields(a.Below+" "+a.Merges)...)
		if a.Lacking || !a.Whole && a.Merges == "" && !a.Base && !l.ran(a) {
			lacks, surely = true, surely || a.Lacking || !a.InUse
		}
	}
	return lacks, surely
}

// ran reports whether a known execution can have made h.
func (l *Ledger) ran(h buildkit.Held) bool {
	for _, entries := range l.entries {
		if slices.ContainsFunc(entries, func(e entry) bool { return e.record == h.Record && mayMake(e.run, h) }) {
			return true
		}
	}
	return false
}

// livesWithout reports whether a key has a result that is not partial.
func (l *Ledger) livesWithout(key cache.KeyID, held listing, partial map[string]bool) bool {
	whole := func(h buildkit.Held) bool { return !partial[h.ID] }
	for _, e := range l.entries[key] {
		if slices.ContainsFunc(held[e.record], func(h buildkit.Held) bool { return whole(h) && mayMake(e.run, h) }) {
			return true
		}
	}
	if c, ok := l.claims[key]; ok && c.life(held) == cache.Live {
		return !slices.ContainsFunc(held[c.record], func(h buildkit.Held) bool {
			return !whole(h) && slices.ContainsFunc(c.created, h.Created.Equal)
		})
	}
	return slices.ContainsFunc(l.imports[key], func(i imported) bool { return !i.doubted && !partial[i.id] })
}
