package secrets

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"sync"
)

// Severity says how sure a finding is to be a secret in the image.
type Severity string

const (
	// Error is a secret's value in a file, or a file that is nothing but a secret.
	Error Severity = "error"
	// Warning is a file that usually holds secrets, whatever this one holds.
	Warning Severity = "warning"
)

// Finding is one secret, or one file that is known by its name to hold secrets. It never holds the value.
type Finding struct {
	// Rule is gitleaks' rule id (`aws-access-token`), or one of this package's own for names (`env-file`).
	Rule string
	// Path is the file, slash separated, as it was given.
	Path string
	// Line is where the match begins, from 1; 0 where the whole file is meant.
	Line int
	// Severity is Error or Warning.
	Severity Severity
	// Message says what was found and how to mend it, as one sentence without a full stop.
	Message string
	// Fingerprint names the finding across runs, lines that move, and edits elsewhere in the file: a digest of
	// rule, path and the finding's place among its rule's findings in the file. The value is not in it: an
	// unsalted digest of a short password could be guessed from a report.
	Fingerprint string
}

// Scanner finds secrets. Use New; safe for concurrent use.
type Scanner struct {
	rules   []rule
	global  []allowlist
	index   *index
	scratch sync.Pool // of *scratch
}

// scratch is what one scan needs room for.
type scratch struct {
	buf    []byte // one fragment
	survey survey
}

// New reads the rule set. It takes a few milliseconds; the rules' expressions compile when a file first needs them.
func New() (*Scanner, error) {
	rules, global, err := loadRules()
	if err != nil {
		return nil, err
	}
	s := &Scanner{rules: rules, global: global, index: newIndex(rules)}
	s.scratch.New = func() any { return &scratch{buf: make([]byte, fragmentSize, fragmentSize+maxPeek)} }
	return s, nil
}

// Skips reports whether the content of the file at path (slash separated, relative to the context) is never
// looked at: archives, and what gitleaks' global allowlist names, such as images, lock files and node_modules, for
// the file itself or a directory above it. A caller may save itself the opening of such a file.
func (s *Scanner) Skips(name string) bool {
	if isArchive(name) {
		return true
	}
	return slices.ContainsFunc(s.global, func(a allowlist) bool {
		// An expression of the rule set that does not compile shows up in every scan as an error.
		skip, err := a.skipsTree(name)
		return skip && err == nil
	})
}

// ScanFile looks at the content of the file at path (slash separated, relative to the context). It reads r to its
// end, a fragment at a time, whatever the size, as `gitleaks dir` does by default; size is that of the file, 0 for
// none to read. Findings are ordered by line, then rule. The error is r's, or the context's.
func (s *Scanner) ScanFile(ctx context.Context, name string, r io.Reader, size int64) ([]Finding, error) {
	if size == 0 || s.Skips(name) {
		return nil, nil
	}
	var found []Finding
	first := true
	err := s.scan(ctx, name, r, func(f *fragment, ms []match) error {
		if first {
			head, err := named(name, f.text)
			if err != nil {
				return err
			}
			found, first = append(found, head...), false
		}
		for _, m := range distinct(ms) {
			found = append(found, Finding{
				Rule: m.rule.id, Path: name, Line: m.line, Severity: Error, Message: Describe(m.rule.id),
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	finish(found)
	return found, nil
}

// scan hands out the matches of every fragment of a file.
func (s *Scanner) scan(ctx context.Context, name string, r io.Reader, each func(*fragment, []match) error) error {
	sc, ok := s.scratch.Get().(*scratch)
	if !ok {
		return fmt.Errorf("scan %s: no scratch space", name)
	}
	defer s.scratch.Put(sc)
	return fragments(ctx, name, r, sc.buf, func(f *fragment) error {
		ms, err := s.detect(f, &sc.survey)
		if err != nil {
			return fmt.Errorf("scan %s: %w", name, err)
		}
		return each(f, ms)
	})
}

// distinct leaves one of the matches that two decoding passes found alike.
func distinct(ms []match) []match {
	type key struct {
		rule   *rule
		line   int
		secret string
	}
	seen := map[key]bool{}
	var out []match
	for _, m := range ms {
		if k := key(m); !seen[k] {
			seen[k] = true
			out = append(out, m)
		}
	}
	return out
}

// finish orders findings of one file and names them.
func finish(found []Finding) {
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
	nth := map[string]int{}
	for i := range found {
		f := &found[i]
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", f.Rule, f.Path, nth[f.Rule]))
		f.Fingerprint = hex.EncodeToString(sum[:8])
		nth[f.Rule]++
	}
}
