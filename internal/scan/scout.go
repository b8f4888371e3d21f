package scan

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
)

// scout is Docker's scanner (docs.docker.com: reference/cli/docker/scout/cves). Its only JSON format is SARIF, in which
// there is a rule for each vulnerability, with the packages that have it.
type scout struct{}

func (scout) scan(ctx context.Context, r run, layout string, o Options) (Result, error) {
	if o.Offline {
		return Result{}, errors.New("docker scout asks its service, and does not work offline")
	}
	if _, err := r.command(ctx, nil, nil, "docker", "scout", "version"); err != nil {
		var missing *missingError
		if errors.As(err, &missing) || ctx.Err() != nil {
			return Result{}, err
		}
		return Result{}, &missingError{"docker scout"}
	}
	report := filepath.Join(r.dir, "report.json")
	// Without --exit-code, it ends with 0 even if it finds something. It writes the report to a file because on stdout
	// there would be other text, too.
	if _, err := r.command(ctx, nil, nil, "docker", "scout", "cves", "--format", "sarif", "--output", report, "oci-dir://"+layout); err != nil {
		return Result{}, err
	}
	data, err := r.read(report)
	if err != nil {
		return Result{}, err
	}
	return parseScout(data)
}

// parseScout reads Docker Scout's SARIF report.
func parseScout(data []byte) (Result, error) {
	var report struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Version string
					Rules   []struct {
						ID, HelpURI      string
						ShortDescription struct{ Text string }
						Properties       struct {
							FixedVersion string   `json:"fixed_version"`
							Severity     string   `json:"cvssV3_severity"`
							PURLs        []string `json:"purls"`
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal(data, &report); err != nil {
		return Result{}, badOutput(err)
	}
	if len(report.Runs) == 0 {
		return Result{}, errors.New("its report has no run: it is no report")
	}
	var result Result
	for _, one := range report.Runs {
		result.Version = one.Tool.Driver.Version
		for _, rule := range one.Tool.Driver.Rules {
			f := Finding{
				ID: rule.ID, Fixed: rule.Properties.FixedVersion, Severity: severityOf(rule.Properties.Severity),
				Title: strings.TrimPrefix(rule.ShortDescription.Text, rule.ID+": "), URL: rule.HelpURI,
			}
			if strings.EqualFold(f.Fixed, "not fixed") {
				f.Fixed = ""
			}
			if len(rule.Properties.PURLs) == 0 {
				result.Findings = append(result.Findings, f)
			}
			for _, purl := range rule.Properties.PURLs {
				f.Package, f.Installed = parsePURL(purl)
				result.Findings = append(result.Findings, f)
			}
		}
	}
	return result, nil
}

// parsePURL returns the name and version of a package URL: pkg:type/namespace/name@version?qualifiers#subpath
// (package-url/purl-spec). The namespace is a part of the name, except for packages of a distribution.
func parsePURL(purl string) (name, version string) {
	rest := strings.TrimPrefix(purl, "pkg:")
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	if at := strings.LastIndex(rest, "@"); at > strings.LastIndex(rest, "/")+1 {
		rest, version = rest[:at], rest[at+1:]
	}
	kind, name, _ := strings.Cut(rest, "/")
	switch kind {
	case "deb", "apk", "rpm", "alpm":
		name = name[strings.LastIndex(name, "/")+1:]
	}
	return unescape(name), unescape(version)
}

// unescape decodes %-escapes. Text that is malformed is returned as it is.
func unescape(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
