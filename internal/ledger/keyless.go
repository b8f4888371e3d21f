package ledger

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// A keyless is an execution that was observed, but whose key is not known: that of an ADD
// from an address hangs on what was downloaded, which the builder tells nobody, and so do
// those of all that is made from it. What it made may be found by that key, which leads
// there from the keys of what it was made from. As these are known, but for those in from,
// nothing else of the graph is in doubt, unlike with what is foreign.
type keyless struct {
	run    buildkit.Run
	digest string // of the operation
	// from are the digests and records of the operations that it was made from, or was
	// found by since, and whose keys are not known either; sorted.
	from []string
	// foreign says that nothing tells its result from one of somebody else's, or that the
	// mirror may have forgotten keys that lead to it. So what is listed of its record is
	// foreign for as long as that can be its result.
	foreign bool
}

func (k keyless) equal(other keyless) bool {
	return k.is(other) && k.foreign == other.foreign && slices.Equal(k.from, other.from)
}

// is reports whether both are the same execution.
func (k keyless) is(other keyless) bool {
	return k.digest == other.digest && k.run.Started.Equal(other.run.Started) && k.run.Completed.Equal(other.run.Completed)
}

// enterKeyless notes the executions of a build that was just learned of which no key is
// known, and returns them as entries. stored is what the mirror says of the build, and g is
// sealed.
func (l *Ledger) enterKeyless(g cache.Graph, b Build, records []string, stored [][]cache.KeyID) (fresh []entry) {
	var found [][]cache.KeyID
	unknown := func(n int) bool {
		if b.Fates[n] != cache.Untouched {
			return len(stored[n]) == 0
		}
		if found == nil {
			found = l.mirror.SureKeys(g)
		}
		return len(found[n]) == 0
	}
	for i, fate := range b.Fates {
		if len(g.Nodes[i].Inputs) == 0 || fate == cache.Made && records[i] == "" || !unknown(i) {
			continue
		}
		var from []string
		for n := range madeFrom(g, i, unknown) {
			from = append(from, operation(g.Nodes[n]), records[n])
		}
		if fate != cache.Made {
			l.foundFrom(operation(g.Nodes[i]), from)
			continue
		}
		k := keyless{run: b.Runs[i], digest: operation(g.Nodes[i])}
		list := slices.Clone(l.keyless[records[i]])
		if at := slices.IndexFunc(list, k.is); at >= 0 { // for another platform, or learned again
			k = list[at]
			list = slices.Delete(list, at, at+1)
		} else {
			fresh = append(fresh, entry{records[i], b.Runs[i]})
		}
		l.setKeyless(records[i], append(list, k.with(from)))
	}
	return fresh
}

// with returns k with more of what it was made from.
func (k keyless) with(from []string) keyless {
	k.from = slices.Concat(k.from, from)
	slices.Sort(k.from)
	k.from = slices.Compact(k.from)
	return k
}

// foundFrom notes that what a keyless execution of an operation made was found upon other
// operations whose keys are not known: their keys lead there from now on.
func (l *Ledger) foundFrom(digest string, from []string) {
	for record, list := range l.keyless {
		list = slices.Clone(list)
		for i, k := range list {
			if k.digest == digest {
				list[i] = k.with(from)
			}
		}
		l.setKeyless(record, list)
	}
}

// operation returns the digest of the operation of a node that has inputs.
func operation(n cache.Node) string {
	if len(n.Digests) == 0 {
		return ""
	}
	return n.Digests[0]
}

// madeFrom returns the nodes that node i of g is made from, other than sources, as far as
// they and all between them and i are among some.
func madeFrom(g cache.Graph, i int, some func(n int) bool) map[int]bool {
	found, open := map[int]bool{}, []int{i}
	for len(open) > 0 {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		for _, in := range g.Nodes[at].Inputs {
			if n := in.Node; len(g.Nodes[n].Inputs) > 0 && !found[n] && some(n) {
				found[n], open = true, append(open, n)
			}
		}
	}
	return found
}

// addKeyless adds to runs, the executions of a record whose keys are known, the keyless ones
// that were made at about the same time as one of them, or as one that was added: what is
// listed may be the result of either.
func (l *Ledger) addKeyless(record string, runs map[buildkit.Run]*execution) {
	beside := func(k keyless) bool {
		for run := range runs {
			if overlap(run, k.run) {
				return true
			}
		}
		return false
	}
	for left := slices.Clone(l.keyless[record]); ; {
		at := slices.IndexFunc(left, beside)
		if at < 0 {
			return
		}
		if run := left[at].run; runs[run] == nil {
			runs[run] = &execution{run: run}
		}
		left = slices.Delete(left, at, at+1)
	}
}

