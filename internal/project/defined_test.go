package project

import (
	"os"
	"path/filepath"
	"testing"

	buildctx "github.com/stokerd/stoker/context"
)

// TestDockerfileWentMeanwhile: a Dockerfile that went after the definitions were read and before
// the tree was is in no diff. That it went is reported all the same, and then its build goes, too.
func TestDockerfileWentMeanwhile(t *testing.T) {
	root := t.TempDir()
	name := filepath.Join(root, "Dockerfile")
	if err := os.WriteFile(name, []byte("FROM scratch\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := &Opener{}
	p, err := o.Open(t.Context(), root, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	tree, _, err := p.trees[p.Root].Apply(t.Context(), []string{"."}, p.pruners[p.Root].start())
	if err != nil {
		t.Fatal(err)
	}
	p.trees = map[string]*buildctx.Tree{p.Root: tree}
	o.computeAll(t.Context(), p)
	if len(p.Builds) != 1 || p.Builds[0].Problem == nil {
		t.Fatalf("the builds are %+v, want one with a problem", p.Builds)
	}
	p, err = o.Update(t.Context(), p, map[string][]string{p.Root: {"Dockerfile"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Builds) != 0 {
		t.Errorf("the builds are %+v, want none", p.Builds[0].Definition)
	}
}
