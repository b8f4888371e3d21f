package suggest_test

import (
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/changes"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/suggest"
)

// A scenario is a txtar file. Its comment says what it shows. Sections:
//
//	Dockerfile       the file to look at
//	.dockerignore    the ignore file, if any
//	builds           further definitions, one a line: NAME TARGET [DIR] [shared] [ARG=VALUE]...; "-" is the default
//	history          commits, oldest first: [COUNT] PATH... ; PATH=ID gives content, else it is new
//	seconds          observed medians: SECONDS INSTRUCTION
//	beside           definitions that share a copy of the context, one a line: NAME FILES BYTES [elsewhere]
//	secrets          files of the context that hold secrets, one a line
//	want/FILE        the file afterwards
//	advice           a part of the obstacle; with want/FILE, which is only shown then, or without
//	none             nothing is suggested
//	as-is            of a repository: nothing is changed
//	title            a part of the title, where the rule says more than one thing
//	evidence         the sentence
//	saves, rates     seconds per build; hit rates
//	bytes            BYTES OF COSTS
//	diff             the unified diff
//
// All other sections are files of the repository.
type scenario struct {
	rule     suggest.Rule // that of its folder; none in "content", "several" and "repositories", which ask all
	sections map[string]string
	files    map[string]string
}

var special = []string{"builds", "history", "seconds", "secrets", "beside", "advice", "none", "as-is", "title", "evidence", "saves", "bytes", "rates", "diff"}

func load(t *testing.T, name string) scenario {
	t.Helper()
	a, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(strings.TrimSpace(string(a.Comment))) == 0 {
		t.Errorf("%s does not say what it shows", name)
	}
	s := scenario{sections: map[string]string{}, files: map[string]string{}}
	folder := filepath.Base(filepath.Dir(name))
	every := slices.Contains([]string{"content", "several", "repositories"}, folder)
	i := slices.IndexFunc(suggest.Rules(), func(r suggest.Rule) bool { return r.Name == folder })
	if i < 0 && !every {
		t.Fatalf("%s: there is no rule %s", name, folder)
	}
	if i >= 0 {
		s.rule = suggest.Rules()[i]
	}
	for _, f := range a.Files {
		if slices.Contains(special, f.Name) || strings.HasPrefix(f.Name, "want/") {
			s.sections[f.Name] = string(f.Data)
			continue
		}
		s.files[f.Name] = string(f.Data)
	}
	return s
}

// fakeContext answers from a scenario's files with the rules of COPY that the
// scenarios use: plain names, folders and globs.
type fakeContext struct {
	file    *dockerfile.File
	files   map[string]string
	dir     string
	matcher *ignore.Matcher
}

func newContext(t *testing.T, f *dockerfile.File, files map[string]string, dir string) *fakeContext {
	t.Helper()
	parsed, err := ignore.Parse(".dockerignore", []byte(files[path.Join(dir, ".dockerignore")]))
	if err != nil {
		t.Fatal(err)
	}
	m, err := ignore.NewMatcher(parsed)
	if err != nil {
		t.Fatal(err)
	}
	return &fakeContext{file: f, files: files, dir: dir, matcher: m}
}

func (c *fakeContext) Takes(line int, name string) bool {
	if c.matcher.Ignored(name) {
		return false
	}
	for _, st := range c.file.Stages {
		for _, in := range st.Instructions {
			if in.Lines.From == line && in.Copy != nil && in.Copy.From == "" {
				return slices.ContainsFunc(in.Copy.Sources, func(s string) bool { return covers(s, name) })
			}
		}
	}
	return false
}

// takers answers for the steps of a plan by the rules of COPY that the
// scenarios use.
func (c *fakeContext) takers(plan *dockerfile.Plan, rules []byte) (func(string) []int, error) {
	matcher := c.matcher
	if rules != nil {
		parsed, err := ignore.Parse(".dockerignore", rules)
		if err != nil {
			return nil, err
		}
		if matcher, err = ignore.NewMatcher(parsed); err != nil {
			return nil, err
		}
	}
	return func(name string) []int {
		rel, ok := strings.CutPrefix(path.Join("/", name), strings.TrimSuffix(path.Join("/", c.dir), "/")+"/")
		if !ok || matcher.Ignored(rel) {
			return nil
		}
		var steps []int
		for i, s := range plan.Steps {
			if slices.ContainsFunc(s.Takes, func(t dockerfile.Take) bool {
				included := len(t.Include) == 0 || slices.ContainsFunc(t.Include, func(p string) bool { return covers(p, rel) })
				return covers(t.Path, rel) && included
			}) {
				steps = append(steps, i)
			}
		}
		return steps
	}, nil
}

func covers(source, name string) bool {
	src := strings.TrimPrefix(path.Clean("/"+source), "/")
	for at := name; at != "."; at = path.Dir(at) {
		if ok, _ := path.Match(src, at); ok || src == "" || src == at {
			return true
		}
	}
	return false
}

func (c *fakeContext) Exists(name string) bool {
	for f := range c.files {
		rel, ok := strings.CutPrefix(path.Join("/", f), path.Join("/", c.dir, name))
		if ok && (rel == "" || rel[0] == '/') && !c.matcher.Ignored(strings.TrimPrefix(f, c.dir+"/")) {
			return true
		}
	}
	return false
}

func (c *fakeContext) IsFile(name string) bool {
	_, ok := c.files[path.Join(c.dir, name)]
	return ok && !c.matcher.Ignored(name)
}

func (c *fakeContext) Size(name string) (total int64) {
	for f := range c.Files() {
		if name == "." || f == name || strings.HasPrefix(f, name+"/") {
			total += int64(len(c.files[path.Join(c.dir, f)]))
		}
	}
	return total
}

