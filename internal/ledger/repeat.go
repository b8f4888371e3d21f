package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// A repeat is a build that succeeded, and that another build of the same graph would repeat.
// As long as the builder has all results of the build's records that it had after it, such a
// build executes nothing, even where the mirror does not know which of several results it
// takes.
type repeat struct {
	graph   string // see identity
	learned time.Time
	listed  bool // the builder has listed what it holds since the build

	// Before that list: the records of the build's nodes, and what it made and took.
	records []string
	uses    []use
	// After it: all that was listed as one of the records, by Record and Created alone.
	held []buildkit.Held
}

// A use is a result that a build made, or that it took.
type use struct {
	reuse
	made bool
	keys []cache.KeyID // it may be stored under these, as far as they are known
}

// mayTake reports whether the result of e, which is of another build, could be taken for a
// result of this one, so that nobody would see that the latter is gone. runs are the known
// executions of e's record.
func (r *repeat) mayTake(e entry, runs []buildkit.Run) bool {
	if r.listed {
		held := slices.DeleteFunc(slices.Clone(r.held), func(h buildkit.Held) bool { return h.Record != e.record })
		return near(e.run, held, runs)
	}
	return slices.ContainsFunc(r.uses, func(u use) bool { return u.record == e.record && overlap(u.run, e.run) })
}

// madeBeside reports whether an execution that is no part of the build ran beside one that
// is, and their results are listed alike.
func (r *repeat) madeBeside(e entry) bool {
	return slices.ContainsFunc(r.uses, func(u use) bool { return u.made && u.record == e.record && overlap(u.run, e.run) })
}

// mostRepeats is how many repeats are kept: the latest.
const mostRepeats = 64

// remember makes a repeat of a build that was just learned, unless results of other builds
// could be taken for its own. g and records are those of b, sealed, and stored is what the
// mirror says of it.
func (l *Ledger) remember(g cache.Graph, records []string, b Build, stored [][]cache.KeyID) {
	graph := identity(g)
	if graph == "" {
		return
	}
	var uses []use
	own := map[entry]bool{}
	for i, record := range records {
		if source := len(g.Nodes[i].Inputs) == 0; !source && record != "" && b.Fates[i] != cache.Untouched {
			uses = append(uses, use{reuse{record: record, run: b.Runs[i]}, b.Fates[i] == cache.Made, stored[i]})
			own[entry{record, b.Runs[i]}] = true
		}
	}
	l.dropRepeats(func(r *repeat) bool { return r.graph == graph })
	now := &repeat{graph: graph, learned: time.Now(), records: records, uses: uses}
	for _, entries := range l.entries {
		if slices.ContainsFunc(entries, func(e entry) bool { return !own[e] && now.madeBeside(e) }) {
			return
		}
	}
	for record, list := range l.keyless {
		if slices.ContainsFunc(list, func(k keyless) bool { e := entry{record, k.run}; return !own[e] && now.madeBeside(e) }) {
			return
		}
	}
	l.repeats = append(l.repeats, now)
	oldest := l.repeats[max(0, len(l.repeats)-mostRepeats)]
	l.dropRepeats(func(r *repeat) bool { return r.learned.Before(oldest.learned) })
}

// dropRepeats drops the repeats for which gone returns true.
func (l *Ledger) dropRepeats(gone func(*repeat) bool) {
	l.repeats = slices.DeleteFunc(l.repeats, func(r *repeat) bool {
		if !gone(r) {
			return false
		}
		if r.listed {
			l.change(repeats, r.graph, nil)
		}
		return true
	})
}

// checkRepeats drops the repeats of whose results one is no longer listed, and notes for
// those that were learned since the last list what is listed.
func (l *Ledger) checkRepeats(held listing) {
	if len(l.repeats) == 0 {
		return
	}
	runs, went := l.runs(), l.went(held)
	l.dropRepeats(func(r *repeat) bool {
		if !r.listed {
			return !l.complete(r, held, runs) || slices.ContainsFunc(r.records, went)
		}
		return r.lost(held, runs)
	})
	for _, r := range l.repeats {
		if r.listed {
			continue
		}
		slices.Sort(r.records)
		for _, record := range slices.Compact(r.records) {
			r.held = append(r.held, held[record]...)
		}
		r.listed, r.records, r.uses = true, nil, nil
		l.change(repeats, r.graph, r.encode())
	}
}

