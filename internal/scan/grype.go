package scan

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// grype is Anchore's scanner (anchore/grype: README, grype/presenter/models).
type grype struct{}

func (grype) scan(ctx context.Context, r run, layout string, o Options) (Result, error) {
	env := []string{"GRYPE_CHECK_FOR_APP_UPDATE=false"}
	if o.Offline {
		// Without the second variable, grype refuses a database that is older than some days.
		env = append(env, "GRYPE_DB_AUTO_UPDATE=false", "GRYPE_DB_VALIDATE_AGE=false")
	}
	// If the user's configuration has fail-on, grype writes its report and then ends with 1, or 2 in newer versions.
	ok := func(status int) bool { return status == 1 || status == 2 }
	out, err := r.command(ctx, ok, env, "grype", "oci-dir:"+layout, "--output", "json", "--quiet")
	if err != nil {
		return Result{}, err
	}
	if len(strings.TrimSpace(string(out))) == 0 {
		// With --quiet, grype does not say why. To run it again without would take as long again.
		return Result{}, errors.New("gave no report; run grype by hand for the reason, often its database (grype db status)")
	}
	return parseGrype(out)
}

// parseGrype reads grype's JSON report.
func parseGrype(data []byte) (Result, error) {
	var report struct {
		Matches *[]struct {
			Vulnerability struct {
				ID, Severity, Description, DataSource string
				Fix                                   struct{ Versions []string }
			}
			Artifact struct {
				Name, Version, Type string
				Locations           []struct{ Path string }
			}
		}
		Descriptor struct {
			Version string
			// Built is here in versions before 0.88, and in Status since then.
			DB struct {
				Built  time.Time
				Status struct{ Built time.Time }
			}
		}
	}
	if err := json.Unmarshal(data, &report); err != nil {
		return Result{}, badOutput(err)
	}
	if report.Matches == nil {
		return Result{}, errors.New("its output has no matches: it is no report")
	}
	result := Result{Version: report.Descriptor.Version, Database: report.Descriptor.DB.Status.Built}
	if result.Database.IsZero() {
		result.Database = report.Descriptor.DB.Built
	}
	for _, m := range *report.Matches {
		f := Finding{
			ID: m.Vulnerability.ID, Package: m.Artifact.Name, Installed: m.Artifact.Version,
			Fixed: strings.Join(m.Vulnerability.Fix.Versions, ", "), Severity: severityOf(m.Vulnerability.Severity),
			Title: firstLine(m.Vulnerability.Description), URL: m.Vulnerability.DataSource,
		}
		switch m.Artifact.Type {
		case "deb", "rpm", "apk", "alpm", "portage": // the location is the package database of the distribution
		default:
			if len(m.Artifact.Locations) > 0 {
				f.Path = strings.TrimPrefix(m.Artifact.Locations[0].Path, "/")
			}
		}
		result.Findings = append(result.Findings, f)
	}
	return result, nil
}

// firstLine returns the first line of a description, shortened to the length of a title.
func firstLine(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	const enough = 160
	if runes := []rune(text); len(runes) > enough {
		text = string(runes[:enough]) + "…"
	}
	return text
}
