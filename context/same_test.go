package buildctx

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSameFiles holds when two contexts are known to have the same files, and that they do have
// them then.
func TestSameFiles(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		".dockerignore": "*.log\n", "all": "FROM scratch\nCOPY . /\n", "one": "FROM scratch\nCOPY web/a /\n",
		"own": "FROM scratch\nCOPY . /\n", "own.dockerignore": "# as that of all\n\n*.log\n",
		"other": "FROM scratch\nCOPY . /\n", "other.dockerignore": "web/b\n",
		"order": "FROM scratch\nCOPY . /\n", "order.dockerignore": "*.log\n!x.log\n",
		"none": "FROM scratch\nCOPY . /\n", "none.dockerignore": "",
		"web/a": "a\n", "web/b": "b\n", "x.log": "x\n",
	} {
		write(name, text)
	}
	tree, err := Scan(t.Context(), root, nil)
	if err != nil {
		t.Fatal(err)
	}
	compute := func(tree *Tree, dockerfile, context string) *Local {
		t.Helper()
		def := Definition{Name: "x", Context: filepath.Join(root, context), Dockerfile: filepath.Join(root, dockerfile)}
		if context == "https://example.com/x.git" {
			def.Context, def.Inline, def.Dockerfile = context, "FROM scratch\nCOPY . /\n", ""
		}
		s, err := Compute(t.Context(), def, nil, func(string) (*Tree, string, error) { return tree, filepath.ToSlash(filepath.Clean(context)), nil })
		if err != nil {
			t.Fatal(err)
		}
		return &s.Main
	}
	all := compute(tree, "all", ".")
	for _, c := range []struct {
		dockerfile, context string
		want                bool
	}{
		{"all", ".", true},
		{"one", ".", true}, // another step takes less of the same context
		{"own", ".", true}, // another ignore file that says the same
		{"other", ".", false},
		{"order", ".", false},
		{"none", ".", false},
		{"all", "web", false},
		{"", "https://example.com/x.git", false},
	} {
		other := compute(tree, c.dockerfile, c.context)
		if all.SameFiles(other) != c.want || other.SameFiles(all) != c.want {
			t.Errorf("all and %q of %q: %v, want %v", c.dockerfile, c.context, !c.want, c.want)
		}
		if same := cmp.Equal(namesIn(all), namesIn(other)); c.want && !same {
			t.Errorf("%q has %q, all has %q", c.dockerfile, namesIn(other), namesIn(all))
		}
	}
	remote := compute(tree, "", "https://example.com/x.git")
	if remote.SameFiles(remote) {
		t.Error("the files of a remote context are known")
	}
	// At another moment.
	write("web/c", "c\n")
	later, _, err := tree.Apply(t.Context(), []string{"web/c"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if now := compute(later, "all", "."); all.SameFiles(now) || !now.SameFiles(compute(later, "one", ".")) {
		t.Error("a file more is not seen, or told apart by who asks")
	}
}

// namesIn returns the names of all files of a context.
func namesIn(l *Local) (list []string) {
	for f := range l.All() {
		list = append(list, f.Path)
	}
	return list
}
