package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// A ledger is kept as pairs of a key and a value. The first byte of the key is one of these,
// which says what the rest of it stands for → what the value holds. They are stored: never
// renumber them.
const (
	links   = byte(cache.Leads)   // a link → the keys that it leads to
	guesses = byte(cache.MayLead) // a guess → the keys that it perhaps leads to
	lives   = byte(cache.Lives)   // a cache key → its life
	made    = byte(4)             // a cache key → its entries
	found   = byte(5)             // no longer in use: a claim that named no results
	lucky   = byte(6)             // an operation → its luck
	claimed = byte(7)             // a cache key → its claim
	seen    = byte(8)             // nothing → when the last build ended that was accounted for
	// 9 and 10 are copied and pages: see keep.go.
	mixes   = byte(11) // a record → when the results of its mixtures were made
	repeats = byte(12) // a graph → its repeat
	brought = byte(13) // a cache key → its imported results
	unkeyed = byte(14) // a record → its keyless executions
	strayed = byte(15) // a record → until when results of it that nobody knows led on
	torn    = byte(16) // the ID of a result that was listed on layers which were not there → 1
)

var errDamaged = errors.New("an entry of the ledger cannot be decoded")

// become replaces the mirror by m, which was made from it, and notes what is new.
func (l *Ledger) become(m *cache.Mirror) {
	if m == l.mirror {
		return
	}
	l.mirror = m
	for f := range m.News() {
		key, value := encodeFact(f)
		l.changes[key] = value
	}
}

// setEntries replaces the entries of a key.
func (l *Ledger) setEntries(key cache.KeyID, list []entry) {
	var b []byte
	for _, e := range list {
		b = appendText(b, e.record)
		b = binary.AppendVarint(b, e.run.Started.UnixNano())
		b = binary.AppendVarint(b, e.run.Completed.UnixNano())
	}
	if len(list) == 0 {
		if l.entries[key] != nil {
			l.change(made, string(key), nil)
		}
		delete(l.entries, key)
		return
	}
	l.entries[key] = list
	l.change(made, string(key), b)
}

// setClaim replaces the claim of a key; nil removes it.
func (l *Ledger) setClaim(key cache.KeyID, c *claim) {
	was, have := l.claims[key]
	switch {
	case c == nil && have:
		delete(l.claims, key)
		l.change(claimed, string(key), nil)
	case c != nil && !(have && was.record == c.record && slices.EqualFunc(was.created, c.created, time.Time.Equal)):
		l.claims[key] = *c
		b := appendText(nil, c.record)
		for _, at := range c.created {
			b = binary.AppendVarint(b, at.UnixNano())
		}
		l.change(claimed, string(key), b)
	}
}

// setMixed replaces the mixtures.
func (l *Ledger) setMixed(list []mixture) {
	encode := func(list []mixture) map[string][]byte {
		all := map[string][]byte{}
		for _, m := range list {
			for _, h := range m.held {
				all[m.record] = binary.AppendVarint(all[m.record], h.Created.UnixNano())
			}
		}
		return all
	}
	was, now := encode(l.mixed), encode(list)
	for record := range was {
		if now[record] == nil {
			l.change(mixes, record, nil)
		}
	}
	for record, times := range now {
		if !bytes.Equal(times, was[record]) {
			l.change(mixes, record, times)
		}
	}
	l.mixed = list
}

// change notes the value that is to be kept under a key, nil for none.
func (l *Ledger) change(kind byte, key string, value []byte) {
	l.changes[string(kind)+key] = value
}

func encodeLuck(l cache.Luck) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(l.Reused)), uint64(l.Of))
}

// Save gives put what has changed since the last call, by key: a value to keep, or nil for
// one to remove. anew says that all other values are to be removed as well. If put fails,
// its changes are given again by the next call. What is not kept when the program ends is
// as if nobody had observed it.
func (l *Ledger) Save(put func(anew bool, changes iter.Seq2[string, []byte]) error) error {
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	changes, anew := l.changes, l.renewed
	l.changes, l.renewed = map[string][]byte{}, false
	l.mu.Unlock()
	if len(changes) == 0 && !anew {
		return nil
	}
	err := put(anew, maps.All(changes))
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renewed {
		return err // the ledger started anew meanwhile: these changes are void
	}
	maps.Copy(changes, l.changes)
	l.changes, l.renewed = changes, anew
	return err
}

// Load returns the ledger that was kept as entries by [Ledger.Save]. It does not know what
// the builder did since, and so predicts nothing of what it holds before that is listed.
// If an entry cannot be decoded, Load returns an error and, with it, an empty ledger that
// takes the place of what is kept.
func Load(seal func(string) string, entries iter.Seq2[string, []byte]) (*Ledger, error) {
	l := New(seal)
	l.loading = listing{}
	var err error
	facts := func(yield func(cache.Fact) bool) {
		for key, value := range entries {
			var f cache.Fact
			if f, err = l.load(key, value); err != nil || f.Kind != 0 && !yield(f) {
				return
			}
		}
	}
	l.mirror = cache.MirrorOf(facts)
	if err != nil {
		return Anew(seal), err
	}
	l.mixed, l.loading = l.match(l.loading).mixed, nil
	slices.SortFunc(l.repeats, func(a, b *repeat) int { return a.learned.Compare(b.learned) })
	return l, nil
}

