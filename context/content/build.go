package content

import (
	"context"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	buildctx "github.com/stokerd/stoker/context"
)

// Work says how much was read to make a manifest.
type Work struct {
	Files int   // files that were opened, or whose attributes were read
	Bytes int64 // of content
}

// An UnstableError reports a file that is no longer what the selection saw, or that
// changed while it was read, so that its digest would be of neither state. The caller
// has to make a new selection and try again.
type UnstableError struct{ Path string } // absolute

func (e *UnstableError) Error() string {
	return fmt.Sprintf("digest %s: it changed since it was looked at", e.Path)
}

// batchSize is how many files of a directory one task reads: enough that opening the
// directory costs little in comparison, few enough that several workers share a large
// directory.
const batchSize = 64

// queueLength is how many tasks may wait for a worker: enough to keep the workers busy,
// few enough that only a small part of a large tree is unfinished at any time.
const queueLength = 64

// Compute returns the manifest of what is sent of top. It reads the files whose sums
// their tree does not know yet, and notes the sums there. A file that was stamped too
// shortly before now, the current time by the clock of the file system, may change
// again without a new stamp, and its sum is not noted.
//
// before is the manifest of an earlier selection, or nil. Directories that did not
// change are shared with it, and cost nothing. The error is an [*UnstableError], an
// error of reading, or that of ctx.
func Compute(ctx context.Context, top buildctx.SentDir, before *Manifest, now time.Time) (*Manifest, Work, error) {
	b := &builder{start: now, tasks: make(chan func() error, queueLength)}
	var group *errgroup.Group
	group, b.ctx = errgroup.WithContext(ctx)
	root := &draft{dir: top, result: &Entry{}}
	if before != nil {
		root.old = &Entry{Digest: before.root.rootHeader(), Dir: before.root}
	}
	b.tasks <- func() error { return b.list(root) }
	for range runtime.GOMAXPROCS(0) {
		group.Go(b.worker)
	}
	if err := group.Wait(); err != nil {
		return nil, Work{}, err
	}
	return &Manifest{root: root.result.Dir}, Work{Files: int(b.files.Load()), Bytes: b.bytes.Load()}, nil
}

// A builder makes one manifest. Its workers run tasks: to list a directory, or to read
// a batch of files. Whoever completes the last task of a directory hashes it, so that a
// directory is finished as early as possible and little is kept of unfinished ones.
type builder struct {
	start time.Time       // see Compute, now
	ctx   context.Context // ends when a worker fails; a builder lives for one call of Compute
	tasks chan func() error

	files, bytes atomic.Int64 // see Work
}

// worker runs tasks until the root is finished, or a worker failed.
func (b *builder) worker() error {
	for {
		select {
		case <-b.ctx.Done():
			return b.ctx.Err()
		case task, more := <-b.tasks:
			if !more {
				return nil
			}
			if err := task(); err != nil {
				return err
			}
		}
	}
}

// share leaves a task to any worker, or runs it if enough of them are waiting.
func (b *builder) share(task func() error) error {
	select {
	case b.tasks <- task:
		return nil
	default:
		return task()
	}
}

// A draft is a directory that is not finished.
type draft struct {
	up     *draft // the directory that it is in; nil for the root
	result *Entry // its entry in up.entries, of which Dir is still to be set
	old    *Entry // the directory in the manifest before; nil if it is new
	dir    buildctx.SentDir

	entries []Entry      // allocated once, since drafts and batches point into it
	settled bool         // no file in it may change again without a new stamp
	pending atomic.Int32 // unfinished tasks and subdirectories
}

// An unread is a file whose sum is not known, and the entry that gets it.
type unread struct {
	file  buildctx.Handle
	entry *Entry
}

// list makes the entries of d, reads the sums that are not known, and has
// subdirectories listed.
func (b *builder) list(d *draft) error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	if d.old != nil && d.old.Dir.madeOf(d.dir) {
		b.finish(d, d.unchanged())
		return nil
	}
	var before []Entry
	if d.old != nil {
		before = d.old.Dir.list()
	}
	var files []unread
	most := d.dir.AtMost()
	d.entries, d.settled = spareList(most), true
	d.pending.Store(1) // this call
	for f := range d.dir.All() {
		e, known := entryOf(&f)
		d.entries = append(d.entries, e)
		d.settled = d.settled && f.Stamp.Settled(b.start)
		entry := &d.entries[len(d.entries)-1]
		var task func() error
		switch {
		case f.Mode.IsDir():
			if !known { // hashing the subdirectory needs its sum
				if err := b.read(d, []unread{{f.Handle, entry}}); err != nil {
					return err
				}
			}
			sub := &draft{up: d, result: entry, old: directoryIn(before, f.Name), dir: f.Dir}
			task = func() error { return b.list(sub) }
		case known:
			continue
		default:
			if files == nil {
				files = make([]unread, 0, min(most, batchSize))
			}
			if files = append(files, unread{f.Handle, entry}); len(files) < batchSize {
				continue
			}
			full := files
			files = nil
			task = func() error { return b.readBatch(d, full) }
		}
		d.pending.Add(1)
		if err := b.share(task); err != nil {
			return err
		}
	}
	return b.readBatch(d, files)
}

