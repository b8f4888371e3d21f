package store

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stokerd/stoker/cache"
)

// The codes of outcomes and statuses are their indexes here. Since they are in files,
// these lists may only be appended to. Code 0 is for one that is not in the list, whose
// text follows.
var (
	outcomes = []cache.Outcome{"", cache.Hit, cache.Imported, cache.Joined, cache.Executed, cache.Cascaded, cache.Skipped, cache.Failed}
	statuses = []cache.Status{"", cache.Completed, cache.Broken, cache.Canceled}
)

// The first byte of a step has the code of the outcome in the low four bits, and these
// flags.
const (
	codeMask   = 0x0f
	hasStarted = 0x10
	hasSeconds = 0x20
)

// The first byte of a record's status has its code in the low four bits, and these flags for
// what of [cache.RemoteUse] is not zero.
const (
	hasExport = 0x10
	hasImport = 0x20
	hasFetch  = 0x40
	hasRead   = 0x80
)

// A layout is what the records of one definition have in common until its Dockerfile
// changes.
type layout struct {
	builder, repository, definition string
	steps                           []cache.Step // with only the fields that are constant
}

// encodeLayout encodes the layout of a record.
func encodeLayout(r cache.Record) []byte {
	b := appendString(nil, r.Builder)
	b = appendString(b, r.Repository)
	b = appendString(b, r.Definition)
	b = binary.AppendUvarint(b, uint64(len(r.Steps)))
	for _, s := range r.Steps {
		b = appendString(b, s.Name)
		b = appendString(b, s.Stage)
		b = appendString(b, s.Platform)
		b = binary.AppendVarint(b, int64(s.Index))
		b = binary.AppendVarint(b, int64(s.Total))
		b = binary.AppendVarint(b, int64(s.Line))
	}
	return b
}

// decodeLayout is the inverse of encodeLayout.
func decodeLayout(b []byte) (*layout, error) {
	d := decoder{b: b}
	l := &layout{builder: d.text(), repository: d.text(), definition: d.text()}
	n := d.count()
	for range n {
		l.steps = append(l.steps, cache.Step{
			Name: d.text(), Stage: d.text(), Platform: d.text(),
			Index: int(d.signed()), Total: int(d.signed()), Line: int(d.signed()),
		})
	}
	return l, d.end("layout")
}

// encodeRecord encodes what a record has that is neither in its layout, number id, nor
// in its key.
func encodeRecord(id uint32, r cache.Record) []byte {
	b := binary.AppendUvarint(nil, uint64(id))
	b = binary.AppendVarint(b, int64(r.Generation))
	b = appendCoded(b, max(0, slices.Index(statuses, r.Status)), remoteFlags(r.Remote), string(r.Status))
	b = appendString(b, r.Ref)
	b = appendString(b, r.Error)
	b = binary.AppendVarint(b, int64(r.Completed.Sub(r.Created)))
	for _, seconds := range []float64{r.Remote.Export, r.Remote.Import, r.Remote.Fetch} {
		if seconds != 0 {
			b = appendFloat(b, seconds)
		}
	}
	for _, s := range r.Steps {
		var flags byte
		if !s.Started.IsZero() {
			flags |= hasStarted
		}
		if s.Seconds != 0 {
			flags |= hasSeconds
		}
		b = appendCoded(b, max(0, slices.Index(outcomes, s.Outcome)), flags, string(s.Outcome))
		if flags&hasStarted != 0 {
			b = binary.AppendVarint(b, int64(s.Started.Sub(r.Created)))
		}
		if flags&hasSeconds != 0 {
			b = appendFloat(b, s.Seconds)
		}
	}
	return b
}

// remoteFlags returns the flags for what of u is not zero.
func remoteFlags(u cache.RemoteUse) (flags byte) {
	for flag, is := range map[byte]bool{hasExport: u.Export != 0, hasImport: u.Import != 0, hasFetch: u.Fetch != 0, hasRead: u.Read} {
		if is {
			flags |= flag
		}
	}
	return flags
}

