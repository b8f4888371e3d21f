package buildctx

import (
	"context"
	"encoding/binary"
	"io/fs"
	"iter"
	"path/filepath"
	"time"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
)

// A SentDir is a directory as it is sent to the builder. The zero SentDir is empty.
type SentDir struct{ *sentDir }

// A sentDir is what a [SentDir] points to, so that a [SentFile], of which few are
// directories, is small.
type sentDir struct {
	path    string // absolute
	summary *summary
	filter  *filter
	place   place
}

// A SentFile is an entry of a [SentDir].
type SentFile struct {
	Name         string
	Mode         fs.FileMode
	Size         int64
	Link         string // target of a symbolic link
	Major, Minor int64  // numbers of a device, as fsutil splits them
	Linked       bool   // the file had several names when it was looked at
	Stamp        Stamp
	Dir          SentDir // its contents, if it is a directory
	Handle
}

// A Handle is a [SentFile] in a compact form, without its Dir.
type Handle struct {
	in *directory
	at int // index into in.entries
}

// File returns the file. Its Dir is zero.
func (h Handle) File() SentFile {
	if e := &h.in.entries[h.at]; e.end&isOdd == 0 && !e.mode.IsDir() { // most files
		return SentFile{
			Name: h.in.name(h.at), Mode: e.mode, Size: e.size, Linked: e.end&isLinked != 0, Handle: h,
			Stamp: Stamp{size: e.size, mtime: e.mtime, ctime: e.ctime, inode: e.inode, mode: e.mode},
		}
	}
	it := h.in.item(h.at)
	f := SentFile{
		Name: it.name, Mode: it.mode, Size: it.size, Link: it.odd.link, Linked: it.linked, Stamp: it.stamp(), Handle: h,
	}
	if it.mode&fs.ModeDevice != 0 {
		f.Major, f.Minor = deviceNumbers(it.odd.device)
	}
	return f
}

// Top returns the context's root as it is sent. That of a remote context is empty.
func (l Local) Top() SentDir {
	if l.top == nil {
		return SentDir{}
	}
	return SentDir{&sentDir{path: l.Root, summary: l.top, filter: l.filter, place: l.filter.root()}}
}

// Sent returns what the request r would have sent of t. Links in the paths of r are
// followed. It is for a plan without a selection, which would combine all requests for
// one context. The error is a directory that cannot be read, a malformed pattern, or
// ctx's.
func (t *Tree) Sent(ctx context.Context, r dockerfile.Request) (SentDir, error) {
	exclude, err := patterns(r.Excludes)
	if err == nil && exclude == nil {
		exclude, err = ignore.NewMatcher(&ignore.File{})
	}
	if err != nil {
		return SentDir{}, err
	}
	f, err := newFilter(exclude, &treeFS{top: t.top, root: t.root}, []dockerfile.Request{r}, nil)
	if err != nil {
		return SentDir{}, err
	}
	s := summarizer{ctx: ctx, filter: f}
	sum, err := s.directory(t.top, f.root(), nil)
	if err != nil {
		return SentDir{}, err
	}
	return SentDir{&sentDir{path: t.root, summary: sum, filter: f, place: f.root()}}, nil
}

// AtMost returns how many files [SentDir.All] yields at most.
func (d SentDir) AtMost() int {
	if d.sentDir == nil {
		return 0
	}
	return len(d.summary.dir.entries)
}

// Path returns the absolute path of the directory.
func (d SentDir) Path() string {
	if d.sentDir == nil {
		return ""
	}
	return d.path
}

// All yields the entries that are sent, by name in byte order.
func (d SentDir) All() iter.Seq[SentFile] {
	return func(yield func(SentFile) bool) {
		for i := range d.AtMost() {
			if !d.sends(i) {
				continue
			}
			f := Handle{d.summary.dir, i}.File()
			if f.Mode.IsDir() {
				f.Dir = d.below(i, f.Name)
			}
			if !yield(f) {
				return
			}
		}
	}
}

