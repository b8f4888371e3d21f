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

// A ledger is kept as entries by key, the first byte of which says what they are
// of. They are stored: never renumber them.
const (
	links   = byte(cache.Leads)   // a link → the keys that it leads to
	guesses = byte(cache.MayLead) // the same
	lives   = byte(cache.Lives)   // a key → its life
	made    = byte(4)             // a key → the executions that made its result
	found   = byte(5)             // not in use any more: a claim that named no results
	lucky   = byte(6)             // an operation → its luck
	claimed = byte(7)             // a key → its claim
	seen    = byte(8)             // nothing → when the last build ended that was accounted for
	// copied and pages are 9 and 10.
	mixes   = byte(11) // a record → when the results were made that are mixed there
	repeats = byte(12) // a build's graph → when it was learned, and the results that were held of it
	brought = byte(13) // a key → the results that were brought of it
)

var errDamaged = errors.New("an entry of a ledger that does not decode")

// become takes a mirror that was made from the present one.
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

// setClaim notes what is known of the result of a key, nil for no more.
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

// setMixed notes what cannot be told apart once one of it is gone.
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

func (l *Ledger) change(kind byte, key string, value []byte) {
	l.changes[string(kind)+key] = value
}

func encodeLuck(l cache.Luck) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(l.Reused)), uint64(l.Of))
}

// Save gives put what has changed since it was last called, as entries by key, one
// without a value being no more. anew says that no other entry holds. What put
// fails to keep it is given again the next time. What was not kept when the
// program ends is as if nobody had observed it.
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
		return err // those are of no interest any more
	}
	maps.Copy(changes, l.changes)
	l.changes, l.renewed = changes, anew
	return err
}

// Load returns a ledger of what was kept of one, given its entries. What the
// builder did since it does not know, and so nothing of what it holds before it
// is listed. Where an entry cannot be read it returns an empty ledger beside the
// error, to be kept in place of it.
func Load(seal func(string) string, entries iter.Seq2[string, []byte]) (*Ledger, error) {
	l := New(seal)
	l.mixing = listing{}
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
	l.mixed, l.mixing = l.match(l.mixing).mixed, nil
	slices.SortFunc(l.repeats, func(a, b *repeat) int { return a.learned.Compare(b.learned) })
	return l, nil
}

// Anew is New for a ledger that takes the place of what is kept.
func Anew(seal func(string) string) *Ledger {
	l := New(seal)
	l.renewed = true
	return l
}

// load enters what was kept under a key, or returns the fact that it is.
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
	case found: // its result perhaps is there, which is a fact of its own
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
	case mixes:
		for len(d.b) > 0 {
			l.mixing[key] = append(l.mixing[key], buildkit.Held{Record: key, Created: d.time()})
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

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// A decoder reads what the append functions wrote. After the first thing that
// cannot be, it reads zeros and is bad.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > 1<<31 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) time() time.Time {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.b, d.bad = nil, true
		return time.Time{}
	}
	d.b = d.b[n:]
	return time.Unix(0, v).UTC()
}

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
