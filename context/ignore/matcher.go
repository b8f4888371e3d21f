package ignore

import (
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
)

// wildcards are the characters that make a pattern more than a path (fsutil:
// NewFilterFS).
var wildcards = func() string {
	if filepath.Separator == '\\' {
		return "*[]?^"
	}
	return `*[]?^\`
}()

// A Matcher answers for paths of a context: slash-separated, relative to its
// root. It is immutable and safe for concurrent use.
type Matcher struct {
	pm         *patternmatcher.PatternMatcher   // all of its patterns are compiled
	single     []*patternmatcher.PatternMatcher // one per line, for Explain
	lines      []Line
	exceptions []string // the paths that exceptions re-include, without trailing globs
	anywhere   bool     // an exception may match at any place
}

// NewMatcher compiles f's patterns.
func NewMatcher(f *File) (*Matcher, error) {
	pm, err := compile(f.Patterns())
	if err != nil {
		return nil, err
	}
	m := &Matcher{pm: pm, lines: f.Lines}
	for _, p := range pm.Patterns() {
		if !p.Exclusion() {
			continue
		}
		fixed := withoutTrailingGlob(p.String())
		m.anywhere = m.anywhere || strings.ContainsAny(fixed, wildcards)
		m.exceptions = append(m.exceptions, filepath.ToSlash(fixed)+"/")
	}
	for _, l := range f.Lines {
		// An exception only shows against something that is excluded.
		one, err := compile([]string{"**", l.Pattern})
		if !isException(l) {
			one, err = compile([]string{l.Pattern})
		}
		if err != nil {
			return nil, err
		}
		m.single = append(m.single, one)
	}
	return m, nil
}

func withoutTrailingGlob(pattern string) string {
	sep := string(os.PathSeparator)
	pattern = strings.TrimSuffix(pattern, sep+"**")
	return strings.TrimSuffix(pattern, sep+"*")
}

// Ignored reports whether BuildKit leaves path out.
func (m *Matcher) Ignored(path string) bool {
	ignored, err := m.pm.MatchesOrParentMatches(filepath.FromSlash(path))
	return err == nil && ignored // patterns were compiled: no error is left to have
}

// Prunes reports whether dir is left out with all that is or will be below it,
// so that nobody has to look there (fsutil: filterFS.Walk).
func (m *Matcher) Prunes(dir string) bool {
	if dir == "." || !m.Ignored(dir) {
		return false
	}
	if m.anywhere {
		return false
	}
	for _, e := range m.exceptions {
		if strings.HasPrefix(e, dir+"/") {
			return false
		}
	}
	return true
}

// A Decision says why a path is in the context or not.
type Decision struct {
	Ignored bool
	// By is the line that decided; zero if none matched.
	By Line
	// Matched are all lines that match the path or a parent of it, in order.
	Matched []Line
}

// Explain returns which lines match name, and which one decides.
func (m *Matcher) Explain(name string) Decision {
	var d Decision
	for i, l := range m.lines {
		exception := isException(l)
		if matchesAny(m.single[i], name, exception) {
			d.Matched = append(d.Matched, l)
			d.By = l
			d.Ignored = !exception
		}
	}
	return d
}

func isException(l Line) bool { return strings.HasPrefix(l.Pattern, "!") }

// matchesAny reports whether the line that pm was made of matches name or a
// parent of it.
func matchesAny(pm *patternmatcher.PatternMatcher, name string, exception bool) bool {
	for p := name; p != "." && p != "/" && p != ""; p = path.Dir(p) {
		ignored, _, err := pm.MatchesUsingParentResults(filepath.FromSlash(p), patternmatcher.MatchInfo{})
		if err == nil && ignored != exception {
			return true
		}
	}
	return false
}
