package ignore_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/stokerd/stoker/context/ignore"
)

func TestFind(t *testing.T) {
	type files map[string]string
	tests := []struct {
		name       string
		files      files
		dockerfile string
		want       []string
		specific   bool
	}{
		{"none", files{}, "Dockerfile", []string{}, false},
		{"root", files{".dockerignore": "a\n"}, "Dockerfile", []string{"a"}, false},
		{"specific replaces root", files{".dockerignore": "a\n", "api.Dockerfile.dockerignore": "b\n"}, "api.Dockerfile", []string{"b"}, true},
		{"beside the Dockerfile, not at the root", files{".dockerignore": "a\n", "docker/Dockerfile.dockerignore": "b\n"}, "docker/Dockerfile", []string{"b"}, true},
		{"an empty specific one ignores nothing", files{".dockerignore": "a\n", "Dockerfile.dockerignore": ""}, "Dockerfile", []string{}, true},
		{"a directory of that name is none", files{"Dockerfile.dockerignore/x": "", ".dockerignore": "a\n"}, "Dockerfile", []string{"a"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range tt.files {
				write(t, filepath.Join(dir, name), content)
			}
			f, err := ignore.Find(dir, filepath.Join(dir, tt.dockerfile))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, f.Patterns()); diff != "" {
				t.Errorf("patterns (-want +got):\n%s", diff)
			}
			if f.Specific != tt.specific {
				t.Errorf("Specific = %v, want %v", f.Specific, tt.specific)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"bang alone", "a\n\n!\n", `/r/.dockerignore:3: "!" alone excludes nothing`},
		{"escaped letter", "src\\yard\n", `/r/.dockerignore:1: pattern "src\\yard": syntax error in pattern`},
		{"in an exception", "!src/\\y\n", `/r/.dockerignore:1: pattern "!src/\\y": syntax error in pattern`},
		{"repeated repetition", "a\n*{2}\n", `/r/.dockerignore:2: pattern "*{2}": syntax error in pattern`},
		{"open bracket", "# x\na[\n", `/r/.dockerignore:2: pattern "a[": syntax error in pattern`},
		{"endless line", "a\n" + strings.Repeat("x", 70_000), `/r/.dockerignore:2: line is longer than 64 KiB`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ignore.Parse("/r/.dockerignore", []byte(tt.text))
			var e *ignore.Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %v, want an *ignore.Error", err)
			}
			if e.Error() != tt.want {
				t.Errorf("error = %q, want %q", e, tt.want)
			}
			if e.Hint == "" {
				t.Error("the error has no hint")
			}
		})
	}
}

