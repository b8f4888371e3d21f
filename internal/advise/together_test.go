package advise_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/internal/advise"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/suggest"
)

// TestTogetherIsOneByOne holds, for every scenario of the rules, that the changes which are made upon
// each other in memory are those that --apply makes when it is run again and again, and that nothing
// that can be applied is left.
func TestTogetherIsOneByOne(t *testing.T) {
	names, err := filepath.Glob("../suggest/testdata/*/*.txtar")
	if err != nil || len(names) < 100 {
		t.Fatalf("%d scenarios, %v", len(names), err)
	}
	long := 0 // repositories in which changes meet
	for _, name := range names {
		root := repository(t, name)
		o := &project.Opener{}
		before, err := o.Open(t.Context(), root, false)
		if err != nil {
			t.Fatal(err)
		}
		answers, made := advise.Together(t.Context(), o, before, before.Builds, advise.History{}, nil, nil)
		together := map[string]string{}
		for _, c := range made {
			together[c.Path] = string(c.New)
		}
		alone, steps := oneByOne(t, o, root)
		if diff := cmp.Diff(alone, together); diff != "" {
			t.Errorf("%s: one by one (-) and together (+)\n%s", name, diff)
		}
		if n := len(applicable(answers)); n != steps {
			t.Errorf("%s: %d changes together, %d one by one", name, n, steps)
		}
		if steps > 1 {
			long++
		}
	}
	t.Logf("several changes in %d of %d repositories", long, len(names))
	if long < 20 {
		t.Errorf("only %d repositories have several changes", long)
	}
}

// oneByOne writes the best change of the first build that has one until none has, and returns the files
// that it wrote.
func oneByOne(t *testing.T, o *project.Opener, root string) (map[string]string, int) {
	t.Helper()
	wrote := map[string]string{}
	for steps := 0; ; steps++ {
		p, err := o.Open(t.Context(), root, false)
		if err != nil {
			t.Fatal(err)
		}
		list := applicable(advise.Suggest(t.Context(), p, p.Builds, advise.History{}, nil))
		if len(list) == 0 {
			return wrote, steps
		}
		if steps == 50 {
			t.Fatalf("%s: still %q", root, list[0].Title)
		}
		for _, c := range list[0].Changes {
			write(t, filepath.Join(root, c.Path), string(c.New))
			wrote[c.Path] = string(c.New)
		}
	}
}

func applicable(answers []advise.Answer) []suggest.Suggestion {
	var list []suggest.Suggestion
	for _, a := range answers {
		for _, s := range a.Suggestions {
			if s.Proof != suggest.Advice && len(s.Changes) > 0 {
				list = append(list, s)
			}
		}
	}
	return list
}

// repository writes the files of a scenario.
func repository(t *testing.T, name string) string {
	t.Helper()
	a, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	special := []string{"builds", "history", "seconds", "secrets", "advice", "none", "as-is", "title", "evidence", "saves", "bytes", "rates", "diff"}
	for _, f := range a.Files {
		if !slices.Contains(special, f.Name) && !strings.HasPrefix(f.Name, "want/") {
			write(t, filepath.Join(root, filepath.FromSlash(f.Name)), string(f.Data))
		}
	}
	return root
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSuggestEnds: who waits no longer is not kept waiting for the builds that are left.
func TestSuggestEnds(t *testing.T) {
	root := repository(t, "../suggest/testdata/manifests-first/npm-ci.txtar")
	p, err := (&project.Opener{}).Open(t.Context(), root, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, ended := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		if ended {
			cancel()
		}
		answers := advise.Suggest(ctx, p, p.Builds, advise.History{}, nil)
		cancel()
		if len(answers) != 1 || answers[0].Build != p.Builds[0] || (len(answers[0].Suggestions) == 0) != ended {
			t.Errorf("ended before: %v: the answers are %+v", ended, answers)
		}
	}
}
