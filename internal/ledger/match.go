package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// An entry is an execution that made a result of a key. The builder lists that as record,
// with a time within the run.
type entry struct {
	record string
	run    buildkit.Run
}

// A listing is what a builder lists as held, by sealed record.
type listing map[string][]buildkit.Held

// An execution is one run that was observed, with all the keys that have an entry for it.
type execution struct {
	run  buildkit.Run
	keys []cache.KeyID // sorted
	// It made one of the results in [first, end) among those that are listed as its
	// record, sorted by time.
	first, end int
}

// A matching says which of the results that a builder lists the known executions made.
type matching struct {
	lives     map[cache.KeyID]cache.Life // of every key that has entries
	explained map[buildkit.Held]bool     // a known execution may have made it
	owned     map[buildkit.Held]bool     // a known execution surely made it
	surplus   map[string]bool            // by record: there are more results than known executions can have made
	lacking   map[string]bool            // by record: there are fewer, for executions that may have made the same ones
	mixed     []mixture
}

// A mixture is a group of results that are listed as the same record and were made at
// about the same time: one by each of the executions, and the others by somebody else.
// All are there, so that nothing is in doubt yet. But nothing tells them apart either:
// once one is gone, it may be any of them (see claimMixture).
type mixture struct {
	record     string
	held       []buildkit.Held
	executions []*execution
}

// lost reports whether one of the results is no longer listed.
func (m mixture) lost(held listing) bool {
	var runs []buildkit.Run
	for _, e := range m.executions {
		runs = append(runs, e.run)
	}
	return !stillThere(m.held, held[m.record], runs)
}

// stillThere reports whether each of was can be among now. All are of one record, and runs
// are the known executions of it. A result may be listed with another time than before:
// that of a COPY with when it was begun or, while it is in use, with when it was done
// (BuildKit: cache.cacheManager.DiskUsage, equalMutable). Both times lie within the run
// that made it.
func stillThere(was, now []buildkit.Held, runs []buildkit.Run) bool {
	there, _ := pair(was, now, runs)
	return there
}

// pair is stillThere, and reports whether each of was surely is: whether none of now is left
// over that could be one of them as well.
func pair(was, now []buildkit.Held, runs []buildkit.Run) (there, surely bool) {
	byTime := func(list []buildkit.Held) []buildkit.Held {
		return slices.SortedFunc(slices.Values(list), func(a, b buildkit.Held) int { return a.Created.Compare(b.Created) })
	}
	same := func(w, h buildkit.Held) bool {
		return h.Created.Sub(w.Created).Abs() < 2*slack || slices.ContainsFunc(runs, func(r buildkit.Run) bool { return mayMake(r, w) && mayMake(r, h) })
	}
	open := byTime(now)
	for _, w := range byTime(was) {
		at := slices.IndexFunc(open, func(h buildkit.Held) bool { return same(w, h) })
		if at < 0 {
			return false, false
		}
		open = slices.Delete(open, at, at+1)
	}
	return true, !slices.ContainsFunc(open, func(h buildkit.Held) bool {
		return slices.ContainsFunc(was, func(w buildkit.Held) bool { return same(w, h) })
	})
}

// overlap reports whether results of the two runs may have the same time.
func overlap(a, b buildkit.Run) bool {
	startA, endA := window(a)
	startB, endB := window(b)
	return startA.Before(endB) && startB.Before(endA)
}

// near reports whether stillThere could take a result of run for one of was; runs are the
// known executions of the same record.
func near(run buildkit.Run, was []buildkit.Held, runs []buildkit.Run) bool {
	start, end := window(run)
	return slices.ContainsFunc(was, func(h buildkit.Held) bool {
		if !h.Created.Before(start.Add(-2*slack)) && h.Created.Before(end.Add(2*slack)) {
			return true
		}
		return slices.ContainsFunc(runs, func(r buildkit.Run) bool { return mayMake(r, h) && overlap(r, run) })
	})
}

