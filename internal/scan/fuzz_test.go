package scan

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzParse: whatever a scanner writes, it is read or refused, and what is read is one shape.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no samples: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"runs":[{"tool":{"driver":{"rules":[{"properties":{"purls":["pkg:npm/%zz@%"]}}]}}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, parse := range map[string]func([]byte) (Result, error){"trivy": parseTrivy, "grype": parseGrype, "scout": parseScout} {
			r, err := parse(data)
			if err != nil {
				if len(r.Findings) > 0 {
					t.Errorf("%s: an error and findings", name)
				}
				continue
			}
			r.tidy()
			total := 0
			for _, s := range severities() {
				total += r.Count(s)
			}
			if total != len(r.Findings) {
				t.Errorf("%s: %d of %d findings have a severity that is known", name, total, len(r.Findings))
			}
		}
	})
}

func TestParsePURL(t *testing.T) {
	for purl, want := range map[string][2]string{
		"pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie": {"curl", "7.50.3-1"},
		"pkg:npm/%40angular/animation@12.3.1":                  {"@angular/animation", "12.3.1"},
		"pkg:golang/google.golang.org/genproto@v1#googleapis":  {"google.golang.org/genproto", "v1"},
		"pkg:npm/@scope/name":                                  {"@scope/name", ""},
		"pkg:apk/alpine/musl":                                  {"musl", ""},
		"nonsense":                                             {"", ""},
	} {
		if name, version := parsePURL(purl); name != want[0] || version != want[1] {
			t.Errorf("%s: %q %q, want %q", purl, name, version, want)
		}
	}
}
