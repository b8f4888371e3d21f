package ignore

import (
	"path/filepath"
	"strings"
	"sync"
)

// A Matcher answers for paths of a context: slash-separated, relative to its
// root. It is safe for concurrent use.
//
// A walk asks with [Matcher.Root], [Matcher.Enter] and [Matcher.Match], which
// cost next to nothing; the other methods take any path and start at the root
// each time.
type Matcher struct {
	lines []Line
	rules []*rule
	owner []int // by rule: the index of its line
	auto  *automaton

	exceptions, inclusions reach
	withholds              bool              // a rule stands after an exception
	single                 func() []*Matcher // by rule: it alone, and no exception
}

// NewMatcher compiles f's patterns.
func NewMatcher(f *File) (*Matcher, error) {
	var (
		rules []*rule
		owner []int
	)
	for i, l := range f.Lines {
		r, err := newRule(l.Pattern)
		if err != nil {
			return nil, refused(f.Path, l.Number, l.Pattern, err)
		}
		if r != nil {
			rules = append(rules, r)
			owner = append(owner, i)
		}
	}
	m := join(rules)
	m.lines, m.owner = f.Lines, owner
	m.single = sync.OnceValue(func() []*Matcher {
		var list []*Matcher
		for _, r := range rules {
			plain := *r
			plain.exception = false
			list = append(list, join([]*rule{&plain}))
		}
		return list
	})
	return m, nil
}

// join makes a matcher that cannot explain itself.
func join(rules []*rule) *Matcher {
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

// A Decision says why a path is in the context or not.
type Decision struct {
	Ignored bool
	// By is the line that decided; zero if none matched. Of several that say
	// the same it is the last.
	By Line
	// Matched are all lines that match the path or a parent of it, in order.
	Matched []Line
}

// Explain returns which lines match name, and which one decides.
func (m *Matcher) Explain(name string) Decision {
	d := Decision{Ignored: m.Ignored(name)}
	for i, one := range m.single() {
		if !one.Ignored(name) {
			continue
		}
		line := m.lines[m.owner[i]]
		d.Matched = append(d.Matched, line)
		// A later line with the other verdict need not have decided: a walk
		// does not ask an exception for a directory that nothing excludes.
		if m.rules[i].exception != d.Ignored {
			d.By = line
		}
	}
	return d
}
