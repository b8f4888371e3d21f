package content

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"path"
	"strings"

	"github.com/moby/patternmatcher"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A lister computes the digest of a selector with wildcards or patterns: the hash of a
// list of the selected paths, each with its digest. A directory is listed with the
// digest of itself, without what is in it, since that may not be selected (BuildKit:
// cache/contenthash, includedPaths).
type lister struct {
	root             *Dir
	sel              dockerfile.Selector
	pattern          string // the selector's path, cleaned
	include, exclude *patternmatcher.PatternMatcher

	// The walk starts at from: the selector's path, or the part of it before the first
	// wildcard. Following links it leads to the path to. Paths in the list are those
	// that the selector names, below from.
	from, to string
	matched  string  // the path that the wildcards matched last
	parents  []*item // the directories that the walk is in, from the matched one on

	sum     hash.Hash
	buf     []byte // of the list, not yet in sum
	count   int    // of listed paths
	first   *item
	missing []string // those of sel.Required that no path so far begins with

	picked *picked // gets the listed paths; may be nil
}

// An item is a path that the walk visits, and that may be listed.
type item struct {
	path     string // as the selector names it
	at       string // in the manifest
	digest   Digest
	listed   bool
	link     bool // it is a link, in place of which its target is hashed
	included patternmatcher.MatchInfo
	excluded patternmatcher.MatchInfo
}

// hashList returns the digest of the files below d that s selects, and adds them to the
// tree to, which may be nil.
func (d *Dir) hashList(p string, s dockerfile.Selector, to *picked) (Digest, error) {
	l := &lister{root: d, sel: s, pattern: clean(p), sum: sha256.New(), missing: s.Required, picked: to}
	var err error
	if l.include, err = newPatterns(s.Include); err != nil {
		return Digest{}, err
	}
	if l.exclude, err = newPatterns(s.Exclude); err != nil {
		return Digest{}, err
	}
	if err := l.run(); err != nil {
		return Digest{}, err
	}
	if len(l.missing) > 0 {
		return Digest{}, &NotFoundError{Path: l.missing[0]}
	}
	if l.count == 1 && path.Base(p) == path.Base(l.first.path) {
		return l.first.digest, nil
	}
	l.sum.Write(l.buf)
	return Digest(l.sum.Sum(nil)), nil
}

// newPatterns returns a matcher of the patterns, nil if there are none.
func newPatterns(list []string) (*patternmatcher.PatternMatcher, error) {
	if len(list) == 0 {
		return nil, nil
	}
	m, err := patternmatcher.New(list)
	if err != nil {
		return nil, fmt.Errorf("patterns %q: %w", list, err)
	}
	return m, nil
}

