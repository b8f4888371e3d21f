package buildctx

import (
	"context"
	"encoding/binary"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"time"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
)

// A SentDir is a directory as the builder is sent it.
type SentDir struct {
	path    string // absolute
	summary *summary
	filter  *filter
	place   place
}

// A SentFile is a name in a [SentDir].
type SentFile struct {
	Name         string
	Mode         fs.FileMode
	Size         int64
	Link         string // target of a symbolic link
	Major, Minor int64  // of a device, as fsutil reads them
	Linked       bool   // it had several names when it was looked at
	Stamp        Stamp
	Dir          SentDir // of a directory

	in *directory
	at int // in in.entries
}

// Top returns the context's root as it is sent; the zero value, in which nothing
// is, for a remote context.
func (l Local) Top() SentDir {
	if l.top == nil {
		return SentDir{}
	}
	return SentDir{path: l.Root, summary: l.top, filter: l.filter, place: l.filter.root()}
}

// Sent returns what a request brings of t, links in its paths followed. It is
// for requests of a plan without a selection; one that has several asks for all
// of them at once. An error is a directory that cannot be read, a bad pattern, or
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
	return SentDir{path: t.root, summary: sum, filter: f, place: f.root()}, err
}

// Path returns the absolute path of the directory.
func (d SentDir) Path() string { return d.path }

// All yields what is sent of the directory by name, in byte order.
func (d SentDir) All() iter.Seq[SentFile] {
	return func(yield func(SentFile) bool) {
		if d.summary == nil {
			return
		}
		for i := range d.summary.dir.entries {
			it := d.summary.dir.item(i)
			if it.dir == nil {
				if d.filter.file(d.place, it.name).sent && !yield(d.file(i, it)) {
					return
				}
				continue
			}
			kid := d.summary.child(it)
			if kid == nil || !kid.in || !kid.asked {
				continue
			}
			f := d.file(i, it)
			f.Dir = SentDir{filepath.Join(d.path, it.name), kid, d.filter, d.filter.enter(d.place, it.name)}
			if !yield(f) {
				return
			}
		}
	}
}

// A Listing is what is sent of one directory, without what is in the directories
// in it, in little space: for those who keep many for long. It keeps the
// directory and what is below it alive.
type Listing struct {
	summary *summary
	at      *[]uint32 // in the directory's entries; nil for all
}

// Listing returns what [SentDir.All] yields.
func (d SentDir) Listing() Listing {
	if d.summary == nil {
		return Listing{summary: &summary{dir: &directory{}}}
	}
	l := Listing{summary: d.summary}
	var at []uint32
	for f := range d.All() {
		at = append(at, uint32(f.at))
	}
	if len(at) < len(d.summary.dir.entries) {
		at = slices.Clip(at)
		l.at = &at
	}
	return l
}

// Of reports whether l is of d: whether the same is sent of it, the same names
// with the same stamps. That is so for a later selection's directory in which
// nothing changed.
func (l Listing) Of(d SentDir) bool { return l.summary == d.summary }

// Len returns how many there are.
func (l Listing) Len() int {
	if l.at != nil {
		return len(*l.at)
	}
	return len(l.summary.dir.entries)
}

// All yields what is sent of the directory by name, in byte order. Directories
// have nothing in them.
func (l Listing) All() iter.Seq[SentFile] {
	return func(yield func(SentFile) bool) {
		for i := range l.Len() {
			if l.at != nil {
				i = int((*l.at)[i])
			}
			if dir := l.summary.dir; !yield(sentFile(dir, i, dir.item(i))) {
				return
			}
		}
	}
}

func (d SentDir) file(i int, it item) SentFile { return sentFile(d.summary.dir, i, it) }

func sentFile(dir *directory, i int, it item) SentFile {
	f := SentFile{
		Name: it.name, Mode: it.mode, Size: it.size, Link: it.odd.link, Linked: it.linked, Stamp: it.stamp(),
		in: dir, at: i,
	}
	if it.mode&fs.ModeDevice != 0 {
		f.Major, f.Minor = deviceNumbers(it.odd.device)
	}
	return f
}

// deviceNumbers parts a device's number as fsutil does (fsutil: major, minor).
func deviceNumbers(device uint64) (major, minor int64) {
	return int64(device>>8) & 0xfff, int64(device&0xff | (device>>12)&0xfff00)
}

// Parts returns what s consists of beside the mode: the size, the times of the
// last change of content and of anything, in nanoseconds, and the inode.
func (s Stamp) Parts() (size, mtime, ctime int64, inode uint64) {
	return s.size, s.mtime, s.ctime, s.inode
}

// coarsest is the step of the coarsest stamps of any file system (FAT's).
const coarsest = 2 * time.Second

// Settled reports whether a change after now must give the file another stamp.
// One that is not older than what clocks tell apart could stay the same (git
// calls such an entry racily clean).
func (s Stamp) Settled(now time.Time) bool {
	changed := s.ctime
	if changed == 0 {
		changed = s.mtime
	}
	return changed < now.Add(-coarsest).UnixNano()
}

// stampSize is the length of an encoded stamp.
const stampSize = 4*8 + 4

// append appends s as bytes that are equal for equal stamps.
func (s Stamp) append(b []byte) []byte {
	for _, v := range []int64{s.size, s.mtime, s.ctime, int64(s.inode)} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return binary.BigEndian.AppendUint32(b, uint32(s.mode))
}