// matchKeyless drops the keyless executions whose results are not listed, and returns the
// records that are foreign: of which a result is listed that no known execution made.
func (l *Ledger) matchKeyless(held listing, m matching) map[string]bool {
	for record := range l.keyless {
		if len(held[record]) == 0 {
			l.setKeyless(record, nil)
		}
	}
	foreign := map[string]bool{}
	for record, list := range held {
		left := slices.DeleteFunc(slices.Clone(list), func(h buildkit.Held) bool { return m.explained[h] })
		if len(l.keyless[record]) > 0 {
			var there []keyless
			there, left = stillHeld(l.keyless[record], list, left, m.surplus[record])
			l.setKeyless(record, there)
		}
		foreign[record] = m.surplus[record] || len(left) > 0 ||
			slices.ContainsFunc(l.keyless[record], func(k keyless) bool { return k.foreign })
	}
	return foreign
}

// stillHeld returns those of executions that may have made one of the results in held, and
// which of the unexplained ones are left if each of them made one. Where somebody else made
// one at about the same time, nothing tells which, and so once one is gone which that was:
// then all of the executions are foreign. surplus says that this is so.
func stillHeld(executions []keyless, held, unexplained []buildkit.Held, surplus bool) (there []keyless, left []buildkit.Held) {
	made := func(h buildkit.Held) bool {
		return slices.ContainsFunc(there, func(k keyless) bool { return mayMake(k.run, h) })
	}
	for _, k := range executions {
		if slices.ContainsFunc(held, func(h buildkit.Held) bool { return mayMake(k.run, h) }) {
			there = append(there, k)
		}
	}
	slices.SortFunc(there, func(a, b keyless) int {
		return cmp.Or(a.run.Completed.Compare(b.run.Completed), a.run.Started.Compare(b.run.Started), cmp.Compare(a.digest, b.digest))
	})
	left = slices.SortedFunc(slices.Values(unexplained), func(a, b buildkit.Held) int { return a.Created.Compare(b.Created) })
	for _, k := range there {
		if at := slices.IndexFunc(left, func(h buildkit.Held) bool { return mayMake(k.run, h) }); at >= 0 {
			left = slices.Delete(left, at, at+1)
		}
	}
	if surplus || slices.ContainsFunc(left, made) {
		for i := range there {
			there[i].foreign = true
		}
	}
	return there, left
}

// loseKeyless has all keyless executions be foreign, because the mirror forgets keys: some of
// these may lead to what they made.
func (l *Ledger) loseKeyless() {
	for record, list := range l.keyless {
		list = slices.Clone(list)
		for i := range list {
			list[i].foreign = true
		}
		l.setKeyless(record, list)
	}
}

// setKeyless replaces the keyless executions whose results are listed as record.
func (l *Ledger) setKeyless(record string, list []keyless) {
	if slices.EqualFunc(list, l.keyless[record], keyless.equal) {
		return
	}
	if len(list) == 0 {
		delete(l.keyless, record)
		l.change(unkeyed, record, nil)
		return
	}
	l.keyless[record] = list
	var b []byte
	for _, k := range list {
		b = binary.AppendVarint(b, k.run.Started.UnixNano())
		b = binary.AppendVarint(b, k.run.Completed.UnixNano())
		foreign := uint64(0)
		if k.foreign {
			foreign = 1
		}
		b = binary.AppendUvarint(appendText(b, k.digest), foreign)
		b = binary.AppendUvarint(b, uint64(len(k.from)))
		for _, digest := range k.from {
			b = appendText(b, digest)
		}
	}
	l.change(unkeyed, record, b)
}

// decodeKeyless reads what setKeyless wrote.
func decodeKeyless(d *decoder) (list []keyless) {
	for len(d.b) > 0 {
		k := keyless{run: buildkit.Run{Started: d.time(), Completed: d.time()}, digest: d.text(), foreign: d.number() != 0}
		for n := d.number(); n > 0 && !d.bad; n-- {
			k.from = append(k.from, d.text())
		}
		list = append(list, k)
	}
	return list
}

// keylessOperations returns the digests and the records of keyless executions, with
// keyless.from.
func (l *Ledger) keylessOperations() map[string][]string {
	from := map[string][]string{}
	for record, list := range l.keyless {
		for _, k := range list {
			from[k.digest] = append(from[k.digest], k.from...)
			from[record] = append(from[record], k.from...)
		}
	}
	delete(from, "")
	return from
}

// doubtKeyless marks the nodes of g whose results keyless executions may have made, and
// what these were made from as far as no key of it is known. Digests tell which these are:
// keys lead on by them, whatever the builder lists a result as. So do records, since nobody
// may have seen with which digest the operation ran last.
func (l *Ledger) doubtKeyless(g cache.Graph, records []string) {
	operations := l.keylessOperations()
	for i, n := range g.Nodes {
		from, is := operations[operation(n)]
		also, listed := operations[records[i]]
		if !is && !listed || len(n.Inputs) == 0 {
			continue
		}
		g.Nodes[i].Doubted = true
		from = slices.Concat(from, also)
		for n := range madeFrom(g, i, func(int) bool { return len(from) > 0 }) {
			if slices.Contains(from, operation(g.Nodes[n])) || records[n] != "" && slices.Contains(from, records[n]) {
				g.Nodes[n].Doubted = true
			}
		}
	}
}