func (c *fakeContext) Files() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, f := range slices.Sorted(maps.Keys(c.files)) {
			rel, ok := strings.CutPrefix(path.Join("/", f), strings.TrimSuffix(path.Join("/", c.dir), "/")+"/")
			if ok && !c.matcher.Ignored(rel) && !yield(rel) {
				return
			}
		}
	}
}

func (c *fakeContext) Read(name string) ([]byte, error) {
	text, ok := c.files[path.Join(c.dir, name)]
	if !ok {
		return nil, fmt.Errorf("read %s: %w", name, fs.ErrNotExist)
	}
	return []byte(text), nil
}

// history makes the commits that a section lists.
func history(text string) []changes.Commit {
	var list []changes.Commit
	now := map[string]changes.Entry{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		count, err := strconv.Atoi(words[0])
		if err == nil {
			words = words[1:]
		} else {
			count = 1
		}
		for range count {
			c := changes.Commit{ID: fmt.Sprint(len(list))}
			for _, w := range words {
				name, id, ok := strings.Cut(w, "=")
				if !ok {
					id = fmt.Sprint("new", len(list))
				}
				e := changes.Entry{Mode: 0o100644, OID: id}
				c.Changes = append(c.Changes, changes.Change{Path: name, Old: now[name], New: e})
				now[name] = e
			}
			list = append(list, c)
		}
	}
	return list
}

// input builds the rule's input for a scenario with these files.
func (s scenario) input(t *testing.T, files map[string]string) suggest.Input {
	t.Helper()
	f, err := dockerfile.Parse("Dockerfile", []byte(files["Dockerfile"]))
	if err != nil {
		t.Fatal(err)
	}
	in := suggest.Input{File: f, Path: "Dockerfile", Commits: changes.NewLog(history(s.sections["history"]))}
	lines := "main -\n"
	if text, ok := s.sections["builds"]; ok {
		lines = text
	}
	for line := range strings.Lines(lines) {
		args := map[string]string{}
		w := slices.DeleteFunc(strings.Fields(line), func(word string) bool {
			name, value, ok := strings.Cut(word, "=")
			if ok {
				args[name] = value
			}
			return ok
		})
		w = append(w, "", "")
		b := suggest.Build{Name: w[0], Target: strings.Trim(w[1], "-"), Dir: strings.Trim(w[2], "-"), Args: args}
		shown := newContext(t, f, files, b.Dir)
		b.Context, b.Takers = shown, shown.takers
		dir := t.TempDir()
		b.Convert = func(text []byte) (*dockerfile.Plan, error) {
			return dockerfile.Convert(t.Context(), dockerfile.Input{
				Dockerfile: "Dockerfile", Text: text, Context: dir, Target: b.Target, Args: b.Args,
			}, nil)
		}
		if b.Plan, err = b.Convert(f.Text); err != nil {
			b.Plan = nil
		}
		b.Ignore = suggest.IgnoreFile{Path: path.Join(b.Dir, ".dockerignore"), Shared: slices.Contains(w, "shared")}
		if text, ok := files[b.Ignore.Path]; ok {
			b.Ignore.Text = []byte(text)
		}
		b.Secrets = strings.Fields(s.sections["secrets"])
		b.Beside = s.beside(t)
		in.Builds = append(in.Builds, b)
	}
	for line := range strings.Lines(s.sections["seconds"]) {
		n, instruction, _ := strings.Cut(strings.TrimSpace(line), " ")
		seconds, err := strconv.ParseFloat(n, 64)
		if err != nil {
			t.Fatal(err)
		}
		if in.Seconds == nil {
			in.Seconds = map[string]float64{}
		}
		in.Seconds[instruction] = seconds
	}
	return in
}

// beside reads the section of that name.
func (s scenario) beside(t *testing.T) (list []suggest.Neighbour) {
	for line := range strings.Lines(s.sections["beside"]) {
		var n suggest.Neighbour
		if _, err := fmt.Sscan(line, &n.Name, &n.Files, &n.Bytes); err != nil {
			t.Fatal(err)
		}
		n.Elsewhere = strings.HasSuffix(strings.TrimSpace(line), " elsewhere")
		list = append(list, n)
	}
	return list
}

// suggestions returns what the scenario's rule makes of these files.
func (s scenario) suggestions(t *testing.T, files map[string]string) []suggest.Suggestion {
	t.Helper()
	in := s.input(t, files)
	if s.rule.Name == "" {
		return suggest.Suggest(in)
	}
	in.Only = []string{s.rule.Name}
	list := suggest.Suggest(in)
	for _, one := range list {
		if group, _, _ := strings.Cut(one.Rule, "/"); group != s.rule.Name {
			t.Errorf("the rule %s suggests as %s", s.rule.Name, one.Rule)
		}
	}
	if title, ok := s.sections["title"]; ok {
		list = slices.DeleteFunc(list, func(one suggest.Suggestion) bool { return !strings.Contains(one.Title, strings.TrimSpace(title)) })
	}
	return list
}

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
		if got := fmt.Sprintf("%.2f %s", g.SavesSeconds, g.Costs); got != strings.TrimSpace(want) {
			t.Errorf("saves %s, want %s", got, want)
		}
	}
	if want, ok := s.sections["bytes"]; ok {
		if got := fmt.Sprint(g.SavesBytes, " ", g.BytesOf, " ", g.Costs); got != strings.TrimSpace(want) {
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
	if want, ok := s.sections["advice"]; ok {
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
		want   bool
	}{{50, "s%d", false}, {3000, "s%d", true}, {300, "alpine", false}} {
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
		if got := suggest.TooLarge(f); (got != "") != c.want {
			t.Errorf("%d stages from %s: %q", c.stages, c.from, got)
		}
	}
}
