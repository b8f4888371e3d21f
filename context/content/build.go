package content

import (
	"context"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	buildctx "github.com/stokerd/stoker/context"
)

// Work is what making a manifest took.
type Work struct {
	Files int   // files that were looked into
	Bytes int64 // of content that was read
}

// An UnstableError is a file that is not what the selection saw, or that
// changed while it was read: a digest would be of neither state. The mend is a
// selection of what is there now.
type UnstableError struct{ Path string } // absolute

func (e *UnstableError) Error() string {
	return fmt.Sprintf("digest %s: it changed since it was looked at", e.Path)
}

// batch is how many files of a directory are read in one go: enough to make
// opening the directory cheap, few enough to share the work of a large one.
const batch = 64

// waiting is how many pieces of work wait for a worker at most: enough that none is
// without, few enough that only little of a large tree is in the making at a time.
const waiting = 64

// Compute returns the manifest of what is sent of top. Files are read whose sums
// their tree does not know yet; now is the time, by the clock that stamps files,
// from which on they may be. The manifest shares with before, that of an earlier
// selection, what did not change, at the cost of what did; before may be nil. An
// error is an [*UnstableError], what reading gave, or ctx's.
func Compute(ctx context.Context, top buildctx.SentDir, before *Manifest, now time.Time) (*Manifest, Work, error) {
	b := &builder{start: now, work: make(chan func() error, waiting)}
	var group *errgroup.Group
	group, b.ctx = errgroup.WithContext(ctx)
	root := &draft{dir: top, result: &Entry{}}
	if before != nil {
		root.old = &Entry{Digest: before.root.rootHeader(), Dir: before.root}
	}
	b.work <- func() error { return b.directory(root) }
	for range runtime.GOMAXPROCS(0) {
		group.Go(b.worker)
	}
	if err := group.Wait(); err != nil {
		return nil, Work{}, err
	}
	return &Manifest{root: root.result.Dir}, Work{Files: int(b.files.Load()), Bytes: b.bytes.Load()}, nil
}

// A builder makes one manifest. Its workers list directories and read files, and
// the one that brings the last that a directory lacks hashes it: so little is held
// of what is in the making.
type builder struct {
	start time.Time
	ctx   context.Context // of one pass
	work  chan func() error

	files, bytes atomic.Int64
}

// worker works until the root is made, or something failed.
func (b *builder) worker() error {
	for {
		select {
		case <-b.ctx.Done():
			return b.ctx.Err()
		case do, more := <-b.work:
			if !more {
				return nil
			}
			if err := do(); err != nil {
				return err
			}
		}
	}
}

// share leaves work to any worker, and does it itself where enough waits.
func (b *builder) share(do func() error) error {
	select {
	case b.work <- do:
		return nil
	default:
		return do()
	}
}

// A draft is a directory in the making.
type draft struct {
	up     *draft // the directory that it is in; nil for the root
	result *Entry // in up.entries, with its own digest already
	old    *Entry // what it was
	dir    buildctx.SentDir

	entries []Entry // never moved: others fill them in
	settled bool    // the stamps of all of them are
	lacks   atomic.Int32
}

// A listed is a file, and the entry that it is to have.
type listed struct {
	buildctx.SentFile
	entry *Entry
}

// directory lists a directory, and has what is not known of it read.
func (b *builder) directory(d *draft) error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	if d.old != nil && d.old.Dir.madeOf(d.dir) {
		b.put(d, d.same())
		return nil
	}
	var was []Entry
	if d.old != nil {
		was = d.old.Dir.list()
	}
	var files []listed
	most := d.dir.AtMost()
	d.entries, d.settled = make([]Entry, 0, most), true
	d.lacks.Store(1) // until all is listed
	for f := range d.dir.All() {
		e, known := entryOf(&f)
		d.entries = append(d.entries, e)
		d.settled = d.settled && f.Stamp.Settled(b.start)
		it := listed{f, &d.entries[len(d.entries)-1]}
		var do func() error
		switch {
		case f.Mode.IsDir():
			if !known { // it must be before what is in there is done
				if err := b.read(d, []listed{it}); err != nil {
					return err
				}
			}
			sub := &draft{up: d, result: it.entry, old: directoryIn(was, f.Name), dir: f.Dir}
			do = func() error { return b.directory(sub) }
		case known:
			continue
		default:
			if files == nil {
				files = make([]listed, 0, min(most, batch))
			}
			if files = append(files, it); len(files) < batch {
				continue
			}
			part := files
			files = nil
			do = func() error { return b.part(d, part) }
		}
		d.lacks.Add(1)
		if err := b.share(do); err != nil {
			return err
		}
	}
	return b.part(d, files)
}

