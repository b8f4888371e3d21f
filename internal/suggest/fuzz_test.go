package suggest_test

import (
	"context"
	"flag"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/changes"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/randtest"
	"github.com/stokerd/stoker/internal/suggest"
)

// FuzzSuggest holds that any Dockerfile which BuildKit's parser accepts survives;
// that an edit always parses and converts, that one to be applied loses no
// instruction, and that once it is made its rule has less to say. An ordinary run
// tries a share of the scenarios' Dockerfiles, of which TestScenarios sees all.
func FuzzSuggest(f *testing.F) {
	texts := texts(f)
	share := len(texts) / 5
	if flag.Lookup("test.fuzz").Value.String() != "" {
		share = len(texts)
	}
	for seed := range randtest.Seeds(f, share, len(texts)) {
		f.Add(texts[seed*1009%uint64(len(texts))]) // scenarios of one rule lie beside each other
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
	dir := f.TempDir()
	commits := changes.NewLog(history("3 src/app.js\n1 package.json package-lock.json\n2 web/package.json go.mod\n3 requirements.txt src/app.js\n"))
	f.Fuzz(func(t *testing.T, text string) {
		t.Parallel()
		plans := converter(dir)
		file, err := dockerfile.Parse("Dockerfile", []byte(text))
		if err != nil {
			return
		}
		input := func(file *dockerfile.File) suggest.Input {
			shown := &fakeContext{file: file, files: files, matcher: none}
			b := suggest.Build{
				Name: "main", Ignore: suggest.IgnoreFile{Path: ".dockerignore"}, Context: shown, Takers: shown.takers,
				Convert: func(text []byte) (*dockerfile.Plan, error) { return plans(t.Context(), text) },
			}
			if b.Plan, err = b.Convert(file.Text); err != nil {
				b.Plan = nil
			}
			return suggest.Input{File: file, Path: "Dockerfile", Builds: []suggest.Build{b}, Commits: commits}
		}
		in := input(file)
		list := suggest.Suggest(in)
		for _, s := range list {
			if (s.Proof == suggest.Advice) != (s.Obstacle != "") || s.Proof != suggest.Advice && len(s.Changes) == 0 {
				t.Fatalf("%s: %s, obstacle %q, and this edit:\n%s", s.Rule, s.Proof, s.Obstacle, s.Diff())
			}
			if len(s.Changes) == 0 || s.Changes[0].Path != "Dockerfile" {
				continue
			}
			after, err := dockerfile.Parse("Dockerfile", s.Changes[0].New)
			if err != nil {
				t.Fatalf("%s: %v\n%s", s.Rule, err, s.Diff())
			}
			next := input(after)
			if in.Builds[0].Plan != nil && next.Builds[0].Plan == nil {
				t.Fatalf("%s: BuildKit refuses this:\n%s", s.Rule, s.Diff())
			}
			if again := of(suggest.Suggest(next), s); again >= of(list, s) {
				t.Fatalf("%s: once applied there are still %d suggestions:\n%s", s.Rule, again, s.Diff())
			}
			if strings.HasPrefix(s.Rule, config.BuildKitRules) {
				if before, now := keywords(file), keywords(after); !slices.Equal(before, now) {
					t.Fatalf("%s: instructions %v became %v\n%s", s.Rule, before, now, s.Diff())
				}
				continue
			}
			if before, now := counts(file), counts(after); s.Proof != suggest.Advice && !replaces(s.Rule) && !contains(now, before) {
				t.Fatalf("%s: instructions %v became %v\n%s", s.Rule, before, now, s.Diff())
			}
		}
	})
}

// texts returns the Dockerfiles of all scenarios.
func texts(f *testing.F) (list []string) {
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
				list = append(list, string(file.Data))
			}
		}
	}
	return list
}

// converter has BuildKit's frontend read each text once: what one call of Suggest
// proposes is what the next one starts from.
func converter(dir string) func(ctx context.Context, text []byte) (*dockerfile.Plan, error) {
	type answer struct {
		plan *dockerfile.Plan
		err  error
	}
	known := map[string]answer{}
	return func(ctx context.Context, text []byte) (*dockerfile.Plan, error) {
		a, ok := known[string(text)]
		if !ok {
			a.plan, a.err = dockerfile.Convert(ctx, dockerfile.Input{Dockerfile: "Dockerfile", Text: text, Context: dir}, nil)
			known[string(text)] = a
		}
		return a.plan, a.err
	}
}

// replaces reports a rule that takes out what copies more than anybody looks at.
func replaces(rule string) bool {
	return rule == "narrow-copy" || rule == "bind-instead-of-copy"
}

// keywords returns the instructions of all stages by name, in their order: what an edit
// that only spells them otherwise keeps.
func keywords(f *dockerfile.File) (list []string) {
	for _, st := range f.Stages {
		list = append(list, "FROM")
		for _, in := range st.Instructions {
			list = append(list, strings.ToUpper(in.Keyword))
		}
	}
	return list
}

// of returns how many suggestions are of one's rule and kind: what is applied may
// bring advice to light.
func of(list []suggest.Suggestion, one suggest.Suggestion) int {
	n := 0
	for _, s := range list {
		if s.Rule == one.Rule && s.Proof == one.Proof {
			n++
		}
	}
	return n
}

// counts returns how often each instruction other than RUN, which may be cut,
// occurs: a COPY linked or not, and whatever it names as its destination, which
// behind a WORKDIR is another word for the same place.
func counts(f *dockerfile.File) map[string]int {
	n := map[string]int{}
	for _, st := range f.Stages {
		n[st.From.Text]++
		for _, in := range st.Instructions {
			text := strings.Replace(in.Text, " --link ", " ", 1)
			if in.Copy != nil {
				text = strings.TrimSuffix(strings.TrimSuffix(text, `"]`), in.Copy.Dest)
			}
			switch {
			case in.Keyword == "ENV": // which may be made two
				for _, v := range in.Vars {
					n["ENV "+v.Name+"="+v.Value]++
				}
			case in.Run == nil:
				n[text]++
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
