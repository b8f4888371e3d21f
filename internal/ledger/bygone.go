package ledger

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// The key of a result that went stays as long as it leads to one that is there. Suppose that a
// build which nobody observed ran an edited stage, and that the stage came out as before, so
// that the COPY from it was found by its content. From then on the builder has a link from the
// key of the edited stage to that COPY. If the result of the stage goes, nothing that is listed
// tells of it. The next build finds the COPY by that link, and does not run the stage.
//
// So a ledger remembers the records of which it ever had results whose keys it does not know,
// with the last time at which a build can have looked at their content. What was found by that
// was there then. Nothing is remembered of results that went before any list had them.

// doubtBygone sets [cache.Node.Bygone] of the nodes of g that may have keys nobody knows, though
// all results of these went.
func (l *Ledger) doubtBygone(g cache.Graph, records []string) {
	if !slices.ContainsFunc(records, func(record string) bool { return !l.bygone[record].IsZero() }) {
		return
	}
	dead := map[cache.KeyID]bool{}
	for _, key := range l.mirror.DeadEnds() {
		dead[key] = true
	}
	upon := make([]map[cache.KeyID]bool, len(g.Nodes)) // the keys of all that is made from a node
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		if until := l.bygone[records[i]]; len(n.Inputs) > 0 && !n.Doubted && !until.IsZero() {
			g.Nodes[i].Bygone = maps.Clone(upon[i])
			maps.DeleteFunc(g.Nodes[i].Bygone, func(key cache.KeyID, _ bool) bool { return dead[key] || l.since(key, until) })
		}
		for _, in := range n.Inputs {
			if upon[in.Node] == nil {
				upon[in.Node] = map[cache.KeyID]bool{}
			}
			maps.Copy(upon[in.Node], upon[i])
			for _, key := range l.mirror.KeysOf(n) {
				upon[in.Node][key] = true
			}
		}
	}
}

// since reports whether all that is known of the results of a key was made after a time.
func (l *Ledger) since(key cache.KeyID, then time.Time) bool {
	for _, e := range l.entries[key] {
		if start, _ := window(e.run); !start.After(then) {
			return false
		}
	}
	c, claimed := l.claims[key]
	for _, at := range c.created {
		if !at.After(then) {
			return false
		}
	}
	return len(l.imports[key]) == 0 && (len(c.created) > 0 || !claimed && len(l.entries[key]) > 0)
}

// noteForeign remembers the records of which something is listed that nobody knows.
func (l *Ledger) noteForeign(held listing, m matching) {
	var now time.Time // as far as the list tells
	for _, list := range held {
		for _, h := range list {
			now = latest(now, h.Created, h.Used)
		}
	}
	for record, is := range l.foreign {
		if !is {
			continue
		}
		for _, h := range held[record] {
			switch {
			case m.explained[h] && !m.surplus[record]:
			case h.InUse:
				l.setBygone(record, now)
			default:
				l.setBygone(record, latest(h.Created, h.Used))
			}
		}
	}
}

// noteStrays remembers the records of what a build made or loaded without that its key is
// known. stored is what the mirror says of the build.
func (l *Ledger) noteStrays(b Build, records []string, stored [][]cache.KeyID) {
	for i, fate := range b.Fates {
		if fate != cache.Untouched && len(b.Graph.Nodes[i].Inputs) > 0 && len(stored[i]) == 0 {
			l.setBygone(records[i], ended(b.Runs))
		}
	}
}

// noteLost is noteStrays for what a build that did not succeed made of files that nobody knows.
func (l *Ledger) noteLost(b Build) {
	if !b.Broken {
		return
	}
	for i, kept := range b.reachedNodes() {
		if !kept && b.Fates[i] != cache.Untouched && len(b.Graph.Nodes[i].Inputs) > 0 {
			l.setBygone(l.sealed(b.Records[i]), ended(b.Runs))
		}
	}
}

// ended returns when the last of runs was over.
func ended(runs []buildkit.Run) (end time.Time) {
	for _, r := range runs {
		end = latest(end, r.Completed)
	}
	return end
}

// latest returns the latest of times, zero for none.
func latest(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// setBygone remembers a record until at least the given time.
func (l *Ledger) setBygone(record string, until time.Time) {
	if until = until.Add(slack).UTC(); record == "" || !until.After(l.bygone[record]) {
		return
	}
	l.bygone[record] = until
	l.change(strayed, record, binary.AppendVarint(nil, until.UnixNano()))
}

// forgetBygone keeps about maxKeys bygone records. Those go from which nothing leads on, as all that
// is known was made since.
func (l *Ledger) forgetBygone() {
	if len(l.bygone) <= l.maxKeys || len(l.imports) > 0 {
		return
	}
	var first time.Time // at which something that is known can have been made
	note := func(at time.Time) {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	for _, entries := range l.entries {
		for _, e := range entries {
			start, _ := window(e.run)
			note(start)
		}
	}
	for _, c := range l.claims {
		if len(c.created) == 0 {
			return
		}
		for _, at := range c.created {
			note(at)
		}
	}
	for record, until := range l.bygone {
		if until.Before(first) {
			delete(l.bygone, record)
			l.change(strayed, record, nil)
		}
	}
}
