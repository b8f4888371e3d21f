package buildctx

import (
	"context"
	"errors"
	"io/fs"
)

// A summary is what a selection takes of one directory of a tree. It is
// immutable, and holds for as long as the directory, its path and the filter
// are the same: the next selection takes over the summaries of all that did not
// change.
type summary struct {
	dir *directory
	// kids are those of the directories in dir, in their order; nil for one
	// that the ignore file leaves out with all below.
	kids []*summary
	// What is below, dir itself not counted. Each name of a file counts in
	// full: see hardLinks.
	context, sent Size
	in, asked     bool  // dir itself is in the context; it is sent
	linked        int32 // files of the context that have more names than one
}

// A summarizer makes summaries.
type summarizer struct {
	ctx    context.Context // of one pass
	filter *filter
}

// directory returns the summary of d, which is at p. Work is done where d differs
// from what old was made of. An error is a directory that a request asks for and that
// cannot be read, or ctx's.
func (s *summarizer) directory(d *directory, p place, old *summary) (*summary, error) {
	if old != nil && old.dir == d {
		return old, nil
	}
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	sum := &summary{dir: d}
	s.files(sum, p, old)
	sum.in, sum.asked = sum.context.Files > 0, sum.sent.Files > 0
	if len(d.dirs) > 0 {
		sum.kids = make([]*summary, 0, len(d.dirs))
	}
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
		sum.kids = append(sum.kids, kid)
		sum.add(kid, 1)
	}
	return sum, nil
}

// files counts the files in the directory, at p, of which sum is: only those
// that differ from what old counted.
func (s *summarizer) files(sum *summary, p place, old *summary) {
	if old == nil {
		for i := range sum.dir.entries {
			if e := &sum.dir.entries[i]; !e.mode.IsDir() {
				sum.file(e, s.filter.file(p, sum.dir.name(i)), 1)
			}
		}
		return
	}
	sum.add(old, 1)
	for _, kid := range old.kids {
		sum.add(kid, -1)
	}
	for a, b := range differing(old.dir, sum.dir) {
		if a.entry != nil && a.dir == nil {
			sum.file(a.entry, s.filter.file(p, a.name), -1)
		}
		if b.entry != nil && b.dir == nil {
			sum.file(b.entry, s.filter.file(p, b.name), 1)
		}
	}
}

// child returns the summary of the directory it at p, nil if the ignore file
// leaves it out with all below.
func (s *summarizer) child(it item, p place, old *summary) (*summary, error) {
	if p.exclude.Pruned() {
		return nil, nil
	}
	in := !p.exclude.Matched()
	asked, wanted := s.filter.visited(p)
	wanted = wanted && in
	if err := it.dir.err(); err != nil && asked && (wanted || !errors.Is(err, fs.ErrPermission)) {
		return nil, err
	}
	sum, err := s.directory(it.dir, p, old)
	if err != nil {
		return nil, err
	}
	// An excluded directory is there after all when something in it is.
	sum.in, sum.asked = sum.in || in, sum.asked || wanted
	return sum, nil
}

// file counts a file in the directory, n times.
func (s *summary) file(e *entry, o outcome, n int) {
	if !o.in {
		return
	}
	if e.mode.IsRegular() && e.links > 1 {
		s.linked += int32(n)
	}
	size := Size{Files: 1, Bytes: o.bytes(e)}
	s.context.add(size, n)
	if o.sent {
		s.sent.add(size, n)
	}
}

// add counts what is below other, n times.
func (s *summary) add(other *summary, n int) {
	if other == nil {
		return
	}
	s.context.add(other.context, n)
	s.sent.add(other.sent, n)
	s.linked += int32(n) * other.linked
	s.in, s.asked = s.in || other.in, s.asked || other.asked
}

func (s *Size) add(o Size, n int) {
	s.Files += n * o.Files
	s.Bytes += int64(n) * o.Bytes
}

// kid returns the summary of the directory name in s; nil where there is none.
func (s *summary) kid(name string) *summary {
	if s == nil {
		return nil
	}
	i, ok := s.dir.index(name)
	if !ok || !s.dir.entries[i].mode.IsDir() {
		return nil
	}
	return s.kids[s.dir.entries[i].extra]
}
