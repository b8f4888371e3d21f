package ledger

import (
	"slices"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// A reuse is the use of a result by a build that did not make it. It waits for the next
// list, which shows what results that can have been.
type reuse struct {
	record      string       // what the builder lists the result as
	run         buildkit.Run // when it was used
	late        bool         // the builder could not be asked for its list soon after that
	shared      bool         // the result is this key's or another's that was used as well
	provisional bool         // the key's claim is one that Ledger.reuse made
}

// reuse notes that the result of a key was used. If nothing else is known of that result, a
// claim says that it perhaps is there: reuses are not kept, and the program may end before
// there is a list.
func (l *Ledger) reuse(key cache.KeyID, r reuse) {
	r.provisional = l.reused[key].provisional
	if _, claimed := l.claims[key]; !claimed && len(l.entries[key]) == 0 {
		r.provisional = true
		l.setClaim(key, &claim{record: r.record})
	}
	l.reused[key] = r
}

// A claim is what is known of a key's result that nobody saw being made, or that cannot be
// told from others: it is one of the results that are listed as record and were made at
// the times in created. It is there while all of them are listed, and gone when none is.
//
// For example: a build reuses a COPY that was built twice before anybody watched, and the
// builder lists two results of it, made at 9:00 and at 9:05. The key claims both. If one of
// them is pruned, a prediction that rests on the key is unknown.
type claim struct {
	record string
	// Sorted; none if it is not known which results it may be. With anothers among them it
	// may be none of those that are listed.
	created []time.Time
}

// anothers is the time in claims of a result that is never listed.
var anothers = time.Unix(0, 0).UTC()

// life returns what the claim says of the result, given what is listed.
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

// better returns the more promising of two lives.
func better(a, b cache.Life) cache.Life {
	if a == cache.Gone || b == cache.Live {
		return b
	}
	return a
}

// applyClaims adds to m what claims say of results. It then settles the reuses since the
// last list: each becomes an entry where just one result can be meant (see adopt), else a
// claim.
func (l *Ledger) applyClaims(held listing, m matching) {
	l.checkClaims(held, m)
	claimants := l.claimants()
	went, few := l.went(held), l.few(held)
	for key, r := range l.reused {
		if m.lives[key] == cache.Live {
			if r.provisional {
				l.setClaim(key, nil)
			}
			continue
		}
		r.late = r.late || went(r.record) || few[r.record] || len(l.fresh[r.record]) > 0 && m.lacking[r.record]
		if claimants[r.record] == 1 && !r.shared && l.adopt(key, r, held, m) {
			m.lives[key] = cache.Live
			continue
		}
		c := r.claim(held, m)
		l.setClaim(key, &c)
		m.lives[key] = c.life(held)
	}
	clear(l.reused)
}

// checkClaims adds to m what claims say of results, and drops those whose results are gone.
func (l *Ledger) checkClaims(held listing, m matching) {
	for key, c := range l.claims {
		life := c.life(held)
		m.lives[key] = better(m.lives[key], life)
		if life == cache.Gone {
			l.setClaim(key, nil) // none of them comes back
		}
	}
}

// few returns the records of which fewer results are listed that may have been used than keys
// were: one of those went before it was ever listed, if it was made since the list before.
func (l *Ledger) few(held listing) map[string]bool {
	reuses, seen := map[string][]reuse{}, map[reuse]bool{}
	for _, r := range l.reused {
		if r.provisional = false; !r.shared || !seen[r] { // those that share a result are equal
			reuses[r.record] = append(reuses[r.record], r)
		}
		seen[r] = true
	}
	few := map[string]bool{}
	for record, list := range reuses {
		n := 0
		for _, h := range held[record] {
			if slices.ContainsFunc(list, func(r reuse) bool { return r.took(h) }) {
				n++
			}
		}
		few[record] = n < len(list)
	}
	return few
}

// claimants returns by record how many keys have a reuse or a claim.
func (l *Ledger) claimants() map[string]int {
	n := map[string]int{}
	for _, r := range l.reused {
		n[r.record]++
	}
	for key, c := range l.claims {
		if _, reused := l.reused[key]; !reused {
			n[c.record]++
		}
	}
	return n
}

// claimMixture turns the entries of a mixture's executions into claims to all of its
// results, because one of these is gone and nothing tells whose that was.
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

// adopt gives key an entry for the result that was reused, and reports whether it can:
// just one result of the record was made by no known execution, and no other can have been
// reused. No other key may have a claim to results of the record.
func (l *Ledger) adopt(key cache.KeyID, r reuse, held listing, m matching) bool {
	unexplained := slices.DeleteFunc(slices.Clone(held[r.record]), func(h buildkit.Held) bool { return m.explained[h] })
	if len(unexplained) != 1 || !r.took(unexplained[0]) {
		return false
	}
	one := unexplained[0]
	if slices.ContainsFunc(held[r.record], func(h buildkit.Held) bool { return h != one && !m.owned[h] && r.took(h) }) {
		return false
	}
	m.explained[one] = true
	run := buildkit.Run{Started: one.Created, Completed: one.Created}
	l.setEntries(key, append(slices.Clone(l.entries[key]), entry{r.record, run}))
	l.setClaim(key, nil)
	return true
}

// went returns a function that reports whether a result of a record went since the list
// before held, or may have without that the list shows it.
func (l *Ledger) went(held listing) func(record string) bool {
	var runs map[string][]buildkit.Run
	known := map[string]bool{}
	return func(record string) bool {
		if runs == nil {
			runs = l.runs()
		}
		is, done := known[record]
		if !done {
			is = l.blurred[record] || !stillThere(l.last[record], held[record], runs[record])
			known[record] = is
		}
		return is
	}
}

// claim returns the claim to the listed results that may have been reused. Those that are
// known to be another key's are not among them, even if they are all that is left: what was
// reused can be gone already.
func (r reuse) claim(held listing, m matching) claim {
	c := claim{record: r.record}
	for _, h := range held[r.record] {
		if r.took(h) && !m.owned[h] {
			c.created = append(c.created, h.Created.UTC())
		}
	}
	if r.shared && len(c.created) > 0 {
		c.created = append(c.created, anothers)
	}
	slices.SortFunc(c.created, time.Time.Compare)
	return c
}

// took reports whether h may be what was reused: it was made before, and is in use or was
// used since. A builder notes when it lets go of a result (BuildKit:
// cache.immutableRef.release).
func (r reuse) took(h buildkit.Held) bool {
	return !r.late && !h.Created.After(r.run.Completed) && (h.InUse || !h.Used.Before(r.run.Started))
}
