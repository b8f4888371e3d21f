package ignore

import (
	"path/filepath"
	"strings"
)

// A State is the progress of a match at one directory: what each pattern may still
// match below it. It belongs to the [Matcher] that returned it. It is a small value
// that may be copied, kept, and used by several goroutines.
type State struct {
	node *node // before the names in the directory
	// The fixed paths of patterns that are at or below the directory (see reach).
	exceptions, inclusions paths
	path                   string // with a separator at its end; only if some rule is opaque
	lastMatch              int    // the last rule that matches this directory or one above, -1 for none
	matched                bool
	pruned, missed         bool
}

// Root returns the state of the context's root, which no pattern matches.
func (m *Matcher) Root() State {
	return State{node: m.auto.root.Load(), lastMatch: -1, exceptions: m.exceptions.paths, inclusions: m.inclusions.paths}
}

// Match reports whether the patterns match the entry name of the directory dir. For
// an ignore file that means that BuildKit leaves it out. The answer is that of
// patternmatcher.MatchesUsingParentResults in a walk from the root down. The cost
// depends on the length of the name, not on the number of patterns.
func (m *Matcher) Match(dir State, name string) bool {
	n := m.auto.run(dir.node, name)
	if n.opaque {
		matched, _ := m.auto.verdict(n, dir.path+name)
		return matched
	}
	return n.matched
}

// Enter returns the state of the subdirectory name of dir.
func (m *Matcher) Enter(dir State, name string) State {
	n := m.auto.run(dir.node, name)
	s := State{
		exceptions: dir.exceptions[name], inclusions: dir.inclusions[name],
		matched: n.matched, pruned: dir.pruned, missed: dir.missed,
	}
	if m.auto.opaque {
		s.path = dir.path + name
		s.matched, _ = m.auto.verdict(n, s.path)
	}
	s.lastMatch = max(dir.lastMatch, m.auto.lastMatch(n, s.path))
	s.node = m.auto.enter(n, s.path)
	if m.auto.opaque {
		s.path += string(filepath.Separator)
	}
	s.pruned = s.pruned || s.matched && !m.exceptions.anywhere && s.exceptions == nil
	s.missed = s.missed || !s.matched && !m.inclusions.anywhere && s.inclusions == nil
	return s
}

// Withheld reports whether BuildKit's client lists the file name of dir but does not
// open it, so that it arrives empty. That is because the client asks twice, with
// different answers. Its walk does not ask a line about a directory that an earlier
// line excludes already; opening a file asks every line about every directory above
// (fsutil: filterFS.Open). With the lines `a`, `!a/b`, `a`, the last one counts only
// when a/b is opened. The answer is meaningful only if [Matcher.Match] is false.
func (m *Matcher) Withheld(dir State, name string) bool {
	if !m.withholds {
		return false
	}
	n := m.auto.run(dir.node, name)
	last := max(dir.lastMatch, m.auto.lastMatch(n, dir.path+name))
	return last >= 0 && !m.rules[last].exception
}

// Matched reports whether the patterns match the directory itself.
func (s State) Matched() bool { return s.matched }

// Pruned reports whether BuildKit's walk skips the directory, or one above it, if the
// patterns say what to exclude: it matches, and no exception can match below it
// (fsutil: filterFS.Walk). Then nothing at or below it is in the context, whatever
// [Matcher.Match] says.
func (s State) Pruned() bool { return s.pruned }

// Missed reports whether BuildKit's walk skips the directory, or one above it, if the
// patterns say what to include: it does not match, and no pattern can match below it.
func (s State) Missed() bool { return s.missed }

// wildcards returns the characters that fsutil takes for wildcards (fsutil:
// NewFilterFS).
func wildcards() string {
	if filepath.Separator == '\\' {
		return "*[]?^"
	}
	return `*[]?^\`
}

// A reach says where some patterns may match, as fsutil estimates it: at and below
// the fixed path that is left of a pattern without a final wildcard, or anywhere if
// wildcards remain.
type reach struct {
	paths    paths
	anywhere bool // some pattern may match anywhere
}

// paths is a tree of paths: those below each name. It is nil where there are none.
type paths map[string]paths

// newReach returns the reach of the rules' patterns.
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

// withoutTrailingGlob removes a final /* or /** as fsutil does.
func withoutTrailingGlob(pattern string) string {
	sep := string(filepath.Separator)
	return strings.TrimSuffix(strings.TrimSuffix(pattern, sep+"**"), sep+"*")
}
