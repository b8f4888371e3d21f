package suggest_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/suggest"
)

// TestRulesAreDocumented holds that each rule has its page, scenarios and name,
// and that the configuration can silence it.
func TestRulesAreDocumented(t *testing.T) {
	var names []string
	for _, r := range suggest.Rules() {
		names = append(names, r.Name)
	}
	if diff := cmp.Diff(config.Rules(), names); diff != "" {
		t.Errorf("config.Rules (-config +suggest):\n%s", diff)
	}
	for _, r := range suggest.Rules() {
		if _, err := os.Stat(filepath.Join("../../docs/rules", r.Name+".md")); err != nil {
			t.Error(err)
		}
		if names, _ := filepath.Glob(filepath.Join("testdata", r.Name, "*.txtar")); len(names) == 0 {
			t.Errorf("%s has no scenario", r.Name)
		}
	}
}

func TestScenarios(t *testing.T) {
	names, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d scenarios, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			s := load(t, name)
			switch filepath.Base(filepath.Dir(name)) {
			case "several":
				s.settle(t, func(one suggest.Suggestion) bool { return len(one.Changes) > 0 })
				return
			case "repositories":
				s.settle(t, func(one suggest.Suggestion) bool { return one.Proof != suggest.Advice })
				return
			}
			got := s.suggestions(t, s.files)
			if _, ok := s.sections["none"]; ok {
				for _, g := range got {
					t.Errorf("suggested %q (%s) %s\n%s", g.Title, g.Obstacle, g.Evidence, g.Diff())
				}
				return
			}
			if len(got) != 1 {
				t.Fatalf("%d suggestions, want one: %+v", len(got), got)
			}
			s.check(t, got[0])
		})
	}
}

// TestRepositories holds that the repositories which TestScenarios settles are of all kinds: for each
// package manager one that gets better, and for each way to go wrong one where that is not done.
func TestRepositories(t *testing.T) {
	names, err := filepath.Glob("testdata/repositories/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	tools := []string{
		"npm ci", "yarn", "pnpm", "bun", "pip", "uv sync", "poetry", "pipenv", "pdm", "go ", "cargo", "mvn", "gradle", "bundle", "composer",
		"dotnet", "mix", "apt-get", "apk",
	}
	better, traps, of := 0, 0, map[string]bool{}
	for _, name := range names {
		s := load(t, name)
		name = strings.TrimSuffix(filepath.Base(name), ".txtar")
		of[name] = true
		if strings.HasPrefix(name, "trap-") {
			traps++
		} else if s.shows() {
			better++
			for _, tool := range tools {
				of[tool] = of[tool] || strings.Contains(s.files["Dockerfile"], tool)
			}
		}
	}
	if better < 30 || traps < 15 {
		t.Errorf("%d repositories that get better and %d traps show little", better, traps)
	}
	for _, want := range append(tools,
		"trap-postinstall", "trap-replaced-module", "trap-member-install", "trap-generated-manifest", "trap-arg-of-install", "trap-npmrc",
		"trap-no-lock", "trap-copied-over", "trap-archive", "trap-onbuild", "trap-glob", "trap-user-between", "trap-workdir-between",
	) {
		if !of[want] {
			t.Errorf("there is no repository for %s", want)
		}
	}
}

// settle makes the suggested changes that are wanted one after the other until none
// is left, the first of them first and then the last of them first: both ways come
// to the same file, which is the one expected, and which every build converts.
func (s scenario) settle(t *testing.T, wanted func(suggest.Suggestion) bool) {
	t.Helper()
	want, ok := s.sections["want/Dockerfile"]
	if _, same := s.sections["as-is"]; same == ok {
		t.Fatal("a scenario expects a Dockerfile, or says as-is")
	}
	if !ok {
		want = s.files["Dockerfile"]
	}
	for name, pick := range map[string]func(n int) int{
		"first": func(int) int { return 0 }, "last": func(n int) int { return n - 1 },
	} {
		files := maps.Clone(s.files)
		for range 20 {
			list := slices.DeleteFunc(s.suggestions(t, files), func(one suggest.Suggestion) bool { return !wanted(one) })
			if len(list) == 0 {
				break
			}
			for _, c := range list[pick(len(list))].Changes {
				files[c.Path] = string(c.New)
			}
		}
		if diff := cmp.Diff(want, files["Dockerfile"]); diff != "" {
			t.Errorf("%s first (-want +got):\n%s", name, diff)
		}
		for _, b := range s.input(t, files).Builds {
			if b.Plan == nil {
				t.Errorf("%s first: the build %s does not convert", name, b.Name)
			}
		}
	}
}

