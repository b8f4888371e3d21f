package archtest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/internal/archtest"
)

func TestArchitecture(t *testing.T) {
	failures, err := archtest.Check("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range failures {
		t.Error(f)
	}
}

// TestRulesBite breaks each rule once in a small module.
func TestRulesBite(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/broken.txtar")
	if err != nil {
		t.Fatal(err)
	}
	root, want := t.TempDir(), ""
	for _, f := range archive.Files {
		if f.Name == "want" {
			want = string(f.Data)
			continue
		}
		name := filepath.Join(root, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(f.Data), "FILLER\n", strings.Repeat("//\n", 500))
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	failures, err := archtest.Check(root)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, strings.Join(failures, "\n")+"\n"); diff != "" {
		t.Errorf("failures differ (-want +got):\n%s", diff)
	}
}

func TestLevelsAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range archtest.Levels() {
		if l.Reason == "" {
			t.Errorf("%s has no reason", l.Package)
		}
		if seen[l.Package] {
			t.Errorf("%s is there twice", l.Package)
		}
		seen[l.Package] = true
	}
	for _, r := range archtest.Restrictions() {
		for _, by := range r.By {
			if !seen[by] {
				t.Errorf("%v may be imported by %s, which has no level", r.Imports, by)
			}
		}
	}
}