func TestExplain(t *testing.T) {
	const file = "# build output\ndist\n*.log\n!dist/keep.txt\nnode_modules/\n"
	tests := []struct {
		path    string
		ignored bool
		by      int
		matched []int
	}{
		{"src/main.go", false, 0, nil},
		{"dist", true, 2, []int{2}},
		{"dist/a/b.js", true, 2, []int{2}},
		{"dist/keep.txt", false, 4, []int{2, 4}},
		{"x.log", true, 3, []int{3}},
		{"deep/x.log", false, 0, nil},
		{"web/node_modules/x", false, 0, nil}, // unlike gitignore, a name is anchored
		{"node_modules/x", true, 5, []int{5}},
	}
	f, err := ignore.Parse(".dockerignore", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	m, err := ignore.NewMatcher(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		d := m.Explain(tt.path)
		var matched []int
		for _, l := range d.Matched {
			matched = append(matched, l.Number)
		}
		if d.Ignored != tt.ignored || d.By.Number != tt.by || !cmp.Equal(matched, tt.matched) {
			t.Errorf("Explain(%q) = %+v, want ignored %v by line %d of %v", tt.path, d, tt.ignored, tt.by, tt.matched)
		}
		if got := m.Ignored(tt.path); got != tt.ignored {
			t.Errorf("Ignored(%q) = %v, want %v", tt.path, got, tt.ignored)
		}
	}
}

func TestPrunes(t *testing.T) {
	tests := []struct {
		file, dir string
		want      bool
	}{
		{"node_modules\n", "node_modules", true},
		{"node_modules\n", "node_modules/a", true},
		{"node_modules\n", "web/node_modules", false},
		{"a\n!a/b/c\n", "a", false},
		{"a\n!a/b/c\n", "a/b", false},
		{"a\n!a/b/c\n", "a/x", true},
		{"*\n!**/*.go\n", "a", false}, // an exception with a wildcard may match anywhere
		{"*\n!src/**\n", "docs", true},
		{"*\n!src/**\n", "src", false},
		{"a/**\n", "a", false}, // the directory itself is sent
	}
	for _, tt := range tests {
		f, err := ignore.Parse(".dockerignore", []byte(tt.file))
		if err != nil {
			t.Fatal(err)
		}
		m, err := ignore.NewMatcher(f)
		if err != nil {
			t.Fatal(err)
		}
		if got := prunes(m, tt.dir); got != tt.want {
			t.Errorf("prunes(%q) under %q = %v, want %v", tt.dir, tt.file, got, tt.want)
		}
	}
}

// FuzzParse compares Parse with BuildKit's own reader, and Ignored and Explain with
// its matcher.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "a\n", "\ufeffa\n", "\ufeff#a\n", " # a\n", "! a\n", "/a/\n", "./a\n", "a/../b\n", ".\n", "..\n", "/\n", "../x\n",
		"a\r\nb\r\n", "**/x\nx/**\n", "**foo\nfoo**\n", "!\n", "a[\n", "[a-c]x\n", "\\!a\n", "a b\n", "*\n!*.go\n", "a\n!a/b\na/b/c\n", "!!a\n",
	} {
		f.Add(seed, "a/b/c")
		f.Add(seed, "x/foobar")
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		silence(t)
		path = filepath.ToSlash(filepath.Clean("/" + path))[1:]
		want, wantErr := ignorefile.ReadAll(bytes.NewReader([]byte(text)))
		got, err := ignore.Parse("f", []byte(text))
		if err != nil {
			if wantErr == nil && !refused(want) {
				t.Fatalf("Parse(%q): %v, but BuildKit accepts it", text, err)
			}
			return
		}
		if wantErr != nil || refused(want) {
			t.Fatalf("Parse(%q) succeeds, but BuildKit refuses it: %v", text, wantErr)
		}
		if p := got.Patterns(); len(p)+len(want) > 0 && !cmp.Equal(p, want) {
			t.Fatalf("patterns = %q, want %q", p, want)
		}
		m, err := ignore.NewMatcher(got)
		if err != nil {
			t.Fatal(err)
		}
		if path == "" {
			return
		}
		wantIgnored, _, err := match(want, path)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Ignored(path); got != wantIgnored {
			t.Errorf("Ignored(%q) = %v, want %v under %q", path, got, wantIgnored, text)
		}
		if got := m.Explain(path).Ignored; got != wantIgnored {
			t.Errorf("Explain(%q).Ignored = %v, want %v under %q", path, got, wantIgnored, text)
		}
	})
}

// match asks patternmatcher for path as BuildKit's walk does: from the root down,
// each time with the result for the parent.
func match(patterns []string, path string) (bool, patternmatcher.MatchInfo, error) {
	pm, err := patternmatcher.New(patterns)
	if err != nil {
		return false, patternmatcher.MatchInfo{}, err
	}
	var info patternmatcher.MatchInfo
	var ok bool
	parts := strings.Split(path, "/")
	for i := range parts {
		ok, info, err = pm.MatchesUsingParentResults(strings.Join(parts[:i+1], "/"), info)
		if err != nil {
			return false, info, err
		}
	}
	return ok, info, nil
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// prunes reports whether a walk from the root skips dir.
func prunes(m *ignore.Matcher, dir string) bool {
	s := m.Root()
	for name := range strings.SplitSeq(dir, "/") {
		s = m.Enter(s, name)
	}
	return s.Pruned()
}
