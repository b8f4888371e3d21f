package ledger

import (
	"slices"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// A reuse is the use of a result by a build that did not make it.
type reuse struct {
	record string       // what the builder lists the result as
	run    buildkit.Run // when it was used
	late   bool         // the builder could not be asked for its list soon after that
	noted  bool         // by a claim: see Ledger.reuse
}

// reuse notes that the result of a key was used. If nothing else is known of it, a claim
// says that it perhaps is there, in case that there is no list before the ledger is read.
func (l *Ledger) reuse(key cache.KeyID, r reuse) {
	r.noted = l.reused[key].noted
	if _, claimed := l.claims[key]; !claimed && len(l.entries[key]) == 0 {
		r.noted = true
		l.setClaim(key, &claim{record: r.record})
	}
	l.reused[key] = r
}

// A claim is what is known of a result that nobody saw being made, or that cannot be told
// from another: it is one of those that were listed as record after the build, made at
// the given times. The result is there while all of them are listed, and gone when none
// is. Without times nothing is known, as when the result is listed as something else.
type claim struct {
	record  string
	created []time.Time // sorted
}

// life returns whether the builder has the result.
func (c claim) life(held listing) cache.Life {
	listed := 0
	for _, at := range c.created {
		if slices.ContainsFunc(held[c.record], func(h buildkit.Held) bool { return h.Created.Equal(at) }) {
			listed++
		}
	}
	switch {
	case len(c.created) > 0 && listed == 0:
		return cache.Gone
	case len(c.created) > 0 && listed == len(c.created):
		return cache.Live
	}
	return cache.Perhaps
}

// better returns which of two lives of a result promises more.
func better(a, b cache.Life) cache.Life {
	if a == cache.Gone || b == cache.Live {
		return b
	}
	return a
}

// applyClaims adds to m what claims say of results, and makes claims for the results that
// were reused since the last list and that no known execution made.
func (l *Ledger) applyClaims(held listing, m matching) {
	for key, c := range l.claims {
		life := c.life(held)
		m.lives[key] = better(m.lives[key], life)
		if life == cache.Gone {
			l.setClaim(key, nil) // none of them comes back
		}
	}
	claims := map[string]int{}
	for _, r := range l.reused {
		claims[r.record]++
	}
	for key, c := range l.claims {
		if _, again := l.reused[key]; !again {
			claims[c.record]++
		}
	}
	went := l.went(held)
	for key, r := range l.reused {
		if m.lives[key] == cache.Live {
			if r.noted {
				l.setClaim(key, nil)
			}
			continue
		}
		r.late = r.late || went(r.record)
		if claims[r.record] > 1 || !l.adopt(key, r, held, m) {
			c := r.claim(held, m)
			l.setClaim(key, &c)
			m.lives[key] = c.life(held)
			continue
		}
		m.lives[key] = cache.Live
	}
	clear(l.reused)
}

// claimMixture replaces what is known of the executions of a mixture by claims, because
// one of its results is gone and nothing tells whose that was.
func (l *Ledger) claimMixture(m mixture) {
	for _, e := range m.executions {
		made := entry{m.record, e.run}
		for _, key := range e.keys {
			if !slices.Contains(l.entries[key], made) {
				continue
			}
			c := claim{record: m.record}
			if was := l.claims[key]; was.record == m.record {
				c.created = slices.Clone(was.created)
			}
			for _, h := range m.held {
				c.created = append(c.created, h.Created.UTC())
			}
			slices.SortFunc(c.created, time.Time.Compare)
			c.created = slices.CompactFunc(c.created, time.Time.Equal)
			l.setClaim(key, &c)
			l.setEntries(key, slices.DeleteFunc(slices.Clone(l.entries[key]), func(e entry) bool { return e == made }))
		}
	}
}

// adopt looks for the result that was reused among those listed as its record. If just one
// of them was made by no known execution, and the reused one can be no other, it becomes
// the key's result. The caller has seen to it that no other key claims a result of that
// record.
func (l *Ledger) adopt(key cache.KeyID, r reuse, held listing, m matching) bool {
	open := slices.DeleteFunc(slices.Clone(held[r.record]), func(h buildkit.Held) bool { return m.explained[h] })
	if len(open) != 1 || !r.took(open[0]) {
		return false
	}
	if slices.ContainsFunc(held[r.record], func(h buildkit.Held) bool { return h != open[0] && !m.owned[h] && r.took(h) }) {
		return false
	}
	m.explained[open[0]] = true
	l.setEntries(key, append(slices.Clone(l.entries[key]), entry{r.record, buildkit.Run{Started: open[0].Created, Completed: open[0].Created}}))
	l.setClaim(key, nil)
	return true
}

// went returns what reports whether a result that was listed as record the last time is
// not any more.
func (l *Ledger) went(held listing) func(record string) bool {
	var runs map[string][]buildkit.Run
	known := map[string]bool{}
	return func(record string) bool {
		if runs == nil {
			runs = l.runs()
		}
		is, done := known[record]
		if !done {
			is = !stillThere(l.last[record], held[record], runs[record])
			known[record] = is
		}
		return is
	}
}

// claim returns the claim to what may have been reused of what is listed now: not what is
// known to be another key's, since what was reused can be gone already.
func (r reuse) claim(held listing, m matching) claim {
	c := claim{record: r.record}
	for _, h := range held[r.record] {
		if r.took(h) && !m.owned[h] {
			c.created = append(c.created, h.Created.UTC())
		}
	}
	slices.SortFunc(c.created, time.Time.Compare)
	return c
}

// took reports whether h may be what was reused. A builder notes when it lets go
// of a result (BuildKit: cache.immutableRef.release).
func (r reuse) took(h buildkit.Held) bool {
	return !r.late && !h.Created.After(r.run.Completed.Add(slack)) && (h.InUse || !h.Used.Before(r.run.Started.Add(-slack)))
}
