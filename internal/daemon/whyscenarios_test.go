package daemon_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/internal/api"
)

// TestWhyScenarios builds the states of each file in testdata/why, one after the
// other: N/… are files as they are from build N on, N/link/… links to what they
// hold. NONCE stands for a word of the run's own, attrs are attributes of all builds
// and N/attrs of one. want has a line for each step that breaks the cache from build 2 on.
func TestWhyScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/why/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	r := start(t, t.TempDir(), env, change)
	r.connected()
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { whyScenario(t, r, file) })
	}
}

func whyScenario(t *testing.T, r *running, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	nonce := strings.ToLower(rand.Text())
	root, attrs, want := repository(t, nil), map[int]string{}, ""
	states := map[int]map[string]string{}
	for _, f := range archive.Files {
		text := strings.ReplaceAll(string(f.Data), "NONCE", nonce)
		var n int
		switch {
		case f.Name == "want":
			want = text
		case f.Name == "attrs":
			attrs[0] = text
		default:
			if _, err := fmt.Sscanf(f.Name, "%d/", &n); err != nil {
				t.Fatalf("%s is of no build", f.Name)
			}
			if strings.HasSuffix(f.Name, "/attrs") {
				attrs[n] = text
				continue
			}
			if states[n] == nil {
				states[n] = map[string]string{}
			}
			_, name, _ := strings.Cut(f.Name, "/")
			states[n][name] = text
		}
	}
	var got strings.Builder
	for n := 1; states[n] != nil; n++ {
		for name, text := range states[n] {
			if link, ok := strings.CutPrefix(name, "link/"); ok {
				_ = os.Remove(filepath.Join(root, link))
				if err := os.Symlink(strings.TrimSpace(text), filepath.Join(root, link)); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if name == "Dockerfile" {
				text += "# " + nonce + "\n" // else a build of an earlier run counts as this repository's
			}
			write(t, filepath.Join(root, name), text)
		}
		if n == 1 {
			r.up(root, false)
		}
		if err := build(t, root, "", attributes(attrs[0], attrs[n])); err != nil {
			t.Fatal(err)
		}
		answer := r.why(root, n, api.WhyRequest{})
		if n == 1 {
			continue
		}
		var lines []string
		for _, s := range answer.Steps {
			if s.Outcome == "executed" {
				lines = append(lines, fmt.Sprintf("%d %s\n", n, causeLine(s)))
			}
		}
		got.WriteString(strings.Join(slices.Compact(lines), "")) // once for all platforms
	}
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// attributes reads those of a build, one a line.
func attributes(texts ...string) map[string]string {
	attrs := map[string]string{}
	for line := range strings.Lines(strings.Join(texts, "")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		attrs[name] = value
	}
	return attrs
}

// causeLine writes why a step ran in one line.
func causeLine(s api.WhyStep) string {
	_, line, _ := strings.Cut(s.Name, "] ")
	sign := ": "
	for _, c := range append([]api.WhyCause{*s.Cause}, s.More...) {
		line += sign + c.Kind
		if c.Name != "" {
			line += " " + c.Name
		}
		if c.Before != "" {
			line += " - " + c.Before
		}
		if c.After != "" {
			line += " + " + c.After
		}
		for _, p := range c.Paths {
			line += " " + p.Path + " " + p.Change
		}
		sign = "; "
	}
	return line
}
