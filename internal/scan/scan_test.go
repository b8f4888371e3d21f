package scan_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/scan"
)

// tools makes a folder with programs, which are shell scripts, and returns options whose environment has it first.
func tools(t *testing.T, programs map[string]string) scan.Options {
	t.Helper()
	dir := t.TempDir()
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	data, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return scan.Options{
		Scanners: []string{scan.Trivy, scan.Grype, scan.Scout},
		Environ:  []string{"PATH=" + dir + ":/usr/bin:/bin", "DATA=" + data, "LOG=" + filepath.Join(dir, "log")},
	}
}

func run(t *testing.T, o scan.Options) scan.Result {
	t.Helper()
	r, err := scan.Run(t.Context(), "/tmp/layout", o)
	if err != nil {
		t.Fatal(err)
	}
	r.Seconds = 0
	return r
}

const trivyScript = `echo "$PWD $*" >>"$LOG"
case "$1" in
image) cat "$DATA/trivy.json" ;;
version) cat "$DATA/trivy-version.json" ;;
esac`

func TestTrivy(t *testing.T) {
	o := tools(t, map[string]string{"trivy": trivyScript})
	o.Offline = true
	got := run(t, o)
	want := scan.Result{
		Scanner: "trivy", Version: "0.58.1", Offline: true, Database: time.Date(2026, 1, 5, 6, 11, 12, 0, time.UTC),
		Findings: []scan.Finding{
			{
				ID: "CVE-2099-0003", Package: "left-pad", Installed: "1.0.0", Fixed: "1.0.1, 2.0.0", Severity: scan.Critical,
				Title: "pads without end", Path: "app/node_modules/left-pad/package.json",
			},
			{
				ID: "CVE-2099-0001", Package: "libfoo1", Installed: "1.2-3", Fixed: "1.2-4", Severity: scan.High,
				Title: "foo: reads past its end", URL: "https://vulns.example/CVE-2099-0001",
			},
			{ID: "CVE-2099-0004", Package: "stdlib", Installed: "v1.20", Fixed: "1.21", Severity: scan.Low, Path: "usr/bin/tool"},
			{ID: "CVE-2099-0002", Package: "libbar2", Installed: "0.9", Severity: scan.Unknown},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// The layout, the offline flags, and a folder in which no configuration of a repository is.
	log, err := os.ReadFile(strings.TrimPrefix(o.Environ[2], "LOG="))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(log), "\n")
	for _, want := range []string{"image --input /tmp/layout ", " --exit-code 0", " --offline-scan --skip-db-update --skip-java-db-update", "stoker-scan-"} {
		if !strings.Contains(first, want) {
			t.Errorf("trivy was run as %q, without %q", first, want)
		}
	}
	if here, err := os.Getwd(); err != nil || strings.Contains(first, here+" ") {
		t.Errorf("trivy ran in the folder of the repository: %q, %v", first, err)
	}
}

func TestGrype(t *testing.T) {
	// The user's configuration has fail-on, so it ends with 2 after it reported.
	o := tools(t, map[string]string{"grype": `test "$GRYPE_DB_AUTO_UPDATE" != false || exit 9
cat "$DATA/grype.json"; exit 2`})
	got := run(t, o)
	want := scan.Result{
		Scanner: "grype", Version: "0.110.0", Database: time.Date(2026, 1, 5, 6, 48, 35, 0, time.UTC),
		Tried: []scan.Attempt{{Scanner: "trivy", Reason: "trivy is not installed", Missing: true}},
		Findings: []scan.Finding{
			{
				ID: "GHSA-aaaa-bbbb-cccc", Package: "left-pad", Installed: "1.0.0", Fixed: "1.0.1, 2.0.0", Severity: scan.Critical,
				Title: "pads without end", URL: "https://advisories.example/GHSA-aaaa-bbbb-cccc", Path: "app/node_modules/left-pad/package.json",
			},
			{ID: "CVE-2099-0001", Package: "libfoo1", Installed: "1.2-3", Severity: scan.Low},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	o = tools(t, map[string]string{"grype": `test "$GRYPE_DB_AUTO_UPDATE" = false && cat "$DATA/grype-old.json"`})
	o.Offline = true
	got = run(t, o)
	if !got.Database.Equal(time.Date(2025, 1, 27, 3, 14, 22, 0, time.UTC)) || len(got.Findings) != 0 || !got.Scanned() {
		t.Errorf("the form before 0.88: %+v; want a report without findings, with the time of the database", got)
	}
}

func TestScout(t *testing.T) {
	o := tools(t, map[string]string{"docker": `test "$1 $2" = "scout version" && exit 0
test "$1 $2 $3" = "scout cves --format" || exit 1
while [ "$1" != --output ]; do shift; done
test "$3" = oci-dir:///tmp/layout && cat "$DATA/scout.json" >"$2" && echo "    ✓ Report written"`})
	o.Scanners = []string{scan.Scout}
	got := run(t, o)
	want := scan.Result{
		Scanner: "scout", Version: "1.16.0",
		Findings: []scan.Finding{
			{ID: "CVE-2099-0001", Package: "foo-tools", Installed: "1.2-3", Fixed: "1.2-4", Severity: scan.High, Title: "reads past its end", URL: "https://scout.docker.com/v/CVE-2099-0001"},
			{ID: "CVE-2099-0001", Package: "libfoo1", Installed: "1.2-3", Fixed: "1.2-4", Severity: scan.High, Title: "reads past its end", URL: "https://scout.docker.com/v/CVE-2099-0001"},
			{ID: "CVE-2099-0003", Package: "@scope/left-pad", Installed: "1.0.0", Severity: scan.Unknown, Title: "pads"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestNoAnswer checks that a scanner without a report is told from an image without findings.
func TestNoAnswer(t *testing.T) {
	tests := []struct {
		name, script, reason string
		offline              bool
	}{
		{"fails", `echo working >&2; printf 'FATAL\tno database \033[31m\n\n' >&2; exit 1`, "failed with exit status 1: FATAL no database  [31m", false},
		{"no JSON", `echo "2026 INFO hello"`, "its output is no JSON, at byte 6", false},
		{"cut off", `head -c 300 "$DATA/trivy.json"`, "its output is no JSON, at byte 300", false},
		{"nothing", ``, "its output is no JSON, at byte 0", false},
		{"other JSON", `echo '{"matches": []}'`, "its report has schema 0, and 2 is what stoker reads: trivy 0.20 or newer", false},
		{"other types", `echo '{"SchemaVersion": 2, "Results": "none"}'`, "its output is not the report that it documents: ", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := tools(t, map[string]string{"trivy": test.script})
			o.Scanners = []string{scan.Trivy}
			got := run(t, o)
			if got.Scanned() || len(got.Tried) != 1 || !strings.HasPrefix(got.Tried[0].Reason, test.reason) || got.Tried[0].Missing || got.Hint != "" {
				t.Errorf("got %+v, want the reason %q", got, test.reason)
			}
		})
	}
	t.Run("none installed", func(t *testing.T) {
		got := run(t, tools(t, map[string]string{"docker": "exit 1"}))
		if got.Scanned() || len(got.Tried) != 3 || !strings.Contains(got.Hint, "brew install trivy") {
			t.Errorf("got %+v; want 3 attempts, and a hint how to install one", got)
		}
	})
	t.Run("the next one answers", func(t *testing.T) {
		got := run(t, tools(t, map[string]string{"trivy": "exit 1", "grype": `cat "$DATA/grype.json"`}))
		if got.Scanner != "grype" || len(got.Tried) != 1 || got.Tried[0].Reason != "failed with exit status 1" {
			t.Errorf("got %+v; want the report of grype, after one attempt that failed with exit status 1", got)
		}
	})
	t.Run("grype fails", func(t *testing.T) {
		o := tools(t, map[string]string{"grype": `echo '{"error": 1}'; exit 1`})
		o.Scanners = []string{scan.Grype}
		if got := run(t, o); got.Scanned() || got.Tried[0].Reason != "its output has no matches: it is no report" {
			t.Errorf("got %+v; want the reason that there are no matches", got)
		}
	})
	t.Run("scout offline", func(t *testing.T) {
		o := tools(t, map[string]string{"docker": "exit 0"})
		o.Scanners, o.Offline = []string{scan.Scout}, true
		if got := run(t, o); got.Scanned() || !strings.Contains(got.Tried[0].Reason, "does not work offline") {
			t.Errorf("got %+v; want the reason that it does not work offline", got)
		}
	})
}

// TestTimeout checks that a scanner which hangs is ended even if it ignores SIGTERM.
func TestTimeout(t *testing.T) {
	o := tools(t, map[string]string{"trivy": "trap '' TERM; while :; do sleep 1; done"})
	o.Scanners, o.Timeout = []string{scan.Trivy}, 300*time.Millisecond
	got := run(t, o)
	if got.Scanned() || got.Tried[0].Reason != "gave no answer within 300ms" {
		t.Errorf("got %+v; want the reason that it gave no answer within 300ms", got)
	}
}

func TestCancelled(t *testing.T) {
	o := tools(t, map[string]string{"trivy": "echo >\"$LOG\"; exec sleep 60"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := scan.Run(ctx, "/tmp/layout", o)
		done <- err
	}()
	for log := strings.TrimPrefix(o.Environ[2], "LOG="); ; {
		if _, err := os.Stat(log); err == nil {
			break
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case err := <-done:
			t.Fatalf("it ended by itself: %v", err)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run after cancel: error %v, want %v", err, context.Canceled)
	}
}

func TestUnknownScanner(t *testing.T) {
	if _, err := scan.Run(t.Context(), "/tmp/layout", scan.Options{Scanners: []string{"clamav"}}); err == nil || !strings.Contains(err.Error(), `"clamav"`) {
		t.Errorf("Run with the scanner clamav: error %v, want one that names it", err)
	}
}

func TestSARIF(t *testing.T) {
	o := tools(t, map[string]string{"trivy": trivyScript})
	var buf bytes.Buffer
	if err := scan.WriteSARIF(&buf, run(t, o), "docker/Dockerfile"); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID, Level string
				RuleIndex     int
				Message       struct{ Text string }
			}
		}
	}
	if err := json.Unmarshal(buf.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != "2.1.0" || len(got.Runs) != 1 || len(got.Runs[0].Results) != 4 || len(got.Runs[0].Tool.Driver.Rules) != 4 {
		t.Fatalf("got %+v; want version 2.1.0, and one run with 4 results and 4 rules", got)
	}
	for _, r := range got.Runs[0].Results {
		if got.Runs[0].Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("the result of rule %s has the index %d, which is of another one", r.RuleID, r.RuleIndex)
		}
	}
	if first := got.Runs[0].Results[0]; first.Level != "error" || first.Message.Text != "left-pad 1.0.0 has CVE-2099-0003 (critical), fixed in 1.0.1, 2.0.0" {
		t.Errorf("the first result is %+v; want the error of CVE-2099-0003 in left-pad", first)
	}
	if !strings.Contains(buf.String(), `"uri": "docker/Dockerfile"`) {
		t.Errorf("no result is at docker/Dockerfile:\n%s", buf.String())
	}
}
