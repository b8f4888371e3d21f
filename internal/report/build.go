package report

import (
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/scan"
)

// Built reports a build of `stoker build`. What is looked at after the build, such as the
// image, is left empty.
func Built(definition string, r cache.Record, digest string) api.BuildReport {
	hits, needed := r.Hits()
	b := api.BuildReport{
		Schema: api.BuildReportSchema, Definition: definition, Builder: r.Builder, Status: string(r.Status), Error: r.Error, Ref: r.Ref,
		Completed: r.Completed, Seconds: r.Seconds(), Hits: hits, Needed: needed, Steps: []api.WhyStep{}, Digest: digest,
		Tags: []string{}, Suggestions: []api.BuildAdvice{}, Gates: []api.BuildGate{},
	}
	for _, s := range r.Steps {
		b.Steps = append(b.Steps, api.WhyStep{
			Name: s.Name, Stage: s.Stage, Platform: s.Platform, Index: s.Index, Line: s.Line, Outcome: string(s.Outcome), Seconds: s.Seconds,
		})
	}
	return b
}

// Scan reports what a scanner found.
func Scan(r scan.Result) *api.BuildScan {
	out := &api.BuildScan{
		Scanner: r.Scanner, Version: r.Version, Database: when(r.Database), Offline: r.Offline, Seconds: r.Seconds,
		Critical: r.Count(scan.Critical), High: r.Count(scan.High), Medium: r.Count(scan.Medium), Low: r.Count(scan.Low),
		Unknown: r.Count(scan.Unknown), Findings: []api.BuildFinding{}, Tried: []api.BuildAttempt{}, Hint: r.Hint,
	}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, api.BuildFinding{
			ID: f.ID, Package: f.Package, Installed: f.Installed, Fixed: f.Fixed, Severity: string(f.Severity), Title: f.Title, URL: f.URL, Path: f.Path,
		})
	}
	for _, t := range r.Tried {
		out.Tried = append(out.Tried, api.BuildAttempt{Scanner: t.Scanner, Reason: t.Reason})
	}
	return out
}

// DatabaseAge returns the age of the scanner's database; ok is false if it is not known.
func DatabaseAge(s *api.BuildScan, now time.Time) (age time.Duration, ok bool) {
	if s.Database == nil {
		return 0, false
	}
	return max(0, now.Sub(*s.Database)), true
}