// shows reports whether the scenario expects an edit.
func (s scenario) shows() bool {
	for name := range s.sections {
		if strings.HasPrefix(name, "want/") {
			return true
		}
	}
	return false
}

func (s scenario) check(t *testing.T, g suggest.Suggestion) {
	t.Helper()
	if g.Title == "" || g.Rule == "" || g.Lines.From == 0 || g.Evidence == "" {
		t.Errorf("incomplete: %+v", g)
	}
	if want, ok := s.sections["evidence"]; ok && g.Evidence != strings.TrimSpace(want) {
		t.Errorf("evidence = %s\nwant       %s", g.Evidence, want)
	}
	if want, ok := s.sections["saves"]; ok {
		if got := strings.TrimSpace(fmt.Sprintf("%.2f %s", g.SavesSeconds, g.Costs)); got != strings.TrimSpace(want) {
			t.Errorf("saves %s, want %s", got, want)
		}
	}
	if want, ok := s.sections["bytes"]; ok {
		if got := strings.TrimSpace(fmt.Sprint(g.SavesBytes, " ", g.BytesOf, " ", g.Costs)); got != strings.TrimSpace(want) {
			t.Errorf("saves bytes %s, want %s", got, want)
		}
	}
	if want, ok := s.sections["rates"]; ok {
		if got := fmt.Sprintf("%.3f %.3f", g.HitRate.Before, g.HitRate.After); got != strings.TrimSpace(want) {
			t.Errorf("hit rates %s, want %s", got, want)
		}
	}
	if want, ok := s.sections["diff"]; ok && g.Diff() != want {
		t.Errorf("diff (-want +got):\n%s", cmp.Diff(want, g.Diff()))
	}
	if want, ok := s.sections["provable"]; ok {
		if g.Proof != suggest.Advice || !g.Provable || !strings.Contains(g.Obstacle, strings.TrimSpace(want)) {
			t.Errorf("%s with obstacle %q, want advice that a build can prove, with %q\n%s", g.Proof, g.Obstacle, want, g.Diff())
		}
	} else if g.Provable {
		t.Errorf("a build can prove it, which is not expected: %s", g.Obstacle)
	} else if want, ok := s.sections["advice"]; ok {
		if g.Proof != suggest.Advice || g.Obstacle == "" || !strings.Contains(g.Obstacle, strings.TrimSpace(want)) {
			t.Errorf("%s with obstacle %q, want advice with %q\n%s", g.Proof, g.Obstacle, want, g.Diff())
		}
		if len(g.Changes) == 0 && !s.shows() {
			return
		}
	} else if g.Proof != suggest.ByConstruction || g.Obstacle != "" {
		t.Fatalf("%s, obstacle %q, want an edit", g.Proof, g.Obstacle)
	}
	after := map[string]string{}
	for name, text := range s.files {
		after[name] = text
	}
	for _, c := range g.Changes {
		want, ok := s.sections["want/"+c.Path]
		if !ok {
			t.Errorf("%s changed, which is not expected", c.Path)
		}
		if diff := cmp.Diff(want, string(c.New)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.Path, diff)
		}
		if old, had := s.files[c.Path]; had != (c.Old != nil) || old != string(c.Old) {
			t.Errorf("%s: the old text is not the file's", c.Path)
		}
		after[c.Path] = string(c.New)
		if c.Path == "Dockerfile" {
			// BuildKit's frontend takes the proposal.
			_, err := dockerfile.Convert(t.Context(), dockerfile.Input{Dockerfile: "Dockerfile", Text: c.New, Context: t.TempDir()}, nil)
			if err != nil {
				t.Errorf("the proposal does not convert: %v", err)
			}
		}
	}
	for name := range s.sections {
		if f, ok := strings.CutPrefix(name, "want/"); ok && !slices.ContainsFunc(g.Changes, func(c suggest.Change) bool { return c.Path == f }) {
			t.Errorf("%s is not changed", f)
		}
	}
	for _, again := range s.suggestions(t, after) {
		t.Errorf("once applied, there is still %q: %s\n%s", again.Title, again.Obstacle, again.Diff())
	}
}

