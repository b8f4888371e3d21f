package ignore

import (
	"path/filepath"
	"strings"
)

// A State is a directory's place in the match: what of each pattern may still
// match below it. It belongs to the [Matcher] that gave it, is a small value,
// and may be kept, copied and used by several goroutines.
type State struct {
	node *node
	// What of the patterns' fixed paths lies at or below the directory.
	exceptions, inclusions paths
	path                   string // with a separator at its end; only if rules want it
	newest                 int    // the last rule that matches it or a directory above, asked or not
	matched                bool
	pruned, missed         bool
}

// Root is the state of the context's root, which no pattern matches.
func (m *Matcher) Root() State {
	return State{node: m.auto.root.Load(), newest: -1, exceptions: m.exceptions.paths, inclusions: m.inclusions.paths}
}

// Match reports whether the patterns match the entry of dir that has this name:
// for an ignore file, whether BuildKit leaves it out. The cost follows the
// name's length, not the number of patterns. The answer is the one of
// patternmatcher.MatchesUsingParentResults in a walk from the root down.
func (m *Matcher) Match(dir State, name string) bool {
	n := m.auto.run(dir.node, name)
	if n.alone {
		matched, _ := m.auto.verdict(n, dir.path+name)
		return matched
	}
	return n.matched
}

// Enter returns the state of the directory name in dir.
func (m *Matcher) Enter(dir State, name string) State {
	n := m.auto.run(dir.node, name)
	s := State{
		exceptions: dir.exceptions[name], inclusions: dir.inclusions[name],
		matched: n.matched, pruned: dir.pruned, missed: dir.missed,
	}
	if m.auto.alone {
		s.path = dir.path + name
		s.matched, _ = m.auto.verdict(n, s.path)
	}
	s.newest = max(dir.newest, m.auto.newestAt(n, s.path))
	s.node = m.auto.enter(n, s.path)
	if m.auto.alone {
		s.path += string(filepath.Separator)
	}
	s.pruned = s.pruned || s.matched && !m.exceptions.anywhere && s.exceptions == nil
	s.missed = s.missed || !s.matched && !m.inclusions.anywhere && s.inclusions == nil
	return s
}

// Withheld reports whether BuildKit's client lists the file of dir that has this
// name, and does not open it, so that it arrives empty. A walk does not ask a
// line for a directory that an earlier line excludes already, and what is taken
// back from below it is sent; opening a file asks all lines for all directories
// above it (fsutil: filterFS.Open). Of `a`, `!a/b`, `a` the last line counts
// there. The answer has a meaning only where [Matcher.Match] says no.
func (m *Matcher) Withheld(dir State, name string) bool {
	if !m.withholds {
		return false
	}
	n := m.auto.run(dir.node, name)
	newest := max(dir.newest, m.auto.newestAt(n, dir.path+name))
	return newest >= 0 && !m.rules[newest].exception
}

// Matched reports whether the patterns match the directory itself.
func (s State) Matched() bool { return s.matched }

// Pruned reports whether BuildKit's walk goes past the directory, or one above
// it, when the patterns say what to leave out: it matches, and no exception can
// match below (fsutil: filterFS.Walk). Nothing at or below it is in the context
// then, whatever [Matcher.Match] says.
func (s State) Pruned() bool { return s.pruned }

// Missed reports whether BuildKit's walk goes past the directory, or one above
// it, when the patterns say what to include: it does not match, and no pattern
// can match below.
func (s State) Missed() bool { return s.missed }

// wildcards are the characters that make a pattern more than a path (fsutil:
// NewFilterFS).
func wildcards() string {
	if filepath.Separator == '\\' {
		return "*[]?^"
	}
	return `*[]?^\`
}

// A reach is where some patterns may match, as fsutil sees it: their text
// without wildcards at the end, compared as it stands.
type reach struct {
	paths    paths
	anywhere bool // a pattern may match at any place
}

// paths are those that patterns name, by component; nil where there is none.
type paths map[string]paths

func newReach(rules []*rule) reach {
	var r reach
	for _, one := range rules {
		fixed := withoutTrailingGlob(one.text)
		r.anywhere = r.anywhere || strings.ContainsAny(fixed, wildcards())
		if r.paths == nil {
			r.paths = paths{}
		}
		at := r.paths
		for _, part := range strings.Split(fixed, string(filepath.Separator)) {
			if at[part] == nil {
				at[part] = paths{}
			}
			at = at[part]
		}
	}
	return r
}

func withoutTrailingGlob(pattern string) string {
	sep := string(filepath.Separator)
	return strings.TrimSuffix(strings.TrimSuffix(pattern, sep+"**"), sep+"*")
}
