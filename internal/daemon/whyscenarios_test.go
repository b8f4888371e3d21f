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

// TestWhyScenarios runs the scenarios in testdata/why. Each is a sequence of builds, numbered
// from 1, of a repository that is given as an archive of these files:
//
//	N/PATH       a file of the repository, with this content from build N on
//	N/link/PATH  a symbolic link, with its content as the target
//	attrs        frontend attributes of all builds, one a line
//	N/attrs      further attributes of build N
//	want         the step and its causes for each that breaks the cache, from build 2 on
//
// In all of them, NONCE stands for a word that no other run has.
func TestWhyScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/why/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	r := start(t, t.TempDir(), env, change)
	r.connected()
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { readWhyScenario(t, file).run(t, r) })
	}
}

// A whyScenario is a scenario of TestWhyScenarios.
type whyScenario struct {
	nonce string
	files map[int]map[string]string // by build and path; links have "link/" before their path
	attrs map[int]string            // by build; 0 for those of all
	want  string
}

// readWhyScenario reads a scenario, with a new nonce.
func readWhyScenario(t *testing.T, file string) whyScenario {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := whyScenario{nonce: strings.ToLower(rand.Text()), files: map[int]map[string]string{}, attrs: map[int]string{}}
	for _, f := range archive.Files {
		text := strings.ReplaceAll(string(f.Data), "NONCE", s.nonce)
		switch f.Name {
		case "want":
			s.want = text
			continue
		case "attrs":
			s.attrs[0] = text
			continue
		}
		var n int
		if _, err := fmt.Sscanf(f.Name, "%d/", &n); err != nil {
			t.Fatalf("%s belongs to no build", f.Name)
		}
		if strings.HasSuffix(f.Name, "/attrs") {
			s.attrs[n] = text
			continue
		}
		if s.files[n] == nil {
			s.files[n] = map[string]string{}
		}
		_, name, _ := strings.Cut(f.Name, "/")
		s.files[n][name] = text
	}
	return s
}

// put writes the files and links of build n into the repository at root.
func (s whyScenario) put(t *testing.T, root string, n int) {
	t.Helper()
	for name, text := range s.files[n] {
		if link, ok := strings.CutPrefix(name, "link/"); ok {
			_ = os.Remove(filepath.Join(root, link))
			if err := os.Symlink(strings.TrimSpace(text), filepath.Join(root, link)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if name == "Dockerfile" {
			text += "# " + s.nonce + "\n" // so that no build of an earlier run has the same Dockerfile
		}
		write(t, filepath.Join(root, name), text)
	}
}

// run makes the builds, and checks the causes that r tells of them.
func (s whyScenario) run(t *testing.T, r *running) {
	root := repository(t, nil)
	var got strings.Builder
	for n := 1; s.files[n] != nil; n++ {
		s.put(t, root, n)
		if n == 1 {
			r.up(root, false)
		}
		if err := build(t, root, "", attributes(s.attrs[0], s.attrs[n])); err != nil {
			t.Fatal(err)
		}
		answer := r.why(root, n, api.WhyRequest{})
		if n == 1 {
			continue
		}
		var lines []string
		for _, step := range answer.Steps {
			if step.Outcome == "executed" {
				lines = append(lines, fmt.Sprintf("%d %s\n", n, causeLine(step)))
			}
		}
		got.WriteString(strings.Join(slices.Compact(lines), "")) // equal lines are those of several platforms
	}
	if d := cmp.Diff(s.want, got.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// attributes returns the attributes in texts that have one a line: a name, a space and a value.
func attributes(texts ...string) map[string]string {
	attrs := map[string]string{}
	for line := range strings.Lines(strings.Join(texts, "")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		attrs[name] = value
	}
	return attrs
}

// causeLine returns the step's instruction and all causes for which it ran, in one line.
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
