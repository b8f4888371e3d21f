package secrets

import (
	"fmt"
	"strings"
	"sync"
)

// allowlist says which files and which matches are no findings, with the semantics of gitleaks: detect,
// checkCommitOrPathAllowed and checkFindingAllowed. Commits are left out: a build context has none.
type allowlist struct {
	all       bool   // every kind of check that is present must hold; else any one is enough
	target    string // what the expressions look at: "" (the secret), "match" or "line"
	hasPaths  bool
	paths     lazyRegexp
	above     func() (*pathSet, error) // the same as paths, for directories too
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
	a.above = sync.OnceValues(func() (*pathSet, error) { return newPathSet(joined(t.Paths)) })
	if len(t.StopWords) > 0 {
		a.stopWords = sync.OnceValue(func() *automaton { return newAutomaton(t.StopWords) })
	}
	return a, nil
}

// joined is one alternation of all members, as gitleaks builds it: a member's leading (?i) then holds for every
// member after it, and this must not be mended here.
func joined(exprs []string) string { return "(?:" + strings.Join(exprs, "|") + ")" }

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

// skipsFile reports whether the allowlist settles by the path alone that nothing in the file is a finding.
func (a *allowlist) skipsFile(path string) (bool, error) {
	if a.byMatch() {
		return false, nil
	}
	return a.pathAllowed(path)
}

// byMatch reports whether a path alone settles nothing.
func (a *allowlist) byMatch() bool { return a.all && (a.hasRegex || a.stopWords != nil) }

// skipsTree reports whether skipsFile holds for path or a directory above it.
func (a *allowlist) skipsTree(path string) (bool, error) {
	if !a.hasPaths || a.byMatch() {
		return false, nil
	}
	set, err := a.above()
	if err != nil {
		return false, fmt.Errorf("gitleaks rule set: allowlist path: %w", err)
	}
	return set.contains(path), nil
}

// skipsMatch reports whether one match is allowed. line is the text around it in the current decoding pass.
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