// Anew is [New] for a ledger that takes the place of the one that is kept.
func Anew(seal func(string) string) *Ledger {
	l := New(seal)
	l.renewed = true
	return l
}

// load enters what was kept under a key. If that is a fact of the mirror, it returns the
// fact instead; all others have the Kind 0.
func (l *Ledger) load(key string, value []byte) (cache.Fact, error) {
	if key == "" {
		return cache.Fact{}, errDamaged
	}
	d := decoder{value, false}
	switch kind, key := key[0], key[1:]; kind {
	case links, guesses, lives:
		return decodeFact(kind, key, value)
	case made:
		for len(d.b) > 0 {
			e := entry{record: d.text()}
			e.run = buildkit.Run{Started: d.time(), Completed: d.time()}
			l.entries[cache.KeyID(key)] = append(l.entries[cache.KeyID(key)], e)
		}
	case found: // that its result perhaps is there is kept as its life, too
		l.change(found, key, nil)
		d.b = nil
	case claimed:
		c := claim{record: d.text()}
		for len(d.b) > 0 {
			c.created = append(c.created, d.time())
		}
		l.claims[cache.KeyID(key)] = c
	case brought:
		l.imports[cache.KeyID(key)] = decodeImports(&d)
	case unkeyed:
		l.keyless[key] = decodeKeyless(&d)
	case strayed:
		l.bygone[key] = d.time()
	case torn:
		l.partial[key] = d.number() == 1
	case mixes:
		for len(d.b) > 0 {
			l.loading[key] = append(l.loading[key], buildkit.Held{Record: key, Created: d.time()})
		}
	case repeats:
		l.repeats = append(l.repeats, decodeRepeat(key, &d))
	case seen:
		l.seen = d.time()
	case copied, pages:
		d.b = nil // see LoadSnapshots
	case lucky:
		l.luck[key] = cache.Luck{Reused: int(d.number()), Of: int(d.number())}
	default:
		return cache.Fact{}, errDamaged
	}
	if d.bad || len(d.b) > 0 {
		return cache.Fact{}, errDamaged
	}
	return cache.Fact{}, nil
}

// encodeFact returns the key and the value by which f is kept.
func encodeFact(f cache.Fact) (key string, value []byte) {
	if f.Kind == cache.Lives {
		if f.Dropped {
			return string(lives) + string(f.Key), nil
		}
		return string(lives) + string(f.Key), []byte{byte(f.Life)}
	}
	b := []byte{byte(f.Kind)}
	b = appendText(b, string(f.Link.From))
	b = binary.AppendUvarint(b, uint64(f.Link.Input))
	b = binary.AppendUvarint(b, uint64(f.Link.Output))
	b = appendText(b, f.Link.Digest)
	b = appendText(b, f.Link.Selector)
	if f.Dropped {
		return string(b), nil
	}
	for _, to := range f.To {
		value = appendText(value, string(to))
	}
	return string(b), value
}

// decodeFact reads what encodeFact wrote; kind is the first byte of the key, and key the
// rest.
func decodeFact(kind byte, key string, value []byte) (cache.Fact, error) {
	f := cache.Fact{Kind: cache.FactKind(kind)}
	if kind == lives {
		if len(value) != 1 || value[0] > byte(cache.Perhaps) {
			return f, errDamaged
		}
		f.Key, f.Life = cache.KeyID(key), cache.Life(value[0])
		return f, nil
	}
	k, v := decoder{[]byte(key), false}, decoder{value, false}
	f.Link = cache.Link{From: cache.KeyID(k.text()), Input: int(k.number()), Output: int(k.number()), Digest: k.text(), Selector: k.text()}
	for len(v.b) > 0 {
		f.To = append(f.To, cache.KeyID(v.text()))
	}
	if k.bad || len(k.b) > 0 || v.bad || !slices.IsSorted(f.To) {
		return f, errDamaged
	}
	return f, nil
}

// appendText appends the length of s, and s.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// A decoder reads what appendText and the functions of package binary appended. It keeps
// the error: once something cannot be read, bad is set and all that follows reads as zero.
type decoder struct {
	b   []byte // what is left to read
	bad bool
}

// number reads an unsigned number of no more than 31 bits.
func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > 1<<31 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}

// time reads a time, as nanoseconds since 1970.
func (d *decoder) time() time.Time {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.b, d.bad = nil, true
		return time.Time{}
	}
	d.b = d.b[n:]
	return time.Unix(0, v).UTC()
}

// text reads what appendText appended.
func (d *decoder) text() string {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}
