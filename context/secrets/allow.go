package secrets

import (
	"fmt"
	"strings"
	"sync"
)

// An allowlist says which files and which matches are not findings. Its semantics are gitleaks' (detect,
// checkCommitOrPathAllowed and checkFindingAllowed), without commits, which a build context does not have.
type allowlist struct {
	all       bool   // every kind of check that is present must hold; otherwise one is enough
	target    string // what regexes are matched against: "" (the secret), "match" or "line"
	hasPaths  bool
	paths     lazyRegexp
	pathSet   func() (*pathSet, error) // matches what paths match, and everything below
	hasRegex  bool
	regexes   lazyRegexp
	stopWords func() *automaton // nil without stop words
}

func newAllowlist(t tomlAllowlist) (allowlist, error) {
	a := allowlist{hasPaths: len(t.Paths) > 0, hasRegex: len(t.Regexes) > 0}
	switch strings.ToUpper(t.Condition) {
	case "", "OR", "||":
	case "AND", "&&":
		a.all = true
	default:
		return allowlist{}, fmt.Errorf("unknown allowlist condition %q", t.Condition)
	}
	switch t.RegexTarget {
	case "", "secret":
	case "match", "line":
		a.target = t.RegexTarget
	default:
		return allowlist{}, fmt.Errorf("unknown allowlist target %q", t.RegexTarget)
	}
	a.paths, a.regexes = lazy(joined(t.Paths)), lazy(joined(t.Regexes))
	a.pathSet = sync.OnceValues(func() (*pathSet, error) { return newPathSet(joined(t.Paths)) })
	if len(t.StopWords) > 0 {
		a.stopWords = sync.OnceValue(func() *automaton { return newAutomaton(t.StopWords) })
	}
	return a, nil
}

// joined returns one alternation of all expressions, as gitleaks builds it. A leading (?i) in one of them therefore
// applies to all that follow. That is a quirk of gitleaks, and is kept on purpose.
func joined(exprs []string) string { return "(?:" + strings.Join(exprs, "|") + ")" }

// pathAllowed reports whether the paths of the allowlist match path.
func (a *allowlist) pathAllowed(path string) (bool, error) {
	if !a.hasPaths || path == "" {
		return false, nil
	}
	re, err := a.paths()
	if err != nil {
		return false, fmt.Errorf("gitleaks rule set: allowlist path: %w", err)
	}
	return re.MatchString(path), nil
}

// skipsFile reports whether, because of its path alone, nothing in a file can be a finding.
func (a *allowlist) skipsFile(path string) (bool, error) {
	if a.needsMatch() {
		return false, nil
	}
	return a.pathAllowed(path)
}

// needsMatch reports whether a path alone decides nothing, since the match has to be allowed as well.
func (a *allowlist) needsMatch() bool { return a.all && (a.hasRegex || a.stopWords != nil) }

// skipsTree reports whether skipsFile holds for path or for a directory above it.
func (a *allowlist) skipsTree(path string) (bool, error) {
	if !a.hasPaths || a.needsMatch() {
		return false, nil
	}
	set, err := a.pathSet()
	if err != nil {
		return false, fmt.Errorf("gitleaks rule set: allowlist path: %w", err)
	}
	return set.contains(path), nil
}

// skipsMatch reports whether a match in the file at path is allowed. line is the text around the match, as it is
// after the current decoding pass.
func (a *allowlist) skipsMatch(path, secret, match, line string) (bool, error) {
	regexAllowed, err := a.regexAllowed(secret, match, line)
	if err != nil {
		return false, err
	}
	stop := a.stopWords != nil && secret != "" && a.stopWords().contains(strings.ToLower(secret))
	if !a.all {
		return regexAllowed || stop, nil
	}
	if a.hasPaths {
		if ok, err := a.pathAllowed(path); !ok || err != nil {
			return false, err
		}
	}
	return (!a.hasRegex || regexAllowed) && (a.stopWords == nil || stop), nil
}

// regexAllowed reports whether the expressions of the allowlist match their target.
func (a *allowlist) regexAllowed(secret, match, line string) (bool, error) {
	target := secret
	switch a.target {
	case "match":
		target = match
	case "line":
		target = line
	}
	if !a.hasRegex || target == "" {
		return false, nil
	}
	re, err := a.regexes()
	if err != nil {
		return false, fmt.Errorf("gitleaks rule set: allowlist: %w", err)
	}
	return re.MatchString(target), nil
}