// readBatch reads files of d and completes a task.
func (b *builder) readBatch(d *draft, files []unread) error {
	if err := b.read(d, files); err != nil {
		return err
	}
	b.completed(d)
	return nil
}

// completed notes that a task or a subdirectory of d is done, and finishes d if it was
// the last.
func (b *builder) completed(d *draft) {
	if d.pending.Add(-1) == 0 {
		b.finish(d, d.made())
	}
}

// finish sets the result of d, and ends the work if d is the root.
func (b *builder) finish(d *draft, dir *Dir) {
	d.result.Dir = dir
	if d.up == nil {
		close(b.tasks)
		return
	}
	b.completed(d.up)
}

// directoryIn returns the entry of the directory called name, nil if there is none.
func directoryIn(entries []Entry, name string) *Entry {
	if e := find(entries, name); e != nil && e.Dir != nil {
		return e
	}
	return nil
}

// entryOf returns the entry of a file, without Dir, and whether it has its sum: the
// tree that the file is in may not know that.
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

// read sets the sums of files in d.
func (b *builder) read(d *draft, files []unread) error {
	r := newReader(d.dir.Path())
	defer r.close()
	read := int64(0)
	for i := range files {
		if err := b.ctx.Err(); err != nil {
			return err
		}
		f := files[i].file.File()
		s, n, err := r.sum(&f)
		if err != nil {
			return err
		}
		files[i].entry.set(s)
		if f.Stamp.Settled(b.start) {
			f.SetSum(s)
		}
		read += n
	}
	b.files.Add(int64(len(files)))
	b.bytes.Add(read)
	return nil
}

// header returns the digest of the directory itself, which for the root depends on its
// entries.
func (d *draft) header(of source) Digest {
	if d.up == nil {
		return (&Dir{source: of}).rootHeader()
	}
	return d.result.Digest
}

// unchanged returns the directory if its entries are those of d.old.
func (d *draft) unchanged() *Dir {
	old := d.old.Dir
	header := d.header(old.source)
	if d.old.Digest == header {
		return old
	}
	return &Dir{digest: directoryDigest(header, old.list()), source: old.source}
}

// made returns the directory once its entries are complete.
func (d *draft) made() *Dir {
	next := &Dir{source: entries(d.entries)}
	header := d.header(next.source)
	if d.old != nil && d.old.Digest == header && slices.Equal(d.old.Dir.list(), d.entries) {
		next.digest = d.old.Dir.digest
	} else {
		next.digest = directoryDigest(header, d.entries)
	}
	if d.settled && !slices.ContainsFunc(d.entries, unsettled) {
		next.source = newListed(d) // else the files must be looked at again next time
		spare(d.entries)
		d.entries = nil
	}
	return next
}

// spares has empty lists for the entries of drafts: those of most directories are not
// kept, and were half of what Compute allocated.
var spares = sync.Pool{New: func() any { return new([]Entry) }}

// largestSpare is how long a list may be that is kept for other directories, few of which
// need one as long.
const largestSpare = 1 << 10

// spareList returns an empty list with room for n entries.
func spareList(n int) []Entry {
	if list := *spares.Get().(*[]Entry); cap(list) >= n {
		return list
	}
	return make([]Entry, 0, n)
}

// spare takes a list that nothing refers to any more.
func spare(list []Entry) {
	if cap(list) > largestSpare {
		return
	}
	clear(list)
	list = list[:0]
	spares.Put(&list)
}

// unsettled reports whether e is a directory with a file, at any depth, that may change
// again without a new stamp.
func unsettled(e Entry) bool {
	if e.Dir == nil {
		return false
	}
	_, settled := e.Dir.source.(*listed)
	return !settled
}

// listed is the source of a directory whose tree knows the sums of all files in it.
// Instead of the entries it keeps what they can be made of again: there are many
// directories, and most are never asked for their entries.
type listed struct {
	of       buildctx.Listing
	dirs     *[]*Dir // the subdirectories, in their order; nil for none
	hasLinks bool    // see source.linked
}

func newListed(d *draft) *listed {
	l := &listed{of: d.dir.Listing(len(d.entries)), hasLinks: entries(d.entries).linked()}
	var dirs []*Dir
	for i := range d.entries {
		if dir := d.entries[i].Dir; dir != nil {
			dirs = append(dirs, dir)
		}
	}
	if dirs != nil {
		kept := slices.Clip(dirs)
		l.dirs = &kept
	}
	return l
}

func (l *listed) linked() bool { return l.hasLinks }
func (l *listed) last() string { return l.of.Last() }

func (l *listed) list() []Entry {
	list := make([]Entry, 0, l.of.Len())
	var dirs []*Dir
	if l.dirs != nil {
		dirs = *l.dirs
	}
	for f := range l.of.All() {
		e, _ := entryOf(&f)
		if f.Mode.IsDir() {
			e.Dir, dirs = dirs[0], dirs[1:]
		}
		list = append(list, e)
	}
	return list
}

// madeOf reports whether the entries of d are those of dir.
func (d *Dir) madeOf(dir buildctx.SentDir) bool {
	l, ok := d.source.(*listed)
	return ok && l.of.Of(dir)
}
