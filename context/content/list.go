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

// A lister hashes a list of paths with their digests: what BuildKit makes of a
// selector with wildcards or patterns. A directory is in the list with its
// header only, for not all that is in it need be taken (BuildKit:
// cache/contenthash, includedPaths).
type lister struct {
	root             *Dir
	sel              dockerfile.Selector
	pattern          string // the selector's path, cleaned
	include, exclude *patternmatcher.PatternMatcher

	// Paths in the list are as the selector names them: below from, which the
	// links on the way make to. With a wildcard that is the part before it.
	from, to string
	matched  string  // the last path that the wildcards matched
	parents  []*item // the directories that the walk is in, if matched

	sum   hash.Hash
	buf   []byte
	count int
	first *item
	need  []string // of sel.Required, those not met

	picked *picked // gets what is in the list; nil where nobody asks
}

// An item is a path that may get into the list.
type item struct {
	path     string
	at       string // where that leads
	digest   Digest
	listed   bool
	link     bool // resolved, should it be a link
	included patternmatcher.MatchInfo
	excluded patternmatcher.MatchInfo
}

// hashList returns the digest of the files that s selects below d, and adds them to
// what is picked, which may be nil.
func (d *Dir) hashList(p string, s dockerfile.Selector, to *picked) (Digest, error) {
	l := &lister{root: d, sel: s, pattern: clean(p), sum: sha256.New(), need: s.Required, picked: to}
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
	if len(l.need) > 0 {
		return Digest{}, &NotFoundError{Path: l.need[0]}
	}
	if l.count == 1 && path.Base(p) == path.Base(l.first.path) {
		return l.first.digest, nil
	}
	l.sum.Write(l.buf)
	return Digest(l.sum.Sum(nil)), nil
}

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

// run walks what may be in the list.
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
	// A class may match a slash, and an escaped name is looked for with its
	// escapes: BuildKit goes on to the end of the tree and tries every path.
	return l.visit(start.path, place{dir: l.root})
}

// follow is that of the root; links on the way are picked.
func (l *lister) follow(p string, trailing bool) (place, bool, error) {
	return l.root.trace(p, trailing, func(link string) {
		if l.picked != nil {
			l.picked.link(link)
		}
	})
}

// match visits what the wildcards may match below at.
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

// visit considers at and what is below it, but for paths before start.
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

// beforeKey reports whether a comes before b, or is it, in a walk: a slash
// before any other character.
func beforeKey(a, b string) bool {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] != b[i] {
			return a[i] == '/' || b[i] != '/' && a[i] < b[i]
		}
	}
	return len(a) <= len(b)
}

// consider lists at if it is taken, and reports whether it is now one of the
// parents of what follows.
func (l *lister) consider(at place) (entered bool, err error) {
	name := at.path
	if rest, ok := strings.CutPrefix(name, l.to); ok {
		name = l.from + rest
	}
	if !l.sel.Wildcard && l.pattern == "" && name == "" {
		return false, nil // the header of a root does not count
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
	take, err := l.takes(strings.TrimSuffix(strings.TrimPrefix(name+"/", base+"/"), "/"), it)
	if err != nil {
		return false, err
	}
	if take {
		if err := l.add(it); err != nil {
			return false, err
		}
	}
	if at.dir != nil {
		l.parents = append(l.parents, it)
	}
	return at.dir != nil, nil
}

// takes applies the patterns to a path relative to what was matched.
func (l *lister) takes(rel string, it *item) (bool, error) {
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

// add puts it into the list, after those of its parents that are not yet there.
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

// pick adds what it stands for to what is picked.
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
	for i := 0; i < len(l.need); i++ {
		if strings.HasPrefix(it.path, l.need[i]) {
			l.need = append(l.need[:i:i], l.need[i+1:]...)
			i--
		}
	}
}

// splitWildcards parts a cleaned path before its first component that holds a
// wildcard; plain is "/" if that is the first (BuildKit: cache/contenthash).
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
