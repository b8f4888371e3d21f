package e2e_test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestSuggestionHolds applies the suggestion for a sample project of each language, without a
// daemon, and then lets BuildKit say whether it keeps its promise: the edited Dockerfile builds, and
// an edit of a source file no longer runs the install.
func TestSuggestionHolds(t *testing.T) {
	for _, c := range []struct{ project, source, install string }{
		{"notes", "notes/store.py", "[4/6] RUN pip install --no-cache-dir -r requirements.txt"},
		{"links", "internal/store/store.go", "[build 4/6] RUN go mod download"},
	} {
		t.Run(c.project, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, "")
			if err := os.CopyFS(u.dir, os.DirFS(filepath.Join("../../testdata/projects", c.project))); err != nil {
				t.Fatal(err)
			}
			u.run("git", "init", "-q", "-b", "main", ".")
			u.run("git", "add", ".")
			u.run("git", "commit", "-q", "-m", "begin")
			for range 3 {
				u.append(c.source, "\n")
				u.run("git", "commit", "-q", "-a", "-m", "edit")
			}
			u.must("suggest", "--rule", "manifests-first", "--apply")
			first := u.build(".")
			if cached, ok := first[c.install]; !ok || cached {
				t.Errorf("the first build: %v; want %s to run", first, c.install)
			}
			u.append(c.source, "\n")
			second := u.build(".")
			if !second[c.install] {
				t.Errorf("after an edit of %s: %v; want %s from the cache", c.source, second, c.install)
			}
			if second.hits() == len(second) {
				t.Errorf("after an edit of %s nothing ran, so that this shows nothing: %v", c.source, second)
			}
		})
	}
}

// append adds text to a file of the repository.
func (u *user) append(name, text string) {
	u.t.Helper()
	old, err := os.ReadFile(filepath.Join(u.dir, name))
	if err != nil {
		u.t.Fatal(err)
	}
	u.write(name, string(old)+text)
}