// lost reports whether one of the results is no longer listed, or one is listed that somebody
// else made and that could be taken for it, so that nobody would see it go. runs are the known
// executions by record.
func (r *repeat) lost(held listing, runs map[string][]buildkit.Run) bool {
	was := listing{}
	for _, h := range r.held {
		was[h.Record] = append(was[h.Record], h)
	}
	for record, list := range was {
		if _, surely := pair(list, held[record], runs[record]); !surely {
			return true
		}
	}
	return false
}

// mayBe reports whether h may be the result that a build used, and no known execution made h
// instead since the last list: if the build took a result that went before it was ever
// listed, another one must not pass for it. runs are the known executions by record.
func (l *Ledger) mayBe(u use, h buildkit.Held, runs map[string][]buildkit.Run) bool {
	if u.made {
		return mayMake(u.run, h)
	}
	before := func(was buildkit.Held) bool {
		return stillThere([]buildkit.Held{was}, []buildkit.Held{h}, runs[u.record])
	}
	own := func(key cache.KeyID) bool {
		return slices.ContainsFunc(l.entries[key], func(e entry) bool { return e.record == u.record && mayMake(e.run, h) })
	}
	return u.took(h) && (slices.ContainsFunc(l.last[u.record], before) || slices.ContainsFunc(u.keys, own))
}

// complete reports whether all that the build of r made or took is listed after it. It need
// not be: a prune can follow at once. runs are the known executions by record.
func (l *Ledger) complete(r *repeat, held listing, runs map[string][]buildkit.Run) bool {
	uses := map[string][]use{}
	for _, u := range r.uses {
		uses[u.record] = append(uses[u.record], u)
	}
	for record, list := range uses {
		n := 0
		for _, h := range held[record] {
			if slices.ContainsFunc(list, func(u use) bool { return l.mayBe(u, h, runs) }) {
				n++
			}
		}
		if n < len(list) {
			return false
		}
	}
	return true
}

// encode returns r, without its graph, as it is kept.
func (r *repeat) encode() []byte {
	b := binary.AppendVarint(nil, r.learned.UnixNano())
	for _, h := range r.held {
		b = binary.AppendVarint(appendText(b, h.Record), h.Created.UnixNano())
	}
	return b
}

// decodeRepeat reads what encode wrote. Only a repeat that is listed is kept.
func decodeRepeat(graph string, d *decoder) *repeat {
	r := &repeat{graph: graph, learned: d.time(), listed: true}
	for len(d.b) > 0 {
		r.held = append(r.held, buildkit.Held{Record: d.text(), Created: d.time()})
	}
	return r
}

// isRepeat reports whether a build of g would repeat one that is remembered.
func (l *Ledger) isRepeat(g cache.Graph) bool {
	graph := identity(g)
	return graph != "" && slices.ContainsFunc(l.repeats, func(r *repeat) bool { return r.listed && r.graph == graph })
}

// identity returns a digest of all of g that decides what is reused; "" if something that
// its targets are made from is not known, or must not be taken from the cache.
func identity(g cache.Graph) string {
	of := make([]string, len(g.Nodes)) // digest of each node and all it is made from
	for i, n := range g.Nodes {
		if n.Unknown != "" || n.NoCache {
			continue
		}
		h, known := sha256.New(), true
		fmt.Fprintf(h, "%q %d", n.Digests, n.Output)
		for _, in := range n.Inputs {
			known = known && of[in.Node] != ""
			fmt.Fprintf(h, " %q %t %q %q", in.Selector, in.ByContent, in.Content, of[in.Node])
		}
		if known {
			of[i] = string(h.Sum(nil))
		}
	}
	var targets []string
	for _, t := range g.Targets {
		if of[t] == "" {
			return ""
		}
		targets = append(targets, of[t])
	}
	slices.Sort(targets)
	sum := sha256.Sum256([]byte(strings.Join(targets, "")))
	return string(sum[:16])
}
