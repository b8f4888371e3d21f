package buildctx

import (
	"context"
	"errors"
	"io/fs"
)

// A summary says what a selection takes of one directory. It is immutable, and valid
// for as long as the directory, its path and the filter are the same, so the next
// selection reuses the summaries of all directories that did not change.
type summary struct {
	dir *directory
	// kids are the summaries of the directories in dir, in their order, with nil for
	// one that the ignore file leaves out with everything below. The pointer is nil
	// if there are no directories.
	kids *[]*summary
	counts
}

// counts add up what is below a directory, not counting itself. Every name of a hard
// linked file counts in full (see [hardLinks]).
type counts struct {
	bytes, sentBytes int64
	files, sentFiles int32
	linked           int32 // files of the context with several names
	in, asked        bool  // the directory itself is in the context; it is sent
}

// A summarizer makes summaries, in one pass over a tree.
type summarizer struct {
	ctx    context.Context // of the pass
	filter *filter
}

// directory returns the summary of d, which is at p. It reuses old, the summary of
// the directory that d replaces, or nil, and does work only where the two differ. The
// error is a directory that a request asks for and that cannot be read, or ctx's.
func (s *summarizer) directory(d *directory, p place, old *summary) (*summary, error) {
	if old != nil && old.dir == d {
		return old, nil
	}
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	sum := &summary{dir: d}
	s.count(sum, p, old)
	sum.in, sum.asked = sum.files > 0, sum.sentFiles > 0
	if d.dirs == nil {
		return sum, nil
	}
	kids := make([]*summary, 0, len(*d.dirs))
	for i := range d.entries {
		if !d.entries[i].mode.IsDir() {
			continue
		}
		it := d.item(i)
		kid := old.kid(it.name)
		if kid == nil || kid.dir != it.dir {
			var err error
			if kid, err = s.child(it, s.filter.enter(p, it.name), kid); err != nil {
				return nil, err
			}
		}
		kids = append(kids, kid)
		sum.add(kid, 1)
	}
	sum.kids = &kids
	return sum, nil
}

// count sets sum's counts of the files directly in its directory, which is at p. If
// old is not nil, it starts from old's counts and corrects them for the files that
// differ.
func (s *summarizer) count(sum *summary, p place, old *summary) {
	if old == nil {
		for i := range sum.dir.entries {
			if !sum.dir.entries[i].mode.IsDir() {
				sum.file(sum.dir.stat(i), s.filter.file(p, sum.dir.name(i)), 1)
			}
		}
		return
	}
	sum.add(old, 1)
	for _, kid := range old.all() {
		sum.add(kid, -1)
	}
	for a, b := range differing(old.dir, sum.dir) {
		if a.entry != nil && a.dir == nil {
			sum.file(a.stat, s.filter.file(p, a.name), -1)
		}
		if b.entry != nil && b.dir == nil {
			sum.file(b.stat, s.filter.file(p, b.name), 1)
		}
	}
}

// child returns the summary of the directory it, which is at p, or nil if the ignore
// file leaves it out with everything below.
func (s *summarizer) child(it item, p place, old *summary) (*summary, error) {
	if p.exclude.Pruned() {
		return nil, nil
	}
	in := !p.exclude.Matched()
	entered, wanted := s.filter.visited(p)
	wanted = wanted && in
	if err := it.dir.err(); err != nil && entered && (wanted || !errors.Is(err, fs.ErrPermission)) {
		return nil, err
	}
	sum, err := s.directory(it.dir, p, old)
	if err != nil {
		return nil, err
	}
	// An excluded directory is in the context after all if something in it is.
	sum.in, sum.asked = sum.in || in, sum.asked || wanted
	return sum, nil
}

// file adds a file in the directory n times; n is 1, or -1 to take it out again.
func (s *summary) file(st stat, o outcome, n int32) {
	if !o.in {
		return
	}
	one := counts{files: 1, bytes: o.bytes(&st)}
	if o.sent {
		one.sentFiles, one.sentBytes = one.files, one.bytes
	}
	if st.mode.IsRegular() && st.linked {
		one.linked = 1
	}
	s.counts.add(&one, n)
}

// add adds the counts of other n times; n is 1, or -1 to take them out again.
func (s *summary) add(other *summary, n int32) {
	if other == nil {
		return
	}
	s.counts.add(&other.counts, n)
}

func (c *counts) add(o *counts, n int32) {
	c.bytes += int64(n) * o.bytes
	c.sentBytes += int64(n) * o.sentBytes
	c.files += n * o.files
	c.sentFiles += n * o.sentFiles
	c.linked += n * o.linked
	c.in, c.asked = c.in || o.in, c.asked || o.asked
}

// kid returns the summary of the directory name in s, or nil if there is none. s may
// be nil.
func (s *summary) kid(name string) *summary {
	if s == nil {
		return nil
	}
	i, ok := s.dir.index(name)
	if !ok || !s.dir.entries[i].mode.IsDir() {
		return nil
	}
	return (*s.kids)[s.dir.entries[i].size]
}

// child returns the summary of the item it, which must be a directory in s. It is nil
// if the ignore file leaves that out with everything below.
func (s *summary) child(it item) *summary { return (*s.kids)[it.entry.size] }

// all returns the summaries of the directories in s; some may be nil.
func (s *summary) all() []*summary {
	if s.kids == nil {
		return nil
	}
	return *s.kids
}
