package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/stokerd/stoker/cache"
)

// maxKeys is about how many keys a ledger keeps: those of some thousand builds, in about
// 10 MB of memory.
const maxKeys = 20_000

// lag is how long after a result went the builder may still have keys that led to it.
// BuildKit looks for such keys as soon as it has pruned, when it starts, and five minutes
// after it collected garbage, which takes a while itself (BuildKit: control.Controller,
// throttledReleaseUnreferenced).
const lag = 10 * time.Minute

// forget keeps a ledger at about maxKeys. Keys that lead to no result go, the oldest
// first, but only when the builder has surely forgotten them, too: from then on they make
// no difference to predictions. Keys that lead to a result must stay, because that result
// is counted as explained, so that nothing would show that it may be found. Where there
// are too many of these, the ledger starts anew, and all that the builder holds is foreign.
// Which keys lead to the results of keyless executions is not known, so that these become
// foreign whichever keys go.
func (l *Ledger) forget() {
	l.forgetBygone()
	size, bygone := l.mirror.Size(), len(l.bygone)
	if size <= l.maxKeys && len(l.luck) <= l.maxKeys && bygone <= 2*l.maxKeys {
		return
	}
	dead := l.mirror.DeadEnds()
	if size-len(dead) > l.maxKeys || max(size, bygone) > 2*l.maxKeys || len(l.luck) > l.maxKeys {
		l.reset()
		return
	}
	if dead = l.stillDead(dead); time.Since(l.deadAt) < l.lag {
		l.dead = make(map[cache.KeyID]bool, len(dead))
		for _, key := range dead {
			l.dead[key] = true
		}
		return
	}
	slices.SortFunc(dead, func(a, b cache.KeyID) int {
		return cmp.Or(l.lastRun(a).Compare(l.lastRun(b)), cmp.Compare(a, b))
	})
	l.drop(dead[:max(0, min(len(dead), size-l.maxKeys*3/4))])
	l.dead = nil
}

// stillDead returns those of dead that have led to no result since deadAt, which is now if
// nothing was dead before.
func (l *Ledger) stillDead(dead []cache.KeyID) []cache.KeyID {
	if l.dead == nil {
		l.deadAt = time.Now()
		return dead
	}
	return slices.DeleteFunc(dead, func(key cache.KeyID) bool { return !l.dead[key] })
}

// lastRun returns when the last known execution for a key ended, zero if there is none.
func (l *Ledger) lastRun(key cache.KeyID) (ended time.Time) {
	for _, e := range l.entries[key] {
		if e.run.Completed.After(ended) {
			ended = e.run.Completed
		}
	}
	return ended
}

// reset makes l a ledger that knows nothing, to be kept in place of all that is kept.
// That builds were accounted for remains true.
func (l *Ledger) reset() {
	fresh := New(l.seal)
	l.mirror, l.entries, l.claims, l.imports = fresh.mirror, fresh.entries, fresh.claims, fresh.imports
	l.keyless, l.bygone, l.partial, l.repeats, l.luck = fresh.keyless, fresh.bygone, fresh.partial, nil, fresh.luck
	l.last, l.blurred, l.fresh, l.ids, l.foreign, l.mixed = nil, fresh.blurred, fresh.fresh, nil, fresh.foreign, nil
	l.reused, l.arrival = fresh.reused, nil
	l.dead = nil
	l.changes, l.renewed = fresh.changes, true
	l.noteSeen()
}

// drop forgets keys.
func (l *Ledger) drop(dead []cache.KeyID) {
	l.loseKeyless()
	l.become(l.mirror.Forget(dead))
	for _, key := range dead {
		l.setEntries(key, nil)
		l.setClaim(key, nil)
		l.setImports(key, nil)
	}
}