// part brings some of what d lacks.
func (b *builder) part(d *draft, list []listed) error {
	if err := b.read(d, list); err != nil {
		return err
	}
	b.found(d)
	return nil
}

// found notes that d lacks one thing less, and makes it if that was the last.
func (b *builder) found(d *draft) {
	if d.lacks.Add(-1) == 0 {
		b.put(d, d.finish())
	}
}

// put notes what d has become.
func (b *builder) put(d *draft, made *Dir) {
	d.result.Dir = made
	if d.up == nil {
		close(b.work)
		return
	}
	b.found(d.up)
}

// directoryIn returns the directory called name, nil if there is none.
func directoryIn(entries []Entry, name string) *Entry {
	if e := find(entries, name); e != nil && e.Dir != nil {
		return e
	}
	return nil
}

// entryOf returns the entry of a file, of a directory without what is in it, and
// whether it has its sums: those that the file's tree knows.
func entryOf(f *buildctx.SentFile) (e Entry, known bool) {
	_, mtime, _, inode := f.Stamp.Parts()
	e = Entry{Name: f.Name, Mode: f.Mode, Size: f.Size, Link: f.Link, Modified: mtime}
	if f.Mode&(fs.ModeDir|fs.ModeSymlink) == 0 {
		e.inode, e.links = inode, f.Linked
	}
	sum, known := f.Sum()
	e.set(sum)
	return e, known
}

func (e *Entry) set(s buildctx.Sum) { e.Digest, e.Data = s.Digest, s.Data }

// read fills in the sums of some files of a directory.
func (b *builder) read(d *draft, list []listed) error {
	r := newReader(d.dir.Path())
	defer r.close()
	for i := range list {
		it := &list[i]
		if err := b.ctx.Err(); err != nil {
			return err
		}
		s, n, err := r.sum(&it.SentFile)
		if err != nil {
			return err
		}
		it.entry.set(s)
		if it.Stamp.Settled(b.start) {
			it.SetSum(s)
		}
		b.files.Add(1)
		b.bytes.Add(n)
	}
	return nil
}

// header returns the digest of the directory without what is in it: of the root,
// it depends on what that is.
func (d *draft) header(in source) Digest {
	if d.up == nil {
		return (&Dir{source: in}).rootHeader()
	}
	return d.result.Digest
}

// same returns the directory where what it was holds still.
func (d *draft) same() *Dir {
	same := d.old.Dir
	header := d.header(same.source)
	if d.old.Digest == header {
		return same
	}
	return &Dir{digest: directoryDigest(header, same.list()), source: same.source}
}

// finish returns the directory, once all is read.
func (d *draft) finish() *Dir {
	next := &Dir{source: entries(d.entries)}
	header := d.header(next.source)
	if d.old != nil && d.old.Digest == header && slices.Equal(d.old.Dir.list(), d.entries) {
		next.digest = d.old.Dir.digest
	} else {
		next.digest = directoryDigest(header, d.entries)
	}
	if d.settled && !slices.ContainsFunc(d.entries, unsettled) { // else look again the next time
		next.source = newMade(d)
	}
	return next
}

// unsettled reports whether something below a directory must be looked at again.
func unsettled(e Entry) bool {
	if e.Dir == nil {
		return false
	}
	_, made := e.Dir.source.(*made)
	return !made
}

// made is the source of a directory whose sums its tree has noted. There are many,
// and most are never asked for their entries again.
type made struct {
	of      buildctx.Listing
	kids    *[]*Dir // the directories, in their order; nil for none
	several bool    // see linked
}

func newMade(d *draft) *made {
	m := &made{of: d.dir.Listing(), several: entries(d.entries).linked()}
	var kids []*Dir
	for i := range d.entries {
		if dir := d.entries[i].Dir; dir != nil {
			kids = append(kids, dir)
		}
	}
	if kids != nil {
		kids = slices.Clip(kids)
		m.kids = &kids
	}
	return m
}

func (m *made) linked() bool { return m.several }
func (m *made) last() string { return m.of.Last() }

func (m *made) list() []Entry {
	list := make([]Entry, 0, m.of.Len())
	var kids []*Dir
	if m.kids != nil {
		kids = *m.kids
	}
	for f := range m.of.All() {
		e, _ := entryOf(&f)
		if f.Mode.IsDir() {
			e.Dir, kids = kids[0], kids[1:]
		}
		list = append(list, e)
	}
	return list
}

// madeOf reports whether d was made of what is sent of dir.
func (d *Dir) madeOf(dir buildctx.SentDir) bool {
	m, ok := d.source.(*made)
	return ok && m.of.Of(dir)
}
