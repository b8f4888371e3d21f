package project

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// newLargeRepository makes a repository of 50,000 files in 1,000 directories,
// with a build that copies a part of them and one that copies all.
func newLargeRepository(b *testing.B) string {
	b.Helper()
	root := realPath(b.TempDir())
	for d := range 1000 {
		dir := filepath.Join(root, "src", fmt.Sprintf("area%02d", d%40), fmt.Sprintf("part%03d", d))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for f := range 50 {
			text := fmt.Sprintf("export const value%d = %d\nimport x from './part%d'\n", f, d*50+f, f)
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%02d.js", f)), []byte(text), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	for name, text := range map[string]string{
		"Dockerfile":        "FROM node:20\nWORKDIR /app\nCOPY package.json ./\nRUN npm ci\nCOPY src/area0* src/\nCOPY . .\n",
		"worker.Dockerfile": "FROM node:20\nCOPY src/area01 /src\n",
		".dockerignore":     ".git\n**/*.log\nnode_modules\n**/testdata\n",
		"package.json":      "{}",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return root
}

func BenchmarkOpen(b *testing.B) {
	root := newLargeRepository(b)
	o := &Opener{Secrets: NewSecretCache()}
	if _, err := o.Open(b.Context(), root, false); err != nil { // reads every file once
		b.Fatal(err)
	}
	for b.Loop() {
		p, err := o.Open(b.Context(), root, false)
		if err != nil {
			b.Fatal(err)
		}
		if p.Files < 50_000 {
			b.Fatalf("%d files", p.Files)
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	root := newLargeRepository(b)
	o := &Opener{Secrets: NewSecretCache()}
	p, err := o.Open(b.Context(), root, false)
	if err != nil {
		b.Fatal(err)
	}
	name := "src/area01/part001/file00.js"
	for i := 0; b.Loop(); i++ {
		if err := os.WriteFile(filepath.Join(root, name), fmt.Appendf(nil, "let a = %d\n", i), 0o644); err != nil {
			b.Fatal(err)
		}
		next, err := o.Update(b.Context(), p, map[string][]string{root: {name}})
		if err != nil {
			b.Fatal(err)
		}
		if next.Sequence == p.Sequence {
			b.Fatal("the update saw no change")
		}
		p = next
	}
}

// BenchmarkUpdateAdded adds and removes a file where a context is inferred from
// which files there are.
func BenchmarkUpdateAdded(b *testing.B) {
	root := newLargeRepository(b)
	if err := os.Mkdir(filepath.Join(root, "docker"), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "docker", "Dockerfile"), []byte("FROM scratch\nCOPY src/area01/*/*.js package.json /\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	o := &Opener{Secrets: NewSecretCache()}
	p, err := o.Open(b.Context(), root, false)
	if err != nil {
		b.Fatal(err)
	}
	name := "src/area01/part001/new.ts"
	for i := 0; b.Loop(); i++ {
		change := func() error { return os.WriteFile(filepath.Join(root, name), nil, 0o644) }
		if i%2 == 1 {
			change = func() error { return os.Remove(filepath.Join(root, name)) }
		}
		if err := change(); err != nil {
			b.Fatal(err)
		}
		next, err := o.Update(b.Context(), p, map[string][]string{root: {name}})
		if err != nil {
			b.Fatal(err)
		}
		if next.Files == p.Files {
			b.Fatal("the update saw no change")
		}
		p = next
	}
}