// TestTooLarge holds that stages which start from one another in long chains, where
// the rules would take minutes, are refused at once, and others are not.
func TestTooLarge(t *testing.T) {
	for _, c := range []struct {
		stages int
		from   string
		want   string
	}{
		{50, "s%d", ""}, {300, "alpine", ""},
		{400, "s%d", "its 400 stages start from one another, in chains of 80200 stages taken together, and 1500 is the most"},
		{3000, "alpine", "it has 3000 stages, and 1500 is the most"},
	} {
		text := "FROM alpine AS s0\nRUN true\n"
		for i := 1; i < c.stages; i++ {
			from := c.from
			if strings.Contains(from, "%") {
				from = fmt.Sprintf(from, i-1)
			}
			text += fmt.Sprintf("FROM %s AS s%d\nRUN true\n", from, i)
		}
		f, err := dockerfile.Parse("Dockerfile", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, got, _ := strings.Cut(suggest.TooLarge(f), "not looked at: "); got != c.want {
			t.Errorf("%d stages from %s: %q, want %q", c.stages, c.from, got, c.want)
		}
	}
}

// TestLittleTime holds that a time which nobody notices does not put advice before an edit.
func TestLittleTime(t *testing.T) {
	files := map[string]string{
		"Dockerfile":       "FROM python:3.12-slim\nENV MODE fast\nCOPY requirements.txt /tmp/\nRUN pip install --no-cache-dir -r /tmp/requirements.txt\n",
		"requirements.txt": "flask==3\n" + strings.Repeat("\n", 200_000), // worth a mount by its size
	}
	for cost, want := range map[string]string{"0.4": "buildkit/LegacyKeyValueFormat", "0.6": "bind-instead-of-copy"} {
		s := scenario{files: files, sections: map[string]string{
			"history": "9 requirements.txt\n", "seconds": cost + " COPY requirements.txt /tmp/\n",
		}}
		in := s.input(t, files)
		in.Only = []string{"bind-instead-of-copy", "buildkit/LegacyKeyValueFormat"}
		var rules []string
		for _, one := range suggest.Suggest(in) {
			rules = append(rules, fmt.Sprintf("%s %.1f", one.Rule, one.SavesSeconds))
		}
		if len(rules) != 2 || !strings.HasPrefix(rules[0], want) || !strings.Contains(fmt.Sprint(rules), "bind-instead-of-copy "+cost) {
			t.Errorf("a COPY of %s s: %v, want %s first", cost, rules, want)
		}
	}
}

// TestEachChown holds that chown-layer tells of each folder that a RUN changes, and of none twice.
func TestEachChown(t *testing.T) {
	files := map[string]string{"Dockerfile": `FROM debian:12 AS build
RUN make all
FROM debian:12
COPY --from=build /a /app
COPY --from=build /b /data
RUN chown -R www-data:www-data /app && chmod -R 755 /app && chown -R mail:mail /data
`}
	in := scenario{files: files}.input(t, files)
	in.Only = []string{"chown-layer"}
	var got []string
	for _, s := range suggest.Suggest(in) {
		command, _, _ := strings.Cut(s.Evidence, " rewrites")
		got = append(got, command)
	}
	if want := []string{"`chown -R www-data:www-data /app`", "`chown -R mail:mail /data`"}; !slices.Equal(got, want) {
		t.Errorf("told of %q, want %q", got, want)
	}
}
