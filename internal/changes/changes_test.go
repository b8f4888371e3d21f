package changes_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/changes"
	"github.com/stokerd/stoker/internal/git"
)

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org",
		"-c", "init.defaultBranch=main", "-c", "core.autocrlf=false"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dir string) *git.Repo {
	t.Helper()
	r, err := git.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// history returns each commit as "A a.txt, M b.txt", oldest first.
func history(t *testing.T, dir string, n int) []string {
	t.Helper()
	var list []string
	for c, err := range changes.History(t.Context(), open(t, dir), n) {
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, ch := range c.Changes {
			letter := "M"
			switch {
			case !ch.Old.Exists():
				letter = "A"
			case !ch.New.Exists():
				letter = "D"
			case ch.Old.Mode != ch.New.Mode:
				letter = "T"
			}
			parts = append(parts, letter+" "+ch.Path)
		}
		list = append(list, strings.Join(parts, ", "))
	}
	return list
}

func TestHistory(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "init", "-q")
	commit := func() {
		run(t, dir, "add", "-A")
		run(t, dir, "commit", "-q", "--allow-empty", "-m", "c")
	}
	write(t, dir, "a.txt", "1\n")
	write(t, dir, "dir/b.txt", "1\n")
	commit()
	run(t, dir, "checkout", "-q", "-b", "side")
	write(t, dir, "side.txt", "1\n")
	commit()
	write(t, dir, "side.txt", "2\n")
	commit()
	run(t, dir, "checkout", "-q", "main")
	run(t, dir, "mv", "dir/b.txt", "dir/moved.txt")
	write(t, dir, "line\nbreak", "odd\n")
	commit()
	run(t, dir, "merge", "-q", "-m", "merge", "side")
	commit() // empty
	if err := os.Chmod(filepath.Join(dir, "a.txt"), 0o755); err != nil {
		t.Fatal(err)
	}
	commit()
	want := []string{
		"A a.txt, A dir/b.txt",
		"D dir/b.txt, A dir/moved.txt, A line\nbreak",
		"A side.txt", // the merge, against its first parent: one change, not two
		"",
		"T a.txt",
	}
	if diff := cmp.Diff(want, history(t, dir, 100)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[3:], history(t, dir, 2)); diff != "" {
		t.Errorf("the last two (-want +got):\n%s", diff)
	}
}

func TestHistoryContent(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "init", "-q")
	write(t, dir, "a.txt", "1\n")
	run(t, dir, "add", ".")
	run(t, dir, "commit", "-qm", "c")
	first := run(t, dir, "rev-parse", "HEAD:a.txt")
	write(t, dir, "a.txt", "2\n")
	run(t, dir, "commit", "-qam", "c")
	var got []changes.Commit
	for c, err := range changes.History(t.Context(), open(t, dir), 1) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, c)
	}
	want := []changes.Change{{
		Path: "a.txt",
		Old:  changes.Entry{Mode: 0o100644, OID: first},
		New:  changes.Entry{Mode: 0o100644, OID: run(t, dir, "rev-parse", "HEAD:a.txt")},
	}}
	if len(got) != 1 || got[0].ID != run(t, dir, "rev-parse", "HEAD") || got[0].Time.IsZero() {
		t.Fatalf("commits = %+v", got)
	}
	if diff := cmp.Diff(want, got[0].Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestHistoryShallow(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "init", "-q")
	for i := range 3 {
		write(t, dir, "a.txt", fmt.Sprint(i))
		run(t, dir, "add", ".")
		run(t, dir, "commit", "-qm", "c")
	}
	clone := filepath.Join(t.TempDir(), "clone")
	run(t, dir, "clone", "-q", "--depth=2", "file://"+dir, clone)
	if diff := cmp.Diff([]string{"A a.txt", "M a.txt"}, history(t, clone, 10)); diff != "" {
		t.Errorf("shallow (-want +got):\n%s", diff)
	}
}

func TestHistoryUnborn(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "init", "-q")
	calls := 0
	for _, err := range changes.History(t.Context(), open(t, dir), 10) {
		calls++
		if !errors.Is(err, git.ErrNoCommits) {
			t.Errorf("error = %v, want ErrNoCommits", err)
		}
	}
	if calls != 1 {
		t.Errorf("%d answers, want one error", calls)
	}
}

// TestHistoryLarge reads a commit of many files and stops within the history.
func TestHistoryLarge(t *testing.T) {
	const files = 20_000
	dir := t.TempDir()
	run(t, dir, "init", "-q")
	var in strings.Builder
	for c := range 2 {
		fmt.Fprintf(&in, "blob\nmark :%d\ndata 1\n%d\n", c+1, c)
		in.WriteString("commit refs/heads/main\ncommitter t <t@example.org> 1700000000 +0000\ndata 1\nc\n")
		for i := range files {
			fmt.Fprintf(&in, "M 100644 :%d dir%d/file%d\n", c+1, i%100, i)
		}
	}
	cmd := exec.Command("git", "-C", dir, "fast-import", "--quiet")
	cmd.Stdin = strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("fast-import: %v\n%s", err, out)
	}
	var sizes []int
	for c, err := range changes.History(t.Context(), open(t, dir), 10) {
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(c.Changes))
	}
	if diff := cmp.Diff([]int{files, files}, sizes); diff != "" {
		t.Errorf("changes per commit (-want +got):\n%s", diff)
	}
	for c, err := range changes.History(t.Context(), open(t, dir), 10) {
		if err != nil || c.ID == "" {
			t.Fatalf("first commit: %v, %v", c.ID, err)
		}
		break // must not hang on the rest of git's output
	}
}
