package project_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stokerd/stoker/internal/project"
)

// One file is a finding of two builds: it ships in the one and is only in the
// context of the other.
func TestFindingsOf(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"stoker.yaml":  "budget: {file: 300}\nbuilds:\n  a: {context: ., dockerfile: a.Dockerfile}\n  b: {context: ., dockerfile: b.Dockerfile}\n",
		"a.Dockerfile": "FROM scratch\nCOPY small /\n",
		"b.Dockerfile": "FROM scratch\nCOPY video /\n",
		"small":        "x",
		"video":        string(make([]byte, 400)),
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := project.Opener{Secrets: project.NewSecretCache()}
	p, err := o.Open(context.Background(), root, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "context", "b": "final"} {
		b, ok := p.Find(name)
		if !ok {
			t.Fatalf("no build %s in %v", name, p.Names())
		}
		found := p.FindingsOf([]*project.Build{b})
		if len(found) != 1 || found[0].Definition != name || string(found[0].Reach) != want {
			t.Errorf("%s: %+v; want one that reaches %s", name, found, want)
		}
	}
	if len(p.Findings) != 1 || p.Findings[0].Definition != "b" {
		t.Errorf("of both: %+v; want the one of b", p.Findings)
	}
}
