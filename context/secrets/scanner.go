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

// A Severity says how certain a finding is.
type Severity string

const (
	// Error is for the value of a secret in a file, and for a file that is nothing but a secret.
	Error Severity = "error"
	// Warning is for a file that usually has secrets in it; this one may have none.
	Warning Severity = "warning"
)

// A Finding is a secret in a file, or a file that has secrets in it going by its name. It does not contain the value.
type Finding struct {
	// Rule is gitleaks' rule id (`aws-access-token`), or one of this package's own for names (`env-file`).
	Rule string
	// Path is the file, as it was given to the scanner.
	Path string
	// Line is the line on which the match begins, from 1; 0 if the finding is the whole file.
	Line int
	// Severity is Error or Warning.
	Severity Severity
	// Message is one sentence without a full stop that says what was found and what to do about it.
	Message string
	// Fingerprint identifies the finding in later runs, when lines have moved or the file was edited elsewhere. It is
	// a digest of rule, path, and the number of the finding among those of its rule in the file. The value is not
	// part of it, since from an unsalted digest a short password could be guessed.
	Fingerprint string
}

// A Scanner finds secrets. Make one with [New]. It is immutable apart from caches, and safe for concurrent use.
type Scanner struct {
	rules   []rule
	global  []allowlist
	index   *index
	scratch sync.Pool // of *scratch
}

// A scratch is memory that a scan needs and the next one reuses.
type scratch struct {
	buf    []byte // for one fragment
	survey survey
}

// New returns a scanner with the built-in rules. It takes a few milliseconds; the expressions of rules are compiled
// when a file first needs them. An error is a defect in the rules.
func New() (*Scanner, error) {
	rules, global, err := loadRules()
	if err != nil {
		return nil, err
	}
	s := &Scanner{rules: rules, global: global, index: newIndex(rules)}
	s.scratch.New = func() any { return &scratch{buf: make([]byte, fragmentSize, fragmentSize+maxPeek)} }
	return s, nil
}

// Skips reports whether ScanFile would not look at the content of the file name (slash-separated, relative to the
// context), so that it need not be opened. These are archives, and files that gitleaks' global allowlist has, or one
// of whose parent directories it has: images, lock files, node_modules and others.
func (s *Scanner) Skips(name string) bool {
	if isArchive(name) {
		return true
	}
	return slices.ContainsFunc(s.global, func(a allowlist) bool {
		// If an expression of the allowlist does not compile, every scan returns the error.
		skip, err := a.skipsTree(name)
		return skip && err == nil
	})
}

// ScanFile returns the findings in the content of the file name (slash-separated, relative to the context), sorted by
// line and rule. It reads r to its end, however long that is, keeping one fragment in memory. If size, the size of the
// file in bytes, is 0, r is not read. The error is r's or ctx's.
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
			if m.rule.id == guessed && locks(name) {
				continue
			}
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

// scan calls each with the matches in every fragment of a file.
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

// distinct drops matches that an earlier decoding pass found as well.
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

// finish sorts the findings of one file and sets their fingerprints.
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
