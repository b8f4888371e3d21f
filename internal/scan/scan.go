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

// The supported scanners.
const (
	Trivy = "trivy"
	Grype = "grype"
	Scout = "scout"
)

// Default returns the scanners to try by default, in that order.
func Default() []string { return []string{Trivy, Grype} }

// Options say how to scan.
type Options struct {
	Scanners []string      // the scanners to try, in order
	Offline  bool          // scanners must not use the network, and use the database that they have, whatever its age
	Timeout  time.Duration // for each scanner; 0 means 10 minutes
	Environ  []string      // the environment of scanners, "NAME=value", with the PATH in which they are looked for
}

// Result is the result of scanning an image.
type Result struct {
	Scanner  string    // the one that returned a report; "" if none did
	Version  string    // of the scanner; "" if it is not known
	Database time.Time // when the scanner's database was made; zero if it is not known
	Offline  bool      // as in Options
	Seconds  float64   // how long the scanner took
	Findings []Finding // the most severe first
	Tried    []Attempt // the scanners that were tried before
	Hint     string    // how to get a scanner, if none is installed
}

// Scanned reports whether a scanner returned a report.
func (r Result) Scanned() bool { return r.Scanner != "" }

// Attempt is a scanner that did not return a report.
type Attempt struct {
	Scanner string
	Reason  string
	Missing bool // it is not installed
}

// Finding is a known vulnerability of a package in the image.
type Finding struct {
	ID        string // CVE-2025-1234, GHSA-…
	Package   string
	Installed string // version of the package
	Fixed     string // version, or versions, in which it is fixed; "" if there is none
	Severity  Severity
	Title     string
	URL       string
	Path      string // of the file that the package was found in; "" for a package of the distribution
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

// The severities, the worst first. Grype's "negligible" becomes Low.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
	Unknown  Severity = "unknown"
)

// severities returns all severities, the worst first.
func severities() []Severity { return []Severity{Critical, High, Medium, Low, Unknown} }

// ParseSeverity returns the severity with a name, in upper or lower case; false if there is none.
func ParseSeverity(name string) (Severity, bool) {
	s := Severity(strings.ToLower(strings.TrimSpace(name)))
	return s, slices.Contains(severities(), s)
}

// severityOf returns the severity for a scanner's name of it.
func severityOf(name string) Severity {
	if strings.EqualFold(name, "negligible") {
		return Low
	}
	if s, ok := ParseSeverity(name); ok {
		return s
	}
	return Unknown
}

// defaultTimeout is long enough to download a database over a slow connection, which the first scan does.
const defaultTimeout = 10 * time.Minute

// Run scans the image in the OCI layout at the absolute path layout. It returns an error if a scanner is not supported, or
// the cause of ctx's end. If no scanner returns a report, that is in the result.
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

// hint returns how to get a scanner, if the ones that were tried are all missing. The commands are from the documentation
// of the scanners.
func hint(tried []Attempt) string {
	if slices.ContainsFunc(tried, func(a Attempt) bool { return !a.Missing }) {
		return ""
	}
	return "install one: brew install trivy, or brew install grype, or see https://trivy.dev/latest/getting-started/installation/"
}

// tidy sorts the findings and removes duplicates.
func (r *Result) tidy() {
	slices.SortFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank(a.Severity), rank(b.Severity)), strings.Compare(a.Package, b.Package),
			strings.Compare(a.ID, b.ID), strings.Compare(a.Installed, b.Installed), strings.Compare(a.Path, b.Path))
	})
	r.Findings = slices.Compact(r.Findings)
}

func rank(s Severity) int { return slices.Index(severities(), s) }

// try runs one scanner, in an empty folder.
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

// A scanner is one of the supported scanners.
type scanner interface {
	// scan scans the image in layout. It does not set the fields of Result that Run sets for all scanners.
	scan(ctx context.Context, r run, layout string, o Options) (Result, error)
}

// known returns the scanner with a name; false if it is not supported.
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
