package project

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestLinkedFilesAreFollowed has a Dockerfile and an ignore file that are links
// into a folder that is ignored: changes there count all the same.
func TestLinkedFilesAreFollowed(t *testing.T) {
	root := realPath(t.TempDir())
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("build/one/Dockerfile", "FROM scratch\nCOPY a /\n")
	put("build/ignore", "build\n")
	put("a", "1")
	put("b", "22")
	for link, target := range map[string]string{
		"Dockerfile": "build/link", "build/link": "one/Dockerfile", ".dockerignore": "build/ignore",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	o := &Opener{Secrets: NewSecretCache()}
	p, err := o.Open(t.Context(), root, false)
	if err != nil {
		t.Fatal(err)
	}
	follow := func(text, name string, want int64) {
		t.Helper()
		put(name, text)
		if p.Prune(root)(filepath.Dir(name)) {
			t.Errorf("%s is not watched", filepath.Dir(name))
		}
		if p, err = o.Update(t.Context(), p, map[string][]string{root: {name}}); err != nil {
			t.Fatal(err)
		}
		if got := p.Builds[0].Selection.Sent().Bytes; got != want {
			t.Errorf("after %q in %s: %d bytes are sent, want %d", text, name, got, want)
		}
	}
	follow("FROM scratch\nCOPY b /\n", "build/one/Dockerfile", 2)
	follow("FROM scratch\nCOPY a b /\n", "build/one/Dockerfile", 3)
	follow("build\na\n", "build/ignore", 2)
}

// TestLinkedDockerfileMovesContext has the root's Dockerfile be another build's, too,
// by a link: where that build's context is follows from the text.
func TestLinkedDockerfileMovesContext(t *testing.T) {
	root := realPath(t.TempDir())
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "api"), 0o755); err != nil {
		t.Fatal(err)
	}
	put("Dockerfile", "FROM scratch\nCOPY a /\n")
	put("a", "1")
	put("api/b", "22")
	if err := os.Symlink("../Dockerfile", filepath.Join(root, "api", "Dockerfile")); err != nil {
		t.Fatal(err)
	}
	o := &Opener{Secrets: NewSecretCache()}
	p, err := o.Open(t.Context(), root, false)
	if err != nil {
		t.Fatal(err)
	}
	context := func(want string) {
		t.Helper()
		b, ok := p.Find("api")
		if !ok || b.Definition.Context != want {
			t.Errorf("api is built from %+v, want %s", b, want)
		}
	}
	context(root)
	put("Dockerfile", "FROM scratch\nCOPY b /\n")
	if p, err = o.Update(t.Context(), p, map[string][]string{root: {"Dockerfile"}}); err != nil {
		t.Fatal(err)
	}
	context(filepath.Join(root, "api"))
}

// TestFolderBetweenDefinitionsAndTree has a folder with a Dockerfile come, and go,
// after the definitions were looked for and before the tree was read: no diff shows
// it, and the folder alone is named.
func TestFolderBetweenDefinitionsAndTree(t *testing.T) {
	root := realPath(t.TempDir())
	api := filepath.Join(root, "api")
	if err := os.WriteFile(filepath.Join(root, "Dockerfile"), []byte("FROM scratch\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	come := func() error {
		return errors.Join(os.Mkdir(api, 0o755), os.WriteFile(filepath.Join(api, "Dockerfile"), []byte("FROM scratch\n"), 0o644))
	}
	o := &Opener{Secrets: NewSecretCache()}
	for name, c := range map[string]struct {
		before, meanwhile func() error
		want              int
	}{
		"came": {func() error { return os.RemoveAll(api) }, come, 2},
		"gone": {func() error { return errors.Join(os.RemoveAll(api), come()) }, func() error { return os.RemoveAll(api) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.before(); err != nil {
				t.Fatal(err)
			}
			p, err := o.Open(t.Context(), root, false)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.meanwhile(); err != nil {
				t.Fatal(err)
			}
			if p.trees[root], _, err = p.trees[root].Apply(t.Context(), []string{"."}, nil); err != nil {
				t.Fatal(err)
			}
			if p, err = o.Update(t.Context(), p, map[string][]string{root: {"api"}}); err != nil || len(p.Builds) != c.want {
				t.Errorf("%d definitions are known, want %d (%v)", len(p.Builds), c.want, err)
			}
		})
	}
}