// decodeRecord is the inverse of encodeRecord. The record's steps are allocated in space.
func decodeRecord(d *decoder, l *layout, completed time.Time, space *arena) (cache.Record, error) {
	r := cache.Record{
		Builder: l.builder, Repository: l.repository, Definition: l.definition,
		Generation: int32(d.signed()),
		Completed:  completed,
	}
	code, remote := d.coded(len(statuses))
	r.Status = statuses[code]
	if code == 0 {
		r.Status = cache.Status(d.text())
	}
	r.Ref, r.Error = d.text(), d.text()
	r.Created = completed.Add(-time.Duration(d.signed()))
	if remote != 0 {
		r.Remote = d.remote(remote)
	}
	r.Steps = space.cut(len(l.steps))
	copy(r.Steps, l.steps)
	for i := range r.Steps {
		s := &r.Steps[i]
		code, flags := d.coded(len(outcomes))
		s.Outcome = outcomes[code]
		if code == 0 {
			s.Outcome = cache.Outcome(d.text())
		}
		if flags&hasStarted != 0 {
			s.Started = r.Created.Add(time.Duration(d.signed()))
		}
		if flags&hasSeconds != 0 {
			s.Seconds = d.float()
		}
	}
	return r, d.end("record")
}

// An arena allocates slices of steps from larger pieces. Without it, a scan of many
// records spends most of its time in the allocator.
type arena struct{ piece, free []cache.Step }

// cut returns a slice of n steps that is not used otherwise until reset.
func (a *arena) cut(n int) []cache.Step {
	if n == 0 {
		return nil
	}
	if n > len(a.free) {
		a.piece = make([]cache.Step, max(n, 256, min(2*len(a.piece), 4096)))
		a.free = a.piece
	}
	s := a.free[:n:n]
	a.free = a.free[n:]
	return s
}

// reset makes the slices that were cut from the current piece available again.
func (a *arena) reset() { a.free = a.piece }

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendFloat(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(v))
}

// appendCoded appends a code with flags, and the text if the code is 0.
func appendCoded(b []byte, code int, flags byte, text string) []byte {
	b = append(b, byte(code)|flags)
	if code == 0 {
		b = appendString(b, text)
	}
	return b
}

// A decoder reads what the append functions wrote. Its methods return no errors: after
// the first malformed value they return zeros, and end reports it.
type decoder struct {
	b   []byte // what is left to read
	bad bool   // something was malformed
}

// take returns the next n bytes. If there are fewer, or ok is false, the input is
// malformed.
func (d *decoder) take(n int, ok bool) []byte {
	if !ok || n < 0 || n > len(d.b) {
		d.b, d.bad = nil, true
		return nil
	}
	taken := d.b[:n]
	d.b = d.b[n:]
	return taken
}

func (d *decoder) unsigned() uint64 {
	v, n := binary.Uvarint(d.b)
	d.take(n, n > 0)
	return v
}

func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.b)
	d.take(n, n > 0)
	return v
}

// count reads the number of items that follow, each of which has at least one byte.
func (d *decoder) count() int {
	n := d.unsigned()
	if n > uint64(len(d.b)) {
		d.take(0, false)
		return 0
	}
	return int(n)
}

func (d *decoder) text() string { return string(d.take(d.count(), true)) }

func (d *decoder) float() float64 {
	if b := d.take(8, true); b != nil {
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	return 0
}

// remote reads what of a record's use of remote caches is not zero, as flags say.
func (d *decoder) remote(flags byte) cache.RemoteUse {
	u := cache.RemoteUse{Read: flags&hasRead != 0}
	if flags&hasExport != 0 {
		u.Export = d.float()
	}
	if flags&hasImport != 0 {
		u.Import = d.float()
	}
	if flags&hasFetch != 0 {
		u.Fetch = d.float()
	}
	return u
}

// coded reads a code, which must be less than n, and its flags.
func (d *decoder) coded(n int) (code int, flags byte) {
	b := d.take(1, true)
	if b == nil {
		return 0, 0
	}
	code, flags = int(b[0]&codeMask), b[0]&^codeMask
	if code >= n {
		d.take(0, false)
		return 0, 0
	}
	return code, flags
}

// end returns an error if something was malformed, or if anything is left to read.
func (d *decoder) end(what string) error {
	if d.bad || len(d.b) > 0 {
		return fmt.Errorf("%w: a %s that does not decode", ErrCorrupt, what)
	}
	return nil
}
