package ledger

import (
	"cmp"
	"encoding/binary"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/stokerd/stoker/context/content"
)

// Snapshots are kept among the entries of their ledger, in the same transaction:
// what is known of a builder's results goes with what is known of its files.
const (
	copied = byte(9)  // a sender → when it last sent, and how many states its copy has
	pages  = byte(10) // a sender, a state and a page's key → the page
)

// mostKept is of how many senders the copies are kept: those that sent last.
const mostKept = 32

// Save gives put what has changed since the last call that put did not fail, by key as
// [Ledger.Save] does. It is to be called within that function's put, whose anew it takes.
func (s *Snapshots) Save(anew bool, put func(changes iter.Seq2[string, []byte]) error) error {
	s.mu.Lock()
	copies, kept := maps.Clone(s.copies), s.kept
	s.mu.Unlock()
	if anew {
		kept = nil
	}
	latestFirst := func(a, b string) int { return cmp.Or(copies[b].sent.Compare(copies[a].sent), cmp.Compare(a, b)) }
	if all := slices.SortedFunc(maps.Keys(copies), latestFirst); len(all) > mostKept {
		for _, from := range all[mostKept:] {
			delete(copies, from)
		}
	}
	if err := put(func(yield func(string, []byte) bool) { changesOf(copies, kept, yield) }); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = copies
	return nil
}

// changesOf yields what makes the values that are kept of kept those of copies.
func changesOf(copies, kept map[string]snapshot, yield func(string, []byte) bool) {
	state := func(h snapshot, i int) *content.Manifest {
		if i < len(h.states) {
			return h.states[i]
		}
		return nil
	}
	for from := range union(copies, kept) {
		now, was := copies[from], kept[from]
		if slices.Equal(now.states, was.states) && now.sent.Equal(was.sent) {
			continue
		}
		var value []byte
		if len(now.states) > 0 {
			value = binary.AppendUvarint(binary.AppendVarint(nil, now.sent.UnixNano()), uint64(len(now.states)))
		}
		if !yield(string(appendText([]byte{copied}, from)), value) {
			return
		}
		for i := range max(len(now.states), len(was.states)) {
			prefix := string(append(appendText([]byte{pages}, from), byte(i)))
			for key, page := range state(now, i).Pages(state(was, i)) {
				if !yield(prefix+key, page) {
					return
				}
			}
		}
	}
}

// union returns the entries of both maps, those of b where both have a key.
func union(a, b map[string]snapshot) map[string]snapshot {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// LoadSnapshots returns the snapshots that were kept among the entries of a ledger. They do
// not know what builds sent since: see [Snapshots.Behind]. If an entry cannot be decoded,
// it returns an error and empty snapshots.
func LoadSnapshots(seal func(string) string, entries iter.Seq2[string, []byte]) (*Snapshots, error) {
	s := NewSnapshots(seal)
	byState := map[string]map[string][]byte{} // pages, by what stands before their keys
	for key, value := range entries {
		if key == "" || key[0] != copied && key[0] != pages {
			continue
		}
		d := decoder{[]byte(key[1:]), false}
		from := d.text()
		if key[0] == pages && len(d.b) > 0 {
			state := from + string(d.b[0])
			if byState[state] == nil {
				byState[state] = map[string][]byte{}
			}
			byState[state][string(d.b[1:])] = value
			continue
		}
		v := decoder{value, false}
		h := snapshot{sent: v.time()}
		n := v.number()
		if d.bad || len(d.b) > 0 || v.bad || len(v.b) > 0 || n > mostStates {
			return NewSnapshots(seal), errDamaged
		}
		h.states = make([]*content.Manifest, n)
		s.copies[from] = h
	}
	for from, h := range s.copies {
		for i := range h.states {
			m, err := content.FromPages(byState[from+string([]byte{byte(i)})])
			if err != nil {
				return NewSnapshots(seal), err
			}
			h.states[i] = m
		}
	}
	s.kept = maps.Clone(s.copies)
	return s, nil
}

// Saw says that a build is accounted for that ended at the given time of the builder's
// clock: its operations, as far as they are known, with [Ledger.Learn], and its files in
// the builder's [Snapshots].
func (l *Ledger) Saw(ended time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ended.After(l.seen) {
		l.seen = ended
		l.noteSeen()
	}
}

// CaughtUp says that all builds are accounted for that ended until now, even if there were
// none.
func (l *Ledger) CaughtUp() { l.Saw(time.Unix(0, 0).UTC()) }

// noteSeen notes for Save when the last build ended that was accounted for.
func (l *Ledger) noteSeen() {
	if !l.seen.IsZero() {
		l.change(seen, "", binary.AppendVarint(nil, l.seen.UnixNano()))
	}
}

// Seen returns when the last build ended that is accounted for: the start of 1970 if all are
// and there was none, and the zero time if nobody ever looked.
func (l *Ledger) Seen() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}
