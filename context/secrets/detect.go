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

// allowSignature on the line of a match makes it no finding (gitleaks: detect).
const allowSignature = "gitleaks:allow"

// match is one secret in a text. It never leaves the package: secret is the value itself.
type match struct {
	rule   *rule
	line   int // from 1
	secret string
}

// fragment is a piece of a file that is searched by itself.
type fragment struct {
	path  string
	text  string
	line  int   // number of the first line, from 1
	lines []int // offsets of the newlines in text, once a match asks for them
}

// detect finds what gitleaks' detector finds in the fragment.
func (s *Scanner) detect(f *fragment, sv *survey) ([]match, error) {
	var found []match
	text, decoder := f.text, codec.NewDecoder()
	var segments []*codec.EncodedSegment
	for pass := 0; ; pass++ {
		s.survey(text, sv)
		for at := range s.rules {
			r := &s.rules[at]
			if len(r.keywords) > 0 && !sv.run[at] {
				continue
			}
			ms, err := s.apply(r, at, f, text, segments, sv)
			if err != nil {
				return nil, err
			}
			found = append(found, ms...)
		}
		if pass == maxDecodes || !decodable(text) {
			break
		}
		text, segments = decoder.Decode(text, segments)
		if len(segments) == 0 {
			break
		}
	}
	return withoutShadowed(found), nil
}

// apply runs one rule over one decoding pass of the fragment: text, decoded at segments.
func (s *Scanner) apply(r *rule, at int, f *fragment, text string, segments []*codec.EncodedSegment, sv *survey) ([]match, error) {
	if len(r.keywords) > 0 && len(r.anchors) > 0 && !sv.whole && len(sv.windows[at]) == 0 {
		return nil, nil // the common case, before any expression is compiled
	}
	if skip, err := anyFile(r.allow, f.path); skip || err != nil {
		return nil, err
	}
	if r.path != nil {
		re, err := r.path()
		if err != nil {
			return nil, fmt.Errorf("gitleaks rule %s: path: %w", r.id, err)
		}
		matched := re.MatchString(f.path)
		if r.regex == nil && matched && len(segments) == 0 {
			return []match{{rule: r}}, nil
		}
		if !matched {
			return nil, nil
		}
	}
	if r.regex == nil {
		return nil, nil
	}
	spans, err := s.matches(r, at, text, sv)
	if err != nil {
		return nil, err
	}
	var found []match
	for _, m := range spans {
		m, ok, err := s.judge(r, f, text, m, segments)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, m)
		}
	}
	return found, nil
}

// judge decides whether what an expression matched is a finding, and where.
func (s *Scanner) judge(r *rule, f *fragment, text string, at []int, segments []*codec.EncodedSegment) (match, bool, error) {
	whole := strings.Trim(text[at[0]:at[1]], "\n")
	current := ""
	if len(segments) > 0 {
		over := codec.SegmentsWithDecodedOverlap(segments, at[0], at[1])
		if len(over) == 0 {
			return match{}, false, nil // found in an earlier pass
		}
		at = codec.AdjustMatchIndex(over, at)
		at = []int{min(max(at[0], 0), len(f.text)), min(max(at[1], 0), len(f.text))}
		current = codec.CurrentLine(over, text)
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

// secretOf picks the secret out of a match: the group that the rule names, else the first that is not empty, else
// all of it.
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

// locate gives the line that text[start:end] begins on and the text around it, with gitleaks' own idea of both
// (detect: location): a newline belongs to the line after it, and on a last line without a newline the text
// around a match is everything from the fragment's start to the end of that line.
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

// newlines gives their offsets; a text without any counts as ending in one, so that its matches are on its line.
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

// shannon is the entropy in bits per character: counted by rune, weighed by byte, as gitleaks does.
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

// withoutShadowed drops what a generic rule found where a specific rule found the same on the same line.
func withoutShadowed(found []match) []match {
	var kept []match
	for _, m := range found {
		if !m.generic() || !shadowed(m, found) {
			kept = append(kept, m)
		}
	}
	return kept
}

func shadowed(m match, by []match) bool {
	for _, o := range by {
		if o.line == m.line && !o.generic() && strings.Contains(o.secret, m.secret) {
			return true
		}
	}
	return false
}

func (m match) generic() bool { return strings.Contains(strings.ToLower(m.rule.id), "generic") }

func anyFile(lists []allowlist, path string) (bool, error) {
	for i := range lists {
		if skip, err := lists[i].skipsFile(path); skip || err != nil {
			return skip, err
		}
	}
	return false, nil
}