// tellApart gives up mixtures and repeats whose results could be taken for those of fresh,
// the entries of a build that was just learned: these were made at about the same time, so
// that a list would not show that one of the others is gone. It also notes in blurred where
// that is so of what was listed last.
func (l *Ledger) tellApart(fresh []entry) {
	if len(fresh) == 0 {
		return
	}
	runs := l.runs()
	mixed := slices.DeleteFunc(slices.Clone(l.mixed), func(m mixture) bool {
		confused := slices.ContainsFunc(fresh, func(e entry) bool { return e.record == m.record && near(e.run, m.held, runs[m.record]) })
		if confused {
			l.claimMixture(m)
		}
		return confused
	})
	l.setMixed(mixed)
	for _, e := range fresh {
		l.fresh[e.record] = append(l.fresh[e.record], e.run)
		l.blurred[e.record] = l.blurred[e.record] || near(e.run, l.last[e.record], runs[e.record])
	}
	l.dropRepeats(func(r *repeat) bool {
		return slices.ContainsFunc(fresh, func(e entry) bool { return r.mayTake(e, runs[e.record]) })
	})
}

// runs returns the known executions by record.
func (l *Ledger) runs() map[string][]buildkit.Run {
	runs := map[string][]buildkit.Run{}
	for _, entries := range l.entries {
		for _, e := range entries {
			runs[e.record] = append(runs[e.record], e.run)
		}
	}
	return runs
}

// slack is how far the time of a result that nobody saw being made may lie from the one with
// which it was listed first.
const slack = 250 * time.Millisecond

// window returns when results of a run may have been made: from start on, before end. A run
// begins before its snapshot does, and ends after that is committed, by the same clock
// (BuildKit: solver, sharedOp.Exec). One that nobody saw has no length: see Ledger.adopt.
func window(run buildkit.Run) (start, end time.Time) {
	if run.Started.Equal(run.Completed) {
		return run.Started.Add(-slack), run.Completed.Add(slack + 1)
	}
	return run.Started, run.Completed.Add(1)
}

// mayMake reports whether a run may have made h.
func mayMake(run buildkit.Run, h buildkit.Held) bool {
	start, end := window(run)
	return !h.Created.Before(start) && h.Created.Before(end)
}

// match finds out which of the results that are listed the known executions made, by
// record and time.
func (l *Ledger) match(held listing) matching {
	m := matching{
		lives:     map[cache.KeyID]cache.Life{},
		explained: map[buildkit.Held]bool{},
		owned:     map[buildkit.Held]bool{},
		surplus:   map[string]bool{},
		lacking:   map[string]bool{},
	}
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
	for record, runs := range byRecord {
		l.addKeyless(record, runs)
	}
	for record, list := range held {
		m.matchRecord(record, list, byRecord[record])
	}
	return m
}

// matchRecord matches the results that are listed as record with the executions that may
// have made them. Executions whose results cannot be told apart by time are matched as a
// group.
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
	slices.SortFunc(list, func(a, b *execution) int {
		return cmp.Or(a.first-b.first, a.run.Started.Compare(b.run.Started), a.run.Completed.Compare(b.run.Completed))
	})
	for len(list) > 0 {
		n, end := 1, list[0].end
		for n < len(list) && list[n].first < end {
			end = max(end, list[n].end)
			n++
		}
		near := held[list[0].first:end]
		made := makers(list[:n], end)
		m.attribute(near, list[:n], made)
		m.surplus[record] = m.surplus[record] || made < len(near)
		m.lacking[record] = m.lacking[record] || made < n
		if made < len(near) && made == n {
			m.mixed = append(m.mixed, mixture{record, near, list[:n]})
		}
		list = list[n:]
	}
}

// makers returns how many of the executions, which are sorted by first, can each have
// made a result of their own among those before end. Each result goes to the execution
// whose time for one ends first.
func makers(executions []*execution, end int) (n int) {
	open := slices.Clone(executions)
	for i := executions[0].first; i < end; i++ {
		open = slices.DeleteFunc(open, func(e *execution) bool { return e.end <= i })
		best := -1
		for j, e := range open {
			if e.first <= i && (best < 0 || e.end < open[best].end) {
				best = j
			}
		}
		if best >= 0 {
			open = slices.Delete(open, best, best+1)
			n++
		}
	}
	return n
}

// attribute notes that a group of executions made the results in held, of which there are
// enough for no more than made of the executions. If that is not all of them, and their
// keys differ, as those of one RUN in two stages do, nothing tells whose result is gone.
func (m *matching) attribute(held []buildkit.Held, executions []*execution, made int) {
	life := cache.Live
	for _, e := range executions {
		if !slices.Equal(e.keys, executions[0].keys) && made < len(executions) {
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
		m.owned[h] = life == cache.Live && made == len(held)
	}
}
