package buildctx

import (
	"slices"

	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
)

// A filter says what the ignore file leaves of a context, and what of that the
// builder asks for. It decides as BuildKit's own filter does (fsutil:
// filterFS.Walk), which tests hold it against. It is immutable.
type filter struct {
	exclude *ignore.Matcher
	include []*ignore.Matcher // one a request; nil asks for everything

	patterns [][]string // of include
}

// newFilter returns the filter for the requests, links in files followed: old
// itself if it says the same.
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

// A place is a directory that a walk is in.
type place struct {
	exclude ignore.State
	include []ignore.State // parallel to filter.include; unused where that is nil
}

// root is the place of the context's root.
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

// An outcome is what becomes of an entry.
type outcome struct {
	in, sent bool // it is in the context; it is sent
	withheld bool // it is in there without its content
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

// bytes returns how much content a file comes with.
func (o outcome) bytes(st *stat) int64 {
	if o.withheld || !st.mode.IsRegular() {
		return 0
	}
	return st.size
}

// visited reports whether a request's own walk comes to the directory p, and
// whether one asks for the directory itself.
func (f *filter) visited(p place) (asked, wanted bool) {
	for i, m := range f.include {
		if m == nil {
			return true, true
		}
		missed := p.include[i].Missed()
		asked = asked || !missed
		wanted = wanted || !missed && p.include[i].Matched()
	}
	return asked, wanted
}