// run walks the paths that may be listed.
func (l *lister) run() error {
	if !l.sel.Wildcard {
		l.from = l.pattern
		start, ok, err := l.follow(l.from, false)
		if err != nil || !ok {
			return err
		}
		l.to = start.path
		return l.visit("", start)
	}
	plain, globs := splitWildcards(l.pattern)
	if plain == "/" {
		plain = ""
	}
	start, ok, err := l.follow(plain, globs != "")
	if err != nil || !ok {
		return err
	}
	l.from, l.to = plain, start.path
	if globs != "" && !strings.ContainsAny(l.pattern, `[\`) {
		return l.match(start, strings.Split(globs, "/"))
	}
	// BuildKit looks for an escaped name with its escapes, and a class of characters
	// may match a slash, so that it tries all paths from here to the end of the tree.
	return l.visit(start.path, place{dir: l.root})
}

// follow returns what is at p, as [Dir.follow] does, and picks the links on the way.
func (l *lister) follow(p string, trailing bool) (place, bool, error) {
	return l.root.trace(p, trailing, func(link string) {
		if l.picked != nil {
			l.picked.link(link)
		}
	})
}

// match visits the paths below at that match globs, one pattern per component.
func (l *lister) match(at place, globs []string) error {
	if at.dir == nil {
		return nil
	}
	entries := at.dir.list()
	for i := range entries {
		e := &entries[i]
		ok, err := path.Match(globs[0], e.Name)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		next := place{path: at.path + "/" + e.Name, entry: e, dir: e.Dir}
		if len(globs) > 1 {
			err = l.match(next, globs[1:])
		} else {
			err = l.visit("", next)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// visit considers at and all paths below it, except those before start.
func (l *lister) visit(start string, at place) error {
	entered := false
	if beforeKey(start, at.path) {
		var err error
		if entered, err = l.consider(at); err != nil {
			return err
		}
	}
	if at.dir != nil {
		entries := at.dir.list()
		for i := range entries {
			e := &entries[i]
			if err := l.visit(start, place{path: at.path + "/" + e.Name, entry: e, dir: e.Dir}); err != nil {
				return err
			}
		}
	}
	if entered {
		l.parents = l.parents[:len(l.parents)-1]
	}
	return nil
}

// beforeKey reports whether a comes before b in a walk, or is the same path. A walk
// orders a slash before any other character.
func beforeKey(a, b string) bool {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] != b[i] {
			return a[i] == '/' || b[i] != '/' && a[i] < b[i]
		}
	}
	return len(a) <= len(b)
}

// consider lists at if it is selected. It reports whether it has added at to the parents
// of the paths that follow.
func (l *lister) consider(at place) (entered bool, err error) {
	name := at.path
	if rest, ok := strings.CutPrefix(name, l.to); ok {
		name = l.from + rest
	}
	if !l.sel.Wildcard && l.pattern == "" && name == "" {
		return false, nil // the root itself is not listed
	}
	base := l.pattern
	if l.sel.Wildcard {
		if l.matched == "" || !strings.HasPrefix(name, l.matched+"/") {
			ok, err := path.Match(l.pattern, name)
			if err != nil || !ok {
				return false, err
			}
			l.matched = name
		}
		base = l.matched
	}
	it := &item{path: name, at: at.path, link: l.sel.FollowLinks && len(l.parents) == 0 && at.isLink()}
	if at.entry != nil {
		it.digest = at.entry.Digest
	} else {
		it.digest = l.root.rootHeader()
	}
	selected, err := l.selects(strings.TrimSuffix(strings.TrimPrefix(name+"/", base+"/"), "/"), it)
	if err != nil {
		return false, err
	}
	if selected {
		if err := l.add(it); err != nil {
			return false, err
		}
	}
	if at.dir != nil {
		l.parents = append(l.parents, it)
	}
	return at.dir != nil, nil
}

// selects reports whether the patterns select it, whose path below the matched one is
// rel.
func (l *lister) selects(rel string, it *item) (bool, error) {
	var up item
	if n := len(l.parents); n > 0 {
		up = *l.parents[n-1]
	}
	var ok bool
	var err error
	if l.include != nil {
		if ok, it.included, err = l.include.MatchesUsingParentResults(rel, up.included); err != nil || !ok {
			return false, err
		}
	}
	if l.exclude != nil {
		if ok, it.excluded, err = l.exclude.MatchesUsingParentResults(rel, up.excluded); err != nil || ok {
			return false, err
		}
	}
	return true, nil
}

// add lists it, after those of its parents that are not listed yet.
func (l *lister) add(it *item) error {
	for _, p := range append(l.parents[:len(l.parents):len(l.parents)], it) {
		if p.listed {
			continue
		}
		p.listed = true
		if p.link {
			var err error
			if p.digest, err = l.root.checksum(p.path, true); err != nil {
				return err
			}
		}
		if err := l.pick(p); err != nil {
			return err
		}
		l.count++
		if l.count == 1 {
			l.first = p
		}
		l.write(p)
	}
	return nil
}

// pick adds it to the picked paths, with the target of a link that is hashed.
func (l *lister) pick(it *item) error {
	if l.picked == nil {
		return nil
	}
	l.picked.at(it.at).self = true
	if it.link {
		return l.root.pickPath(it.path, true, l.picked)
	}
	return nil
}

// write appends it to what is hashed.
func (l *lister) write(it *item) {
	rel := strings.TrimPrefix(it.path, l.from)
	if rel == "" {
		rel = "/"
	}
	l.buf = append(l.buf, strings.ReplaceAll(rel, "/", "\x00")...)
	l.buf = it.digest.appendText(l.buf)
	if len(l.buf) > 1<<14 {
		l.sum.Write(l.buf)
		l.buf = l.buf[:0]
	}
	for i := 0; i < len(l.missing); i++ {
		if strings.HasPrefix(it.path, l.missing[i]) {
			l.missing = append(l.missing[:i:i], l.missing[i+1:]...) // a copy: sel has the list too
			i--
		}
	}
}

// splitWildcards splits a cleaned path before its first component with a wildcard.
// plain is "/" if that is the first component (BuildKit: cache/contenthash).
func splitWildcards(p string) (plain, globs string) {
	parts := strings.Split(p, "/")
	i := 0
	for i < len(parts) && !hasWildcards(parts[i]) {
		i++
	}
	return path.Join("/", path.Join(parts[:i]...)), strings.Join(parts[i:], "/")
}

func hasWildcards(name string) bool {
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '*', '?', '[':
			return true
		case '\\':
			i++
		}
	}
	return false
}
