package suggest_test

import (
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/suggest"
)

// FuzzSuggest holds that any Dockerfile which BuildKit's parser accepts survives,
// that an edit always parses, and that an edit loses no instruction.
func FuzzSuggest(f *testing.F) {
	names, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(names) == 0 {
		f.Fatalf("no scenarios: %v", err)
	}
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			if file.Name == "Dockerfile" {
				f.Add(string(file.Data))
			}
		}
	}
	files := map[string]string{
		"package.json": `{"dependencies":{"a":"1"}}`, "package-lock.json": "{}", ".npmrc": "x", "yarn.lock": "x", "pnpm-lock.yaml": "x",
		"requirements.txt": "flask\n-r more.txt\n", "more.txt": "x\n", "go.mod": "module x\n\nrequire golang.org/x/text v0.3.0\n",
		"go.sum": "x", "src/app.js": "x", "web/package.json": "{}", "web/package-lock.json": "{}",
	}
	rules, err := ignore.Parse(".dockerignore", nil)
	if err != nil {
		f.Fatal(err)
	}
	none, err := ignore.NewMatcher(rules)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := dockerfile.Parse("Dockerfile", []byte(text))
		if err != nil {
			return
		}
		shown := &fakeContext{file: file, files: files, matcher: none}
		b := suggest.Build{Name: "main", Ignore: suggest.IgnoreFile{Path: ".dockerignore"}, Context: shown, Takers: shown.takers}
		for _, s := range suggest.Suggest(suggest.Input{File: file, Path: "Dockerfile", Builds: []suggest.Build{b}}) {
			if s.Proof != suggest.ByConstruction {
				if len(s.Changes) > 0 || s.Obstacle == "" {
					t.Fatalf("advice with an edit, or without a reason: %+v", s)
				}
				continue
			}
			after, err := dockerfile.Parse("Dockerfile", s.Changes[0].New)
			if err != nil {
				t.Fatalf("%v\n%s", err, s.Diff())
			}
			if before, now := counts(file), counts(after); !contains(now, before) {
				t.Fatalf("instructions %v became %v\n%s", before, now, s.Diff())
			}
		}
	})
}

// counts returns how often each instruction other than RUN, which may be cut,
// occurs.
func counts(f *dockerfile.File) map[string]int {
	n := map[string]int{}
	for _, st := range f.Stages {
		n[st.From.Text]++
		for _, in := range st.Instructions {
			if in.Run == nil {
				n[in.Text]++
			}
		}
	}
	return n
}

func contains(have, want map[string]int) bool {
	for k, n := range want {
		if have[k] < n {
			return false
		}
	}
	return true
}
