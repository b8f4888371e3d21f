package project

import (
	"os"
	"path/filepath"
	"testing"

	buildctx "github.com/stokerd/stoker/context"
)

// TestInferredContextFollows changes a repository in which a context is inferred:
// the context follows the files that it was inferred from, and the repository is
// searched again for those only.
func TestInferredContextFollows(t *testing.T) {
	root := realPath(t.TempDir())
	at := func(name string) string { return filepath.Join(root, filepath.FromSlash(name)) }
	put := func(name, text string) func() error {
		return func() error {
			if err := os.MkdirAll(filepath.Dir(at(name)), 0o755); err != nil {
				return err
			}
			return os.WriteFile(at(name), []byte(text), 0o644)
		}
	}
	for _, file := range []func() error{
		put("docker/Dockerfile", "FROM scratch\nCOPY app/*.js /\nCOPY conf /\n"), put("app/a.js", "a"), put("conf", "c"), put("docker/conf", "c"), put("elsewhere/x.js", "x"),
	} {
		if err := file(); err != nil {
			t.Fatal(err)
		}
	}
	searches := 0
	o := &Opener{Secrets: NewSecretCache(), Learnt: func() []buildctx.Definition { searches++; return nil }}
	p, err := o.Open(t.Context(), root, false)
	if err != nil {
		t.Fatal(err)
	}
	if searches != 1 {
		t.Errorf("%d searches to open what did not change meanwhile", searches)
	}
	for _, c := range []struct {
		what, path string
		change     func() error
		context    string
		search     bool
	}{
		{"a file of no meaning", "app/new.txt", put("app/new.txt", "x"), root, false},
		{"one that is copied too", "app/b.js", put("app/b.js", "b"), root, false},
		{"one of a name that is looked for elsewhere", "app/conf", put("app/conf", "c"), root, false},
		{"a file is gone that is not the last", "app/a.js", func() error { return os.Remove(at("app/a.js")) }, root, false},
		{"the last is gone", "app/b.js", func() error { return os.Remove(at("app/b.js")) }, at("docker"), true},
		{"all is there again", "app/b.js", put("app/b.js", "b"), root, true},
		{"a folder is gone", "app", func() error { return os.RemoveAll(at("app")) }, at("docker"), true},
		{"a link leads to the files", "app", func() error { return os.Symlink("elsewhere", at("app")) }, root, true},
		{"they are gone from where it leads", "elsewhere/x.js", func() error { return os.Remove(at("elsewhere/x.js")) }, at("docker"), true},
	} {
		searches = 0
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		if p, err = o.Update(t.Context(), p, map[string][]string{root: {c.path}}); err != nil {
			t.Fatal(err)
		}
		if got := p.Builds[0].Definition.Context; got != c.context {
			t.Errorf("%s: the context is %s, want %s", c.what, got, c.context)
		}
		if (searches > 0) != c.search {
			t.Errorf("%s: %d searches", c.what, searches)
		}
	}
}

// TestLearntDockerfileComesBack has the Dockerfile of an observed build, which
// nothing declares and whose name says nothing, go and come again.
func TestLearntDockerfileComesBack(t *testing.T) {
	root := realPath(t.TempDir())
	name := filepath.Join(root, "build.txt")
	o := &Opener{Secrets: NewSecretCache(), Learnt: func() []buildctx.Definition {
		return []buildctx.Definition{{Origin: buildctx.Observed, Context: root, Dockerfile: name}}
	}}
	p, err := o.Open(t.Context(), root, false)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, want := range []int{1, 0} {
			change := func() error { return os.Remove(name) }
			if want == 1 {
				change = func() error { return os.WriteFile(name, []byte("FROM scratch\n"), 0o644) }
			}
			if err := change(); err != nil {
				t.Fatal(err)
			}
			if p, err = o.Update(t.Context(), p, map[string][]string{root: {"build.txt"}}); err != nil {
				t.Fatal(err)
			}
			if len(p.Builds) != want {
				t.Errorf("%d definitions, want %d", len(p.Builds), want)
			}
		}
	}
}