// Sends reports whether a file or directory called name in d would be sent, or something
// in such a directory.
func (d SentDir) Sends(name string) bool {
	if d.sentDir == nil {
		return false
	}
	if d.filter.file(d.place, name).sent {
		return true
	}
	p := d.filter.enter(d.place, name)
	if p.exclude.Pruned() {
		return false
	}
	entered, _ := d.filter.visited(p)
	return entered
}

// sends reports whether the entry at i of the directory is sent.
func (d *sentDir) sends(i int) bool {
	dir := d.summary.dir
	if !dir.entries[i].mode.IsDir() {
		return d.filter.file(d.place, dir.name(i)).sent
	}
	kid := d.summary.child(dir.item(i))
	return kid != nil && kid.in && kid.asked
}

// below returns the contents of the directory name, which is the entry at i.
func (d *sentDir) below(i int, name string) SentDir {
	kid := d.summary.child(d.summary.dir.item(i))
	return SentDir{&sentDir{filepath.Join(d.path, name), kid, d.filter, d.filter.enter(d.place, name)}}
}

// A Listing is a compact form of what is sent of one directory, without the contents
// of its subdirectories. It is meant to be kept in large numbers. It holds on to the
// memory of its directory and everything below.
type Listing struct {
	summary *summary
	at      *[]uint32 // which of the directory's entries are sent; nil for all
}

// Listing returns the entries that [SentDir.All] yields; sent is how many these are.
func (d SentDir) Listing(sent int) Listing {
	if d.sentDir == nil {
		return Listing{summary: &summary{dir: &directory{}}}
	}
	l := Listing{summary: d.summary}
	if sent < d.AtMost() {
		at := make([]uint32, 0, sent)
		for i := range d.AtMost() {
			if d.sends(i) {
				at = append(at, uint32(i))
			}
		}
		l.at = &at
	}
	return l
}

// Of reports whether l still describes d: the same names with the same stamps are
// sent. It stays true for later selections as long as nothing in d changes.
func (l Listing) Of(d SentDir) bool { return d.sentDir != nil && l.summary == d.summary }

// Len returns the number of entries.
func (l Listing) Len() int {
	if l.at != nil {
		return len(*l.at)
	}
	return len(l.summary.dir.entries)
}

// Last returns the name of the last entry, "" if there is none.
func (l Listing) Last() string {
	i := l.Len() - 1
	if i < 0 {
		return ""
	}
	if l.at != nil {
		i = int((*l.at)[i])
	}
	return l.summary.dir.name(i)
}

// All yields the entries, by name in byte order. The Dir of a subdirectory is zero.
func (l Listing) All() iter.Seq[SentFile] {
	return func(yield func(SentFile) bool) {
		for i := range l.Len() {
			if l.at != nil {
				i = int((*l.at)[i])
			}
			if !yield(Handle{l.summary.dir, i}.File()) {
				return
			}
		}
	}
}

// deviceNumbers splits the number of a device as fsutil does (fsutil: major, minor).
func deviceNumbers(device uint64) (major, minor int64) {
	return int64(device>>8) & 0xfff, int64(device&0xff | (device>>12)&0xfff00)
}

// Parts returns what s consists of apart from the mode: the size in bytes, mtime and
// ctime in nanoseconds, and the inode. ctime and inode are 0 where the system has none.
func (s Stamp) Parts() (size, mtime, ctime int64, inode uint64) {
	return s.size, s.mtime, s.ctime, s.inode
}

// coarsestTick is the resolution of the coarsest file times in use, FAT's.
const coarsestTick = 2 * time.Second

// Settled reports whether any change after now is certain to give the file another
// stamp. If the file changed just before now, a second change within the same tick of
// the file system's clock could leave the stamp as it is (git calls such an entry
// racily clean).
func (s Stamp) Settled(now time.Time) bool {
	changed := s.ctime
	if changed == 0 {
		changed = s.mtime
	}
	return changed < now.Add(-coarsestTick).UnixNano()
}

// stampSize is the length of what append appends.
const stampSize = 4*8 + 4

// append appends an encoding of s to b. Equal stamps have equal encodings.
func (s Stamp) append(b []byte) []byte {
	for _, v := range []int64{s.size, s.mtime, s.ctime, int64(s.inode)} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return binary.BigEndian.AppendUint32(b, uint32(s.mode))
}
