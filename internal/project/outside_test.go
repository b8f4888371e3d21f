package project_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/project"
)

// TestAFileOutside changes what a Dockerfile and an ignore file of the repository
// are links to, which no batch of changes names.
func TestAFileOutside(t *testing.T) {
	root, beyond := realTemp(t), realTemp(t)
	long := time.Now().Add(-time.Hour)
	set := func(name, text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(beyond, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(beyond, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	set("Dockerfile", "FROM scratch\nCOPY a /\n", long)
	set("ignore", "b\n", long)
	run(t, root, "sh", "-c", "echo a >a; echo b >b; ln -s "+beyond+"/Dockerfile Dockerfile; ln -s "+beyond+"/ignore .dockerignore")
	o := &project.Opener{}
	p := open(t, o, root)
	if p.Stale() {
		t.Error("stale, and nothing has changed")
	}
	next := func() *project.Picture {
		t.Helper()
		if !p.Stale() {
			t.Error("a change outside does not make the picture stale")
		}
		after, err := o.Update(t.Context(), p, nil)
		if err != nil {
			t.Fatal(err)
		}
		return after
	}
	set("Dockerfile", "FROM scratch\nCOPY . /\n", long.Add(time.Second))
	if p = next(); p.Builds[0].Selection.Main.Sent.Files != 3 { // a and the two links
		t.Errorf("sent %v after the Dockerfile changed", p.Builds[0].Selection.Main.Sent)
	}
	set("ignore", "b\na\n", long)
	if p = next(); p.Builds[0].Selection.Main.Sent.Files != 2 {
		t.Errorf("sent %v after the ignore file changed", p.Builds[0].Selection.Main.Sent)
	}
	if err := os.Remove(filepath.Join(beyond, "Dockerfile")); err != nil {
		t.Fatal(err)
	}
	if p = next(); len(p.Builds) > 0 && p.Builds[0].Problem == nil {
		t.Error("no problem with a Dockerfile that is gone")
	}
	set("Dockerfile", "FROM scratch\n", time.Now())
	if p = next(); !p.Stale() {
		t.Error("trusted, though another change now might not show")
	}
}

// TestAFurtherName changes a compose file by another name of it, which is all that a batch of
// changes names.
func TestAFurtherName(t *testing.T) {
	root := realTemp(t)
	run(t, root, "sh", "-c", `mkdir api; echo 'FROM scratch' >api/Dockerfile; echo 'services: {one: {build: ./api}}' >compose.yaml; touch -d '1 hour ago' compose.yaml`)
	o := &project.Opener{}
	p := open(t, o, root)
	declares := func(want string) {
		t.Helper()
		if len(p.Builds) != 1 || p.Builds[0].Definition.Name != want {
			t.Errorf("builds %v, want %s alone", p.Builds, want)
		}
	}
	declares("one")
	change := func(script string, paths ...string) {
		t.Helper()
		run(t, root, "sh", "-c", script)
		after, err := o.Update(t.Context(), p, map[string][]string{root: paths})
		if err != nil {
			t.Fatal(err)
		}
		p = after
	}
	change("ln compose.yaml notes", "notes")
	declares("one")
	if p.Stale() {
		t.Error("stale, and nothing has changed")
	}
	change("echo 'services: {two: {build: ./api}}' >notes; touch -d '1 minute ago' notes", "notes")
	declares("two")
	change("rm notes", "notes")
	change("ln compose.yaml notes; echo 'services: {one: {build: ./api}}' >notes", "notes")
	declares("one")
}

// TestAContextGoesOutside makes the folder of a build a symbolic link out of the repository.
func TestAContextGoesOutside(t *testing.T) {
	root, beyond := realTemp(t), realTemp(t)
	run(t, beyond, "sh", "-c", "echo 'FROM scratch\nCOPY . /' >Dockerfile; echo a >a")
	run(t, root, "sh", "-c", "mkdir api; echo 'services: {one: {build: ./api}}' >compose.yaml; echo 'FROM scratch\nCOPY . /' >api/Dockerfile")
	o := &project.Opener{}
	p := open(t, o, root)
	change := func(script string) {
		t.Helper()
		run(t, root, "sh", "-c", script)
		after, err := o.Update(t.Context(), p, map[string][]string{root: {"api"}})
		if err != nil {
			t.Fatal(err)
		}
		p = after
	}
	change("rm -r api")
	if len(p.Builds) != 1 || p.Builds[0].Problem == nil {
		t.Errorf("builds %v, want one with a problem", p.Builds)
	}
	change("ln -s " + beyond + " api")
	if len(p.Builds) != 1 || p.Builds[0].Problem != nil || p.Builds[0].Selection.Main.Sent.Files != 2 {
		t.Errorf("builds %v, want one that sends two files", p.Builds)
	}
}
