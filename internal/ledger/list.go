package ledger

import (
	"slices"

	"github.com/stokerd/stoker/cache/buildkit"
)

// Asking is called before the builder is asked what it holds, and returns the function
// that enters the answer, as List does. It does nothing if a build was learned meanwhile,
// since the builder may have answered before it had the results of that.
func (l *Ledger) Asking() func([]buildkit.Held) {
	l.mu.Lock()
	defer l.mu.Unlock()
	learned := l.learned
	return func(held []buildkit.Held) { l.list(held, learned, false) }
}

// List enters what the builder holds now. A known result that is not listed is gone; one
// that is listed and that nobody observed makes its record foreign.
func (l *Ledger) List(held []buildkit.Held) { l.Asking()(held) }

// Recheck is List with what the builder holds after a build that is about to be learned.
// What is not listed had gone before the build, which cannot have taken it. What is new in
// the list the build may have made, or brought from elsewhere.
func (l *Ledger) Recheck(held []buildkit.Held) {
	l.mu.Lock()
	learned := l.learned
	l.mu.Unlock()
	l.list(held, learned, true)
}

// Lacks reports whether results that were there are not in held: of some record there are fewer
// than the builder listed last, or none that can be what a build made or took since.
func (l *Ledger) Lacks(held []buildkit.Held) bool {
	now := listing{}
	for _, h := range held {
		record := l.sealed(h.Record)
		now[record] = append(now[record], h)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for record, list := range l.last {
		if len(now[record]) < len(list) {
			return true
		}
	}
	for record, runs := range l.fresh {
		for _, run := range runs {
			if !slices.ContainsFunc(now[record], func(h buildkit.Held) bool { return mayMake(run, h) }) {
				return true
			}
		}
	}
	for _, r := range l.reused {
		if !r.late && !slices.ContainsFunc(now[r.record], r.took) {
			return true
		}
	}
	return false
}

// list enters what the builder listed after so many builds were learned; it does nothing
// if another one was learned since. recheck says that a build follows which has ended
// already.
func (l *Ledger) list(held []buildkit.Held, learned int, recheck bool) {
	byRecord := listing{}
	for i := range held {
		h := held[i]
		h.Record = l.sealed(h.Record)
		byRecord[h.Record] = append(byRecord[h.Record], h)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.learned != learned {
		return
	}
	for _, mixed := range l.mixed {
		if mixed.lost(byRecord) {
			l.claimMixture(mixed)
		}
	}
	l.checkRepeats(byRecord)
	m := l.match(byRecord)
	l.arrive(byRecord, m)
	l.applyImports(byRecord, m)
	l.noteIDs(held, recheck)
	l.applyClaims(byRecord, m)
	l.applyPartial(byRecord, m)
	l.setMixed(m.mixed)
	if !recheck {
		l.last = byRecord
		clear(l.blurred)
		clear(l.fresh)
	}
	l.foreign = l.matchKeyless(byRecord, m)
	l.noteForeign(byRecord, m)
	l.become(l.mirror.Mark(m.lives))
	l.listed = true
}

// Listed reports whether what the builder holds was listed since the last build. Until then
// all that rests on that is unknown.
func (l *Ledger) Listed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listed
}

// Unlisted says that the builder may no longer hold what it listed.
func (l *Ledger) Unlisted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listed = false
	for key, r := range l.reused {
		r.late = true
		l.reused[key] = r
	}
}
