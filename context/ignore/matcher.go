package ignore

import (
	"path/filepath"
	"strings"
	"sync"
)

// A Matcher decides about the paths of a context, which are slash-separated and
// relative to its root. Make one with [NewMatcher]. It is safe for concurrent use.
//
// A walk uses [Matcher.Root], [Matcher.Enter] and [Matcher.Match], which are fast
// because they take one name at a time. [Matcher.Ignored] and [Matcher.Explain]
// take any path, and start from the root each time.
type Matcher struct {
	lines  []Line
	rules  []*rule
	lineOf []int // by rule: the index of its line
	auto   *automaton

	exceptions reach             // of the rules with "!"
	inclusions reach             // of the others
	withholds  bool              // a rule without "!" follows one with it
	single     func() []*Matcher // for each rule, a matcher of it alone, without its "!"
}

// NewMatcher compiles f's patterns. The error is an [*Error].
func NewMatcher(f *File) (*Matcher, error) {
	var (
		rules  []*rule
		lineOf []int
	)
	for i, l := range f.Lines {
		r, err := newRule(l.Pattern)
		if err != nil {
			return nil, refused(f.Path, l.Number, l.Pattern, err)
		}
		if r != nil {
			rules = append(rules, r)
			lineOf = append(lineOf, i)
		}
	}
	m := newRulesMatcher(rules)
	m.lines, m.lineOf = f.Lines, lineOf
	m.single = sync.OnceValue(func() []*Matcher {
		var list []*Matcher
		for _, r := range rules {
			plain := *r
			plain.exception = false
			list = append(list, newRulesMatcher([]*rule{&plain}))
		}
		return list
	})
	return m, nil
}

// newRulesMatcher returns a matcher that knows no lines, so that it cannot Explain.
func newRulesMatcher(rules []*rule) *Matcher {
	m := &Matcher{rules: rules, auto: newAutomaton(rules, filepath.Separator)}
	var exceptions, inclusions []*rule
	for _, r := range rules {
		if r.exception {
			exceptions = append(exceptions, r)
			continue
		}
		inclusions = append(inclusions, r)
		m.withholds = m.withholds || len(exceptions) > 0
	}
	m.exceptions, m.inclusions = newReach(exceptions), newReach(inclusions)
	return m
}

// Ignored reports whether BuildKit leaves path out.
func (m *Matcher) Ignored(path string) bool {
	dir := m.Root()
	for {
		name, rest, more := strings.Cut(path, "/")
		if !more {
			return m.Match(dir, name)
		}
		dir = m.Enter(dir, name)
		if dir.pruned {
			return true
		}
		path = rest
	}
}

// IgnoredBelow reports whether BuildKit leaves out path with all that could be below it: no
// exception takes any of that back.
func (m *Matcher) IgnoredBelow(path string) bool {
	dir := m.Root()
	for name := range strings.SplitSeq(path, "/") {
		dir = m.Enter(dir, name)
	}
	return dir.Pruned()
}

// A Decision says whether a path is ignored, and why.
type Decision struct {
	Ignored bool
	// By is the line that decided: the last one that matched and has the verdict. It
	// is zero if no line matched.
	By Line
	// Matched are all lines that match the path or a parent of it, in order.
	Matched []Line
}

// Explain returns which lines match the path name, and which one decides.
func (m *Matcher) Explain(name string) Decision {
	d := Decision{Ignored: m.Ignored(name)}
	for i, one := range m.single() {
		if !one.Ignored(name) {
			continue
		}
		line := m.lines[m.lineOf[i]]
		d.Matched = append(d.Matched, line)
		// A later line with the opposite verdict may match and yet not decide: a
		// walk does not ask an exception about a directory that nothing excludes.
		if m.rules[i].exception != d.Ignored {
			d.By = line
		}
	}
	return d
}
