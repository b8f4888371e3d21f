package buildctx

import "iter"

// A change is a path of an effective context at which two selections differ;
// the zero item stands for a file that is not in one of them.
type change struct {
	path      string
	old, next item
}

// changes yields how the context differs between two summaries of one directory
// that f made, in time that follows what they do not share.
func changes(f *filter, old, next *summary) iter.Seq[change] {
	return func(yield func(change) bool) {
		c := comparison{filter: f, yield: yield}
		c.directory("", old, next, f.root())
	}
}

type comparison struct {
	filter *filter
	yield  func(change) bool
}

// directory compares what is in two directories, whose path with a slash at its
// end is dir; nil stands for one of which nothing is in the context.
func (c *comparison) directory(dir string, a, b *summary, p place) bool {
	if a == b {
		return true
	}
	for x, y := range differing(a.directory(), b.directory()) {
		name := x.name
		if x.entry == nil {
			name = y.name
		}
		if !c.entry(dir+name, x, y, a.kid(name), b.kid(name), p) {
			return false
		}
	}
	return true
}

// entry compares two entries of one name, with the summaries of those that are
// directories.
func (c *comparison) entry(path string, x, y item, a, b *summary, p place) bool {
	file := x.entry != nil && x.dir == nil || y.entry != nil && y.dir == nil
	passes := false
	if file {
		name := x.name
		if x.entry == nil {
			name = y.name
		}
		passes = c.filter.file(p, name).in
	}
	was, is := x.in(a, passes), y.in(b, passes)
	differs := was != is || was && !x.same(y) || a != nil && b != nil && a.asked != b.asked
	if differs {
		ch := change{path: path}
		if was {
			ch.old = x
		}
		if is {
			ch.next = y
		}
		if !c.yield(ch) {
			return false
		}
	}
	if a == nil && b == nil {
		return true
	}
	below := x.name
	if x.dir == nil {
		below = y.name
	}
	return c.directory(path+"/", a, b, c.filter.enter(p, below))
}

// in reports whether it is in a context: a directory by its summary, a file if
// one of its name passes.
func (it item) in(s *summary, passes bool) bool {
	switch {
	case it.entry == nil:
		return false
	case it.dir != nil:
		return s != nil && s.in
	}
	return passes
}

// directory is the directory of s, an empty one for nil.
func (s *summary) directory() *directory {
	if s == nil {
		return &directory{}
	}
	return s.dir
}
