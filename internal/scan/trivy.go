package scan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// trivy is Aqua's scanner (trivy.dev: docs/references/configuration/cli/trivy_image, docs/target/container_image).
type trivy struct{}

func (trivy) scan(ctx context.Context, r run, layout string, o Options) (Result, error) {
	// These flags override the user's configuration, and trivy's default timeout, which is shorter than ours.
	args := []string{"image", "--input", layout, "--format", "json", "--quiet", "--scanners", "vuln", "--exit-code", "0"}
	if deadline, ok := ctx.Deadline(); ok {
		args = append(args, "--timeout", time.Until(deadline).Round(time.Second).String())
	}
	if o.Offline {
		args = append(args, "--offline-scan", "--skip-db-update", "--skip-java-db-update")
	}
	out, err := r.command(ctx, nil, nil, "trivy", args...)
	if err != nil {
		return Result{}, err
	}
	result, err := parseTrivy(out)
	if err != nil {
		return Result{}, err
	}
	// The age of the database is not in the report but in the output of version. If that fails, it is left out.
	if out, err := r.command(ctx, nil, nil, "trivy", "version", "--format", "json"); err == nil {
		parseTrivyVersion(out, &result)
	}
	return result, nil
}

// parseTrivy reads trivy's JSON report.
func parseTrivy(data []byte) (Result, error) {
	var report struct {
		SchemaVersion int
		Results       []struct {
			Target          string
			Class           string // os-pkgs, lang-pkgs
			Vulnerabilities []struct {
				VulnerabilityID, PkgName, PkgPath, InstalledVersion, FixedVersion, Severity, Title, PrimaryURL string
			}
		}
	}
	if err := json.Unmarshal(data, &report); err != nil {
		return Result{}, badOutput(err)
	}
	if report.SchemaVersion != 2 {
		return Result{}, fmt.Errorf("its report has schema %d, and 2 is what stoker reads: trivy 0.20 or newer", report.SchemaVersion)
	}
	var result Result
	for _, target := range report.Results {
		for _, v := range target.Vulnerabilities {
			f := Finding{
				ID: v.VulnerabilityID, Package: v.PkgName, Installed: v.InstalledVersion, Fixed: v.FixedVersion,
				Severity: severityOf(v.Severity), Title: v.Title, URL: v.PrimaryURL, Path: v.PkgPath,
			}
			if f.Path == "" && target.Class == "lang-pkgs" {
				f.Path = target.Target
			}
			result.Findings = append(result.Findings, f)
		}
	}
	return result, nil
}

// parseTrivyVersion sets the version and the time of the database, if data has them.
func parseTrivyVersion(data []byte, result *Result) {
	var version struct {
		Version         string
		VulnerabilityDB struct{ UpdatedAt time.Time }
	}
	if json.Unmarshal(data, &version) == nil {
		result.Version, result.Database = version.Version, version.VulnerabilityDB.UpdatedAt
	}
}

// badOutput returns the error of a report that cannot be decoded because of err.
func badOutput(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("its output is no JSON, at byte %d", syntax.Offset)
	}
	return fmt.Errorf("its output is not the report that it documents: %w", err)
}
