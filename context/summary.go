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
	in, asked     bool // dir itself is in the context; it is sent
	linked        bool // a file of the context has more names than one
}

// A summarizer makes summaries.
type summarizer struct {
	ctx    context.Context // of one pass
	filter *filter
}

// directory returns the summary of d, which is at p. Work is done where d is not
// what old was made of. An error is a directory that a request asks for and that
// cannot be read, or ctx's.
func (s *summarizer) directory(d *directory, p place, old *summary) (*summary, error) {
	if old != nil && old.dir == d {
		return old, nil
	}
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	sum := &summary{dir: d}
	if len(d.dirs) > 0 {
		sum.kids = make([]*summary, 0, len(d.dirs))
	}
	for i := range d.entries {
		it := d.item(i)
		if it.dir == nil {
			in, sent := s.filter.file(p, it.name)
			sum.file(it.entry, in, sent)
			continue
		}
		kid, err := s.child(it, s.filter.enter(p, it.name), old.kid(it.name))
		if err != nil {
			return nil, err
		}
		sum.kids = append(sum.kids, kid)
		sum.add(kid)
	}
	return sum, nil
}

// child returns the summary of the directory it at p, nil if the ignore file
// leaves it out with all below.
func (s *summarizer) child(it item, p place, old *summary) (*summary, error) {
	if p.exclude.Pruned() {
		return nil, nil
	}
	if old != nil && old.dir == it.dir {
		return old, nil
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

// file counts a file in the directory.
func (s *summary) file(e *entry, in, sent bool) {
	if !in {
		return
	}
	s.in = true
	s.context.file(e)
	s.linked = s.linked || e.links > 1 && e.mode.IsRegular()
	if sent {
		s.asked = true
		s.sent.file(e)
	}
}

// add counts a directory in the directory.
func (s *summary) add(kid *summary) {
	if kid == nil {
		return
	}
	s.context.add(kid.context)
	s.sent.add(kid.sent)
	s.in, s.asked, s.linked = s.in || kid.in, s.asked || kid.asked, s.linked || kid.linked
}

func (s *Size) file(e *entry) {
	s.Files++
	if e.mode.IsRegular() {
		s.Bytes += e.size
	}
}

func (s *Size) add(o Size) {
	s.Files += o.Files
	s.Bytes += o.Bytes
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
