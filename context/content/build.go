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

// Compute returns the manifest of what is sent of top. Files are read whose sums
// their tree does not know yet; now is the time, by the clock that stamps files,
// from which on they may be. The manifest shares with before, that of an earlier
// selection, what did not change, at the cost of what did; before may be nil. An
// error is an [*UnstableError], what reading gave, or ctx's.
func Compute(ctx context.Context, top buildctx.SentDir, before *Manifest, now time.Time) (*Manifest, Work, error) {
	b := &builder{start: now}
	b.group, b.ctx = errgroup.WithContext(ctx)
	b.group.SetLimit(runtime.GOMAXPROCS(0))
	var old *Entry
	if before != nil {
		old = &Entry{Digest: before.root.rootHeader(), Dir: before.root}
	}
	d := b.plan(top, old)
	if err := b.group.Wait(); err != nil {
		return nil, Work{}, err
	}
	if err := ctx.Err(); err != nil {
		return nil, Work{}, err
	}
	root := d.same
	if root == nil {
		root = &Dir{source: entries(d.entries)}
	}
	m := &Manifest{root: b.finish(d, root.rootHeader())}
	return m, Work{Files: int(b.files.Load()), Bytes: b.bytes.Load()}, nil
}

// A builder makes one manifest: it plans the directories, lets their files be
// read meanwhile, and hashes the directories from the leaves up.
type builder struct {
	start time.Time
	ctx   context.Context // of one pass
	group *errgroup.Group

	files, bytes atomic.Int64
}

// A draft is a directory in the making.
type draft struct {
	old  *Entry // what it was
	same *Dir   // what it was holds still; nothing below is set then

	dir     buildctx.SentDir
	files   []buildctx.SentFile
	entries []Entry // parallel to files
	kids    []*draft
	missing []int // of files: whose sums were not remembered
}

// plan lists a directory, and has what is not known of it read.
func (b *builder) plan(dir buildctx.SentDir, old *Entry) *draft {
	if old != nil && old.Dir.madeOf(dir) {
		return &draft{old: old, same: old.Dir}
	}
	d := &draft{old: old, dir: dir}
	var was []Entry
	if old != nil {
		was = old.Dir.list()
	}
	for f := range dir.All() {
		e, known := entryOf(&f)
		if !known {
			d.missing = append(d.missing, len(d.files))
		}
		if f.Mode.IsDir() {
			d.kids = append(d.kids, b.plan(f.Dir, directoryIn(was, f.Name)))
		}
		d.files, d.entries = append(d.files, f), append(d.entries, e)
	}
	for list := range slices.Chunk(d.missing, batch) {
		b.group.Go(func() error { return b.read(d, list) })
	}
	return d
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
func (b *builder) read(d *draft, list []int) error {
	r, err := newReader(d.dir.Path())
	if err != nil {
		return err
	}
	defer r.close()
	for _, i := range list {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		s, n, err := r.sum(&d.files[i])
		if err != nil {
			return err
		}
		d.entries[i].set(s)
		if d.files[i].Stamp.Settled(b.start) {
			d.files[i].SetSum(s)
		}
		b.files.Add(1)
		b.bytes.Add(n)
	}
	return nil
}

// finish returns the directory, once all is read.
func (b *builder) finish(d *draft, header Digest) *Dir {
	if same := d.same; same != nil {
		if d.old.Digest == header {
			return same
		}
		return &Dir{digest: directoryDigest(header, same.list()), source: same.source}
	}
	kids, settled := d.kids, true
	for i := range d.files {
		e := &d.entries[i]
		if e.Mode.IsDir() {
			e.Dir, kids = b.finish(kids[0], e.Digest), kids[1:]
			_, made := e.Dir.source.(*made)
			settled = settled && made
		}
		settled = settled && d.files[i].Stamp.Settled(b.start)
	}
	next := &Dir{source: entries(d.entries)}
	if d.old != nil && d.old.Digest == header && slices.Equal(d.old.Dir.list(), d.entries) {
		next.digest = d.old.Dir.digest
	} else {
		next.digest = directoryDigest(header, d.entries)
	}
	if settled { // else look again the next time
		next.source = newMade(d)
	}
	return next
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
