package buildctx

import (
	"slices"

	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
)

// A filter decides which files the ignore file leaves in a context, and which of
// those the builder asks for. It gives the answers of BuildKit's own filter
// (fsutil: filterFS.Walk); tests compare the two. It is immutable.
type filter struct {
	exclude *ignore.Matcher
	include []*ignore.Matcher // one per request; nil asks for everything

	patterns [][]string // what include was compiled from
}

// newFilter returns the filter for the requests, whose paths are resolved through
// the links in files. It returns old, which may be nil, if the result is the same.
func newFilter(exclude *ignore.Matcher, files fsutil.FS, requests []dockerfile.Request, old *filter) (*filter, error) {
	f := &filter{exclude: exclude}
	for _, r := range requests {
		var patterns []string
		if r.FollowPaths != nil {
			var err error
			if patterns, err = fsutil.FollowLinks(files, r.FollowPaths); err != nil {
				return nil, err
			}
		}
		f.patterns = append(f.patterns, patterns)
	}
	if old != nil && slices.EqualFunc(f.patterns, old.patterns, slices.Equal) {
		return old, nil
	}
	for _, list := range f.patterns {
		m, err := patterns(list)
		if err != nil {
			return nil, err
		}
		f.include = append(f.include, m)
	}
	return f, nil
}

// A place is a filter's state in one directory of a walk.
type place struct {
	exclude ignore.State
	include []ignore.State // parallel to filter.include; zero where that is nil
}

// root returns the place of the context's root.
func (f *filter) root() place {
	p := place{exclude: f.exclude.Root(), include: make([]ignore.State, len(f.include))}
	for i, m := range f.include {
		if m != nil {
			p.include[i] = m.Root()
		}
	}
	return p
}

// enter returns the place of the directory name in p.
func (f *filter) enter(p place, name string) place {
	next := place{exclude: f.exclude.Enter(p.exclude, name), include: make([]ignore.State, len(f.include))}
	if next.exclude.Pruned() {
		return next
	}
	for i, m := range f.include {
		if m != nil {
			next.include[i] = m.Enter(p.include[i], name)
		}
	}
	return next
}

// An outcome is what a filter decides about an entry.
type outcome struct {
	in       bool // it is in the effective context
	sent     bool // the builder asks for it
	withheld bool // it is sent without its content: see File.Withheld
}

// file returns the outcome for a file called name in p.
func (f *filter) file(p place, name string) outcome {
	if f.exclude.Match(p.exclude, name) {
		return outcome{}
	}
	o := outcome{in: true, withheld: f.exclude.Withheld(p.exclude, name)}
	for i, m := range f.include {
		if m == nil || !p.include[i].Missed() && m.Match(p.include[i], name) {
			o.sent = true
			break
		}
	}
	return o
}

// bytes returns how many bytes of content a file with this outcome and stat adds.
func (o outcome) bytes(st *stat) int64 {
	if o.withheld || !st.mode.IsRegular() {
		return 0
	}
	return st.size
}

// visited reports whether the walk for any request enters the directory at p, and
// whether any request asks for the directory itself.
func (f *filter) visited(p place) (entered, wanted bool) {
	for i, m := range f.include {
		if m == nil {
			return true, true
		}
		missed := p.include[i].Missed()
		entered = entered || !missed
		wanted = wanted || !missed && p.include[i].Matched()
	}
	return entered, wanted
}
