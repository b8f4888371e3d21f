package buildctx

import "iter"

// A change is a path at which the effective contexts of two selections differ. An
// item is zero if its side has no such file.
type change struct {
	path      string
	old, next item
}

// changes yields how the context differs between two summaries of the root that
// f made. It skips what the two share.
func changes(f *filter, old, next *summary) iter.Seq[change] {
	return func(yield func(change) bool) {
		c := comparison{filter: f, yield: yield}
		c.directory("", old, next, f.root())
	}
}

// A comparison is one run of [changes]. Its methods report whether to go on.
type comparison struct {
	filter *filter
	yield  func(change) bool
}

// directory compares the entries of two directories. dir is their path, with a
// slash at its end or empty for the root. A summary is nil if nothing in its
// directory is in the context.
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

// entry compares two entries of the same name; a and b are the summaries of those
// that are directories.
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

// in reports whether an item is in the context: a directory if its summary s says
// so, a file if passes is set, the filter's answer for its name.
func (it item) in(s *summary, passes bool) bool {
	switch {
	case it.entry == nil:
		return false
	case it.dir != nil:
		return s != nil && s.in
	}
	return passes
}

// directory returns the directory that s is of, or an empty one if s is nil.
func (s *summary) directory() *directory {
	if s == nil {
		return &directory{}
	}
	return s.dir
}
