package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// The scanners that are known.
const (
	Trivy = "trivy"
	Grype = "grype"
	Scout = "scout"
)

// Default is the order in which scanners are tried where nobody says otherwise.
func Default() []string { return []string{Trivy, Grype} }

// Options say how to scan.
type Options struct {
	// Scanners are names, the first to try first.
	Scanners []string
	// Offline keeps scanners from the network: they use the database that they have, whatever its age.
	Offline bool
	// Timeout bounds one scanner; 0 is 10 minutes.
	Timeout time.Duration
	// Environ is the environment that scanners are looked for and run in, "NAME=value".
	Environ []string
}

// Result is what came of scanning an image.
type Result struct {
	// Scanner is the one that answered; "" if the image was not scanned.
	Scanner string
	Version string
	// Database is when the database was made that the scanner looked in; zero if it does not tell.
	Database time.Time
	Offline  bool
	Seconds  float64
	// Findings are what it found, the most severe first.
	Findings []Finding
	// Tried are the scanners before it that gave no answer.
	Tried []Attempt
	// Hint says how to get a scanner; only where none answered.
	Hint string
}

// Scanned reports whether some scanner looked at the image.
func (r Result) Scanned() bool { return r.Scanner != "" }

// Attempt is a scanner that gave no answer.
type Attempt struct {
	Scanner string
	Reason  string
	// Missing reports that it is not installed.
	Missing bool
}

// Finding is a known vulnerability of something in the image.
type Finding struct {
	ID        string // CVE-2025-1234, GHSA-…
	Package   string
	Installed string // its version
	Fixed     string // the version that does not have it any more; "" if there is none
	Severity  Severity
	Title     string
	URL       string
	Path      string // of the file that the package was found in; "" for a distribution's
}

// Count returns how many findings have a severity.
func (r Result) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// A Severity says how bad a finding is.
type Severity string

// Severities, the worst first. Grype's negligible is Low.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
	Unknown  Severity = "unknown"
)

// severities returns all, the worst first.
func severities() []Severity { return []Severity{Critical, High, Medium, Low, Unknown} }

// ParseSeverity reads a name of a severity, whatever the case.
func ParseSeverity(name string) (Severity, bool) {
	s := Severity(strings.ToLower(strings.TrimSpace(name)))
	return s, slices.Contains(severities(), s)
}

func severityOf(name string) Severity {
	if strings.EqualFold(name, "negligible") {
		return Low
	}
	if s, ok := ParseSeverity(name); ok {
		return s
	}
	return Unknown
}

// defaultTimeout leaves room for a first scan, which downloads a database, on a slow line.
const defaultTimeout = 10 * time.Minute

// Run scans the image in an OCI layout on disk. It fails where ctx ends or a scanner is not known; that none answered is
// in the result.
func Run(ctx context.Context, layout string, o Options) (Result, error) {
	var result Result
	result.Offline = o.Offline
	for _, name := range o.Scanners {
		s, ok := known(name)
		if !ok {
			return Result{}, fmt.Errorf("there is no scanner %q: there are %s", name, strings.Join([]string{Trivy, Grype, Scout}, ", "))
		}
		began := time.Now()
		found, err := o.try(ctx, s, layout)
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		if err != nil {
			var missing *missingError
			result.Tried = append(result.Tried, Attempt{Scanner: name, Reason: err.Error(), Missing: errors.As(err, &missing)})
			continue
		}
		found.Scanner, found.Offline, found.Tried = name, o.Offline, result.Tried
		found.Seconds = time.Since(began).Seconds()
		found.tidy()
		return found, nil
	}
	result.Hint = hint(result.Tried)
	return result, nil
}

// hint says how to get a scanner. The commands are those of the tools' own documentation.
func hint(tried []Attempt) string {
	if slices.ContainsFunc(tried, func(a Attempt) bool { return !a.Missing }) {
		return ""
	}
	return "install one: brew install trivy, or brew install grype, or see https://trivy.dev/latest/getting-started/installation/"
}

// tidy sorts the findings and drops the same one of the same package twice.
func (r *Result) tidy() {
	slices.SortFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank(a.Severity), rank(b.Severity)), strings.Compare(a.Package, b.Package),
			strings.Compare(a.ID, b.ID), strings.Compare(a.Installed, b.Installed), strings.Compare(a.Path, b.Path))
	})
	r.Findings = slices.Compact(r.Findings)
}

func rank(s Severity) int { return slices.Index(severities(), s) }

// try runs one scanner.
func (o Options) try(ctx context.Context, s scanner, layout string) (Result, error) {
	timeout := cmp.Or(o.Timeout, defaultTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("gave no answer within %s", timeout))
	defer cancel()
	dir, err := os.MkdirTemp("", "stoker-scan-")
	if err != nil {
		return Result{}, fmt.Errorf("make a folder to scan in: %w", err)
	}
	defer os.RemoveAll(dir)
	return s.scan(ctx, run{dir: dir, environ: o.Environ}, layout, o)
}

// A scanner is one tool.
type scanner interface {
	scan(ctx context.Context, r run, layout string, o Options) (Result, error)
}

func known(name string) (scanner, bool) {
	switch name {
	case Trivy:
		return trivy{}, true
	case Grype:
		return grype{}, true
	case Scout:
		return scout{}, true
	}
	return nil, false
}
