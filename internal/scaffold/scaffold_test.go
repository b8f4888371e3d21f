package scaffold_test

import (
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/internal/scaffold"
)

var update = flag.Bool("update", false, "write the golden files anew")

// samples are the apps in testdata/apps. What init makes of each stands in
// testdata/golden/NAME.txtar, evidence and all.
func samples(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir("testdata/apps")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if len(names) < 24 {
		t.Fatalf("%d samples, want 24", len(names))
	}
	return names
}

// detect returns the apps of a sample.
func detect(t testing.TB, name string) []scaffold.App {
	t.Helper()
	apps, err := scaffold.Detect(os.DirFS(filepath.Join("testdata/apps", name)), ".", name)
	if err != nil {
		t.Fatal(err)
	}
	if len(apps) == 0 {
		t.Fatalf("there is no app in %s", name)
	}
	return apps
}

// TestGolden holds the files of every sample's apps, and what was concluded from
// what.
func TestGolden(t *testing.T) {
	for _, name := range samples(t) {
		t.Run(name, func(t *testing.T) {
			var a txtar.Archive
			for _, app := range detect(t, name) {
				files, err := app.Write("")
				if err != nil {
					t.Fatal(err)
				}
				var b strings.Builder
				fmt.Fprintf(&b, "%s: %s %s %s %s, starts %s, port %d, health %s, base %s\n",
					app.Name, app.Language, app.Version, app.Tool, app.Framework, app.Entry, app.Port, app.Health, files.Base)
				for _, e := range app.Evidence {
					fmt.Fprintf(&b, "found %s: %s\n", e.Path, e.Says)
				}
				for _, hint := range files.Hints {
					fmt.Fprintf(&b, "hint: %s\n", hint)
				}
				a.Files = append(a.Files, txtar.File{Name: path.Join(app.Dir, "detected"), Data: []byte(b.String())},
					txtar.File{Name: files.Dockerfile, Data: files.DockerfileText}, txtar.File{Name: files.Ignore, Data: files.IgnoreText})
			}
			golden(t, filepath.Join("testdata/golden", name+".txtar"), txtar.Format(&a))
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v: run the test with -update, and read what it writes", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestBases: every base that an app can run on gives a text, every other one is
// refused with the reason.
func TestBases(t *testing.T) {
	for _, name := range samples(t) {
		for _, app := range detect(t, name) {
			var b strings.Builder
			for _, base := range scaffold.Bases() {
				files, err := app.Write(base)
				if err != nil {
					if !strings.Contains(err.Error(), string(base)+" is out of the question: ") || strings.Contains(err.Error(), "no such image") {
						t.Errorf("%s on %s is refused without a reason: %v", name, base, err)
					}
					continue
				}
				if files.Base != base {
					t.Errorf("%s on %s is on %s", name, base, files.Base)
				}
				fmt.Fprintf(&b, "%s ", base)
			}
			if b.Len() == 0 {
				t.Errorf("%s runs on nothing", name)
			}
		}
	}
}

// tree makes a tree of files.
func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// write returns the only app's files.
func write(t *testing.T, files map[string]string, c scaffold.Choice) (scaffold.App, scaffold.Files) {
	t.Helper()
	apps, err := scaffold.Detect(tree(files), ".", "tree")
	if err != nil || len(apps) != 1 {
		t.Fatalf("%d apps, %v; want one", len(apps), err)
	}
	app, err := apps[0].Choose(c)
	if err != nil {
		t.Fatal(err)
	}
	out, err := app.Write(c.Base)
	if err != nil {
		t.Fatal(err)
	}
	return app, out
}

// TestVersions: the version of the base image is the one that the project asks for.
func TestVersions(t *testing.T) {
	node := func(engines string) map[string]string {
		return map[string]string{"package.json": `{"scripts":{"start":"node a.js"},"engines":{"node":"` + engines + `"}}`}
	}
	python := func(file, text string) map[string]string {
		return map[string]string{"requirements.txt": "", "main.py": "", file: text}
	}
	goMod := func(text string) map[string]string {
		return map[string]string{"go.mod": "module x.org/y\n" + text, "main.go": "package main\n"}
	}
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{node(">=18"), "FROM node:24-trixie-slim"},
		{node("22.x"), "FROM node:22-trixie-slim"},
		{node("^20.11.1"), "FROM node:20-trixie-slim"},
		{node(">=18 <21"), "FROM node:20-trixie-slim"},
		{node("18"), "FROM node:18-bookworm-slim"},
		{node("26.1.0"), "FROM node:26-trixie-slim"},
		{node("16 || 18"), "FROM node:18-bookworm-slim"},
		{node("what ever"), "FROM node:24-trixie-slim"},
		{python(".python-version", "3.11.4\n"), "FROM python:3.11-slim-trixie"},
		{python("runtime.txt", "python-3.9.18\n"), "FROM python:3.9-slim-bookworm"},
		{python("pyproject.toml", "[project]\nrequires-python = \">=3.10,<3.13\"\n"), "FROM python:3.12-slim-trixie"},
		{python("pyproject.toml", "[project]\nrequires-python = \"~=3.11.0\"\n"), "FROM python:3.11-slim-trixie"},
		{python("pyproject.toml", "[project]\nrequires-python = \"==3.12.*\"\n"), "FROM python:3.12-slim-trixie"},
		{python("pyproject.toml", "[project\n"), "FROM python:3.13-slim-trixie"},
		{goMod("go 1.17\n"), "golang:1.26-trixie"},
		{goMod("go 1.27.3\n"), "golang:1.27-trixie"},
		{goMod("go 1.21\ntoolchain go1.28.1\n"), "golang:1.28-trixie"},
		{goMod(""), "golang:1.26-trixie"},
	} {
		_, files := write(t, c.files, scaffold.Choice{})
		if !strings.Contains(string(files.DockerfileText), c.want) {
			t.Errorf("%v: no %q in\n%s", c.files, c.want, files.DockerfileText)
		}
	}
}

// TestHostileManifest: no text of a manifest becomes an instruction, a variable or
// a command.
func TestHostileManifest(t *testing.T) {
	_, files := write(t, map[string]string{
		"package.json": `{"name":"x\nRUN touch /pwned","description":"a\"\nRUN b $HOME \\","license":"$(id)","packageManager":"pnpm@1; rm -rf /",` +
			`"scripts":{"start":"node server.js; curl x"},"main":"a b.js","dependencies":{"express":"1"}}`,
		"server.js": "", "pnpm-lock.yaml": "lockfileVersion: '9.0'\n",
	}, scaffold.Choice{})
	text := string(files.DockerfileText)
	for _, bad := range []string{"\nRUN touch", "\nRUN b", "curl", "rm -rf /\n", "a b.js"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is in\n%s", bad, text)
		}
	}
	if !strings.Contains(text, `description="a\" RUN b \$HOME \\"`) {
		t.Errorf("the description is not quoted in\n%s", text)
	}
}

// TestRefused: what cannot be written is an error, and never a wrong text.
func TestRefused(t *testing.T) {
	apps, err := scaffold.Detect(tree(map[string]string{
		"a b/package.json": `{"scripts":{"start":"node x.js"}}`,
		"lib/package.json": `{"name":"lib","main":"index.js"}`,
		"odd/package.json": `{"scripts":{"start":"make run"},"dependencies":{"express":"1"}}`,
	}), ".", "tree")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range apps {
		if _, err := a.Write(""); err != nil {
			got = append(got, a.Dir+": "+err.Error())
		} else {
			got = append(got, a.Dir)
		}
	}
	want := []string{`a b: the path "a b" has characters that do not go into a Dockerfile unquoted: rename it`, "odd: nothing tells what it starts"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
