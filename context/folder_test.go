package buildctx

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTakesOfFolders holds which COPY may take something of a folder of which the files are not
// known, as those of a submodule at an earlier commit.
func TestTakesOfFolders(t *testing.T) {
	for _, c := range []struct{ copy, ignore, yes, no string }{
		{"COPY . .", "", "lib/ a/lib/ /", ""},
		{"COPY lib .", "", "lib/ lib/sub/ /", "lib2/ a/lib/"},
		{"COPY lib/src .", "", "lib/ lib/src/ lib/src/x/ /", "lib/test/ lib/s/"},
		{"COPY lib/*.c .", "", "lib/ lib/x.c/ /", "lib/x.h/ other/"},
		{"COPY */package.json .", "", "lib/ /", "lib/sub/"},
		{"COPY . .", "lib\n", "a/lib/ /", "lib/ lib/sub/"},
		{"COPY . .", "lib\n!lib/keep\n", "lib/ lib/keep/", "lib/sub/"},
		{"COPY . .", "**/*.md\n", "lib/", "lib.md/"},
		{"COPY --exclude=lib . .", "", "a/ /", "lib/ lib/sub/"},
		{"COPY --exclude=sub lib .", "", "lib/ lib/x/", "lib/sub/"},
		{"COPY --parents lib/*/go.mod .", "", "lib/ lib/x/ /", ""},
		{"RUN --mount=type=bind,source=lib/src,target=/src make", "", "lib/ lib/src/", "lib/test/"},
	} {
		root := t.TempDir()
		for name, text := range map[string]string{"Dockerfile": "FROM alpine:3\n" + c.copy + "\n", ".dockerignore": c.ignore} {
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		tree, err := Scan(t.Context(), root, nil)
		if err != nil {
			t.Fatal(err)
		}
		def := Definition{Name: "x", Context: root, Dockerfile: filepath.Join(root, "Dockerfile")}
		s, err := Compute(t.Context(), def, nil, func(string) (*Tree, string, error) { return tree, ".", nil })
		if err != nil {
			t.Fatal(err)
		}
		of, err := s.Takers(s.Plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		for want, names := range map[bool]string{true: c.yes, false: c.no} {
			for name := range strings.FieldsSeq(names) {
				if got := s.Main.WouldTake(0, name); got != want {
					t.Errorf("%s, ignoring %q: takes of %s: %v, want %v", c.copy, c.ignore, name, got, want)
				}
				if got := fmt.Sprint(of(s.Main.Name, name)); (got == "[0]") != want {
					t.Errorf("%s, ignoring %q: takers of %s: %s, want %v", c.copy, c.ignore, name, got, want)
				}
			}
		}
	}
}
