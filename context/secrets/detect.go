package secrets

import (
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/zricethezav/gitleaks/v8/detect/codec"
)

// maxDecodes is the default of `gitleaks dir --max-decode-depth`.
const maxDecodes = 5

// allowSignature on the line of a match says that it is not a finding (gitleaks: detect).
const allowSignature = "gitleaks:allow"

// A match is a secret in a text. It must not leave the package, since secret is the value itself.
type match struct {
	rule   *rule
	line   int // from 1
	secret string
}

// A fragment is a piece of a file that is searched by itself.
type fragment struct {
	path  string
	text  string
	line  int   // number of the first line, from 1
	lines []int // offsets of the newlines in text; nil until locate needs them
}

// detect returns what gitleaks' detector finds in the fragment. It uses sv as scratch space.
func (s *Scanner) detect(f *fragment, sv *survey) ([]match, error) {
	var found []match
	p := &passes{first: f.text, text: f.text}
	for {
		s.survey(f.path, p.text, sv)
		for at := range s.rules {
			r := &s.rules[at]
			if len(r.keywords) > 0 && !sv.run[at] {
				continue
			}
			ms, err := s.apply(r, at, f, p, sv)
			if err != nil {
				return nil, err
			}
			found = append(found, ms...)
		}
		if p.n == maxDecodes || !p.next() {
			break
		}
	}
	return withoutShadowed(found), nil
}

// apply runs the rule r, number at of the scanner, over the fragment after some decoding passes.
func (s *Scanner) apply(r *rule, at int, f *fragment, p *passes, sv *survey) ([]match, error) {
	if len(r.keywords) > 0 && len(r.anchors) > 0 && !sv.whole[at] && len(sv.windows[at]) == 0 {
		return nil, nil // the usual case, which needs no expression to be compiled
	}
	if skip, err := skippedByAny(r.allow, f.path); skip || err != nil {
		return nil, err
	}
	if r.path != nil {
		re, err := r.path()
		if err != nil {
			return nil, fmt.Errorf("gitleaks rule %s: path: %w", r.id, err)
		}
		matched := re.MatchString(f.path)
		if r.regex == nil && matched && p.n == 0 {
			return []match{{rule: r}}, nil
		}
		if !matched {
			return nil, nil
		}
	}
	if r.regex == nil {
		return nil, nil
	}
	spans, err := s.matches(r, at, p.text, sv)
	if err != nil {
		return nil, err
	}
	var found []match
	for _, m := range spans {
		m, ok, err := s.judge(r, f, p, m)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, m)
		}
	}
	return found, nil
}

// judge decides whether what the rule r matched, p.text[at[0]:at[1]], is a finding, and returns it as a match.
func (s *Scanner) judge(r *rule, f *fragment, p *passes, at []int) (match, bool, error) {
	whole := strings.Trim(p.text[at[0]:at[1]], "\n")
	current := ""
	if p.n > 0 {
		if !p.touches(at[0], at[1]) {
			return match{}, false, nil // nothing of it was decoded in this pass: an earlier one found it
		}
		over := p.origin(at[0], at[1])
		at = codec.AdjustMatchIndex(over, at)
		at = []int{min(max(at[0], 0), len(f.text)), min(max(at[1], 0), len(f.text))}
		current = codec.CurrentLine(over, p.text)
	} else {
		at = []int{at[0], at[0] + len(whole)}
	}
	line, around := f.locate(at[0], at[1])
	if strings.Contains(around, allowSignature) {
		return match{}, false, nil
	}
	if current == "" {
		current = around
	}
	re, err := r.regex()
	if err != nil {
		return match{}, false, err
	}
	secret := r.secretOf(re.FindStringSubmatch(whole), whole)
	if r.entropy != 0 && shannon(secret) <= r.entropy {
		return match{}, false, nil
	}
	for _, lists := range [][]allowlist{s.global, r.allow} {
		for i := range lists {
			if skip, err := lists[i].skipsMatch(f.path, secret, whole, current); skip || err != nil {
				return match{}, false, err
			}
		}
	}
	return match{rule: r, line: line, secret: secret}, true, nil
}

// secretOf returns the secret in a match: the group that the rule names, else the first group that is not empty, else
// the whole match.
func (r *rule) secretOf(groups []string, whole string) string {
	if r.group > 0 && r.group < len(groups) {
		return groups[r.group]
	}
	if len(groups) > 1 {
		for _, g := range groups[1:] {
			if g != "" {
				return g
			}
		}
	}
	return whole
}

// locate returns the line on which text[start:end] begins, and the text around that, as gitleaks determines both
// (detect: location). A newline belongs to the line after it. On a last line without a newline, the text around a
// match is everything from the beginning of the fragment to the end of that line.
func (f *fragment) locate(start, end int) (line int, around string) {
	if f.lines == nil {
		f.lines = newlines(f.text)
	}
	n := sort.SearchInts(f.lines, start+1) // the first newline behind start
	if n == len(f.lines) {
		stop := end
		for stop < len(f.text) && f.text[stop] != '\n' && f.text[stop] != '\r' {
			stop++
		}
		return f.line + len(f.lines), f.text[:max(stop, end)]
	}
	from, to := 0, f.lines[n]
	if n > 0 {
		from = f.lines[n-1]
	}
	if e := sort.SearchInts(f.lines, end); end > 0 && e < len(f.lines) {
		to = f.lines[e]
	}
	return f.line + n, f.text[from:max(to, end)]
}

// newlines returns the offsets of the newlines in text. A text without any is taken to end in one.
func newlines(text string) []int {
	var out []int
	for i := range len(text) {
		if text[i] == '\n' {
			out = append(out, i)
		}
	}
	if out == nil {
		out = []int{len(text)}
	}
	return out
}

// shannon returns the entropy of s in bits per character. Like gitleaks it counts runes, but divides by the number of
// bytes.
func shannon(s string) float64 {
	counts := map[rune]int{}
	for _, r := range s {
		counts[r]++
	}
	var bits float64
	for _, n := range counts {
		p := float64(n) / float64(len(s))
		bits -= p * math.Log2(p)
	}
	return bits
}

// withoutShadowed drops the matches of generic rules where a specific rule found the same secret on the same line.
func withoutShadowed(found []match) []match {
	var kept []match
	for _, m := range found {
		if !m.generic() || !shadowed(m, found) {
			kept = append(kept, m)
		}
	}
	return kept
}

// shadowed reports whether by has a match of a specific rule on the line of m that contains its secret.
func shadowed(m match, by []match) bool {
	for _, o := range by {
		if o.line == m.line && !o.generic() && strings.Contains(o.secret, m.secret) {
			return true
		}
	}
	return false
}

// generic reports whether m is of a rule that finds any kind of secret.
func (m match) generic() bool { return strings.Contains(strings.ToLower(m.rule.id), "generic") }

// skippedByAny reports whether one of the allowlists skips the file at path.
func skippedByAny(lists []allowlist, path string) (bool, error) {
	for i := range lists {
		if skip, err := lists[i].skipsFile(path); skip || err != nil {
			return skip, err
		}
	}
	return false, nil
}
