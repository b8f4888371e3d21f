package suggest_test

import (
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/changes"
	"github.com/stokerd/stoker/internal/suggest"
)

// A scenario is a txtar file. Its comment says what it shows. Sections:
//
//	Dockerfile       the file to look at
//	.dockerignore    the ignore file, if any
//	builds           further definitions, one a line: NAME TARGET [DIR] [shared] [sharer:DOCKERFILE]... [ARG=VALUE]...; "-" is the default
//	sizes            files that are larger than their text, one a line: PATH BYTES
//	history          commits, oldest first: [COUNT] PATH... ; PATH=ID gives content, else it is new; PATH/ is a submodule
//	days             that the history takes; else all of it is of one moment
//	seconds          observed medians: SECONDS INSTRUCTION
//	links            files that are symbolic links, one a line; their text is what is read through them
//	beside           definitions that share a copy of the context, one a line: NAME FILES BYTES [elsewhere]
//	secrets          files of the context that hold secrets, one a line
//	services         how compose starts the image, one a line: USER [COMMAND]; "-" is none
//	want/FILE        the file afterwards
//	advice           a part of the obstacle; with want/FILE, which is only shown then, or without
//	provable         the same of advice that a build can prove
//	differs          what then differs in the image, if anything does
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

var special = []string{"builds", "sizes", "history", "days", "seconds", "secrets", "services", "beside", "links", "advice", "provable", "differs", "none", "as-is", "title", "evidence", "saves", "bytes", "rates", "diff"}

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
	for _, line := range strings.Split(strings.TrimSpace(s.sections["sizes"]), "\n") {
		name, size, ok := strings.Cut(line, " ")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(size)
		if err != nil || n < len(s.files[name]) {
			t.Fatalf("%s: %q is no size of %s", name, size, name)
		}
		s.files[name] += strings.Repeat("\n", n-len(s.files[name]))
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
	links   []string
}

func newContext(t testing.TB, f *dockerfile.File, files map[string]string, dir string) *fakeContext {
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
	if c.matcher.Ignored(strings.TrimSuffix(name, "/")) {
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
		rel, ok := strings.CutPrefix("/"+name, strings.TrimSuffix(path.Join("/", c.dir), "/")+"/")
		if !ok || matcher.Ignored(strings.TrimSuffix(rel, "/")) {
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
	if strings.HasSuffix(name, "/") && strings.HasPrefix(src+"/", name) {
		return true
	}
	name = strings.TrimSuffix(name, "/")
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

func (c *fakeContext) FilesNamed(base string) []string {
	return slices.DeleteFunc(slices.Collect(c.Files()), func(f string) bool { return path.Base(f) != base })
}

func (c *fakeContext) Links() (list []string) {
	for f := range c.Files() {
		if slices.Contains(c.links, path.Join(c.dir, f)) {
			list = append(list, f)
		}
	}
	return list
}

func (c *fakeContext) Size(name string) (total int64) {
	for f := range c.Files() {
		if name == "." || f == name || strings.HasPrefix(f, name+"/") {
			total += int64(len(c.files[path.Join(c.dir, f)]))
		}
	}
	return total
}

func (c *fakeContext) Below(name string) (files int, bytes int64) {
	for f := range c.Files() {
		if name == "." || f == name || strings.HasPrefix(f, name+"/") {
			files++
		}
	}
	return files, c.Size(name)
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
				file, submodule := strings.CutSuffix(name, "/")
				if submodule {
					e.Mode = 0o160000
				}
				c.Changes = append(c.Changes, changes.Change{Path: file, Old: now[name], New: e})
				now[name] = e
			}
			list = append(list, c)
		}
	}
	return list
}

// input builds the rule's input for a scenario with these files.
func (s scenario) input(t testing.TB, files map[string]string) suggest.Input {
	t.Helper()
	f, err := dockerfile.Parse("Dockerfile", []byte(files["Dockerfile"]))
	if err != nil {
		t.Fatal(err)
	}
	commits := history(s.sections["history"])
	if days, err := strconv.Atoi(strings.TrimSpace(s.sections["days"])); err == nil {
		for i := range commits {
			commits[i].Time = time.Unix(0, 0).Add(time.Duration(days) * 24 * time.Hour * time.Duration(i) / time.Duration(len(commits)-1))
		}
	}
	in := suggest.Input{File: f, Path: "Dockerfile", Commits: changes.NewLog(commits)}
	lines := "main -\n"
	if text, ok := s.sections["builds"]; ok {
		lines = text
	}
	for line := range strings.Lines(lines) {
		args := map[string]string{}
		var others []string // Dockerfiles that use the ignore file, too
		w := slices.DeleteFunc(strings.Fields(line), func(word string) bool {
			name, value, ok := strings.Cut(word, "=")
			if ok {
				args[name] = value
			}
			other, sharer := strings.CutPrefix(word, "sharer:")
			if sharer {
				others = append(others, other)
			}
			return ok || sharer
		})
		w = append(w, "", "")
		b := suggest.Build{Name: w[0], Target: strings.Trim(w[1], "-"), Dir: strings.Trim(w[2], "-"), Args: args}
		shown := newContext(t, f, files, b.Dir)
		shown.links = strings.Fields(s.sections["links"])
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
		var sharers []suggest.Sharer
		for _, name := range others {
			other, err := dockerfile.Parse(name, []byte(files[name]))
			if err != nil {
				t.Fatal(err)
			}
			b.Ignore.Shared = true
			sharers = append(sharers, suggest.Sharer{File: other, Context: newContext(t, other, files, b.Dir)})
		}
		b.Ignore.Sharers = func() []suggest.Sharer { return sharers }
		b.Secrets = strings.Fields(s.sections["secrets"])
		b.Beside = s.beside(t)
		for line := range strings.Lines(s.sections["services"]) {
			w := strings.Fields(line)
			b.Services = append(b.Services, suggest.Service{User: strings.Trim(w[0], "-"), Command: w[1:]})
		}
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
func (s scenario) beside(t testing.TB) (list []suggest.Neighbour) {
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
