package suggest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/suggest"
)

func put(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return "<absent>"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func applier(t *testing.T) suggest.Applier {
	t.Helper()
	return suggest.Applier{Root: t.TempDir(), State: filepath.Join(t.TempDir(), "state")}
}

func TestApplyAndUndo(t *testing.T) {
	a := applier(t)
	dockerfile, ignored := filepath.Join(a.Root, "Dockerfile"), filepath.Join(a.Root, ".dockerignore")
	put(t, dockerfile, "old\r\n", 0o640)
	changes := []suggest.Change{
		{Path: "Dockerfile", Old: []byte("old\r\n"), New: []byte("new\r\n")},
		{Path: ".dockerignore", New: []byte("node_modules\n")},
	}
	if err := a.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	if get(t, dockerfile) != "new\r\n" || get(t, ignored) != "node_modules\n" {
		t.Errorf("applied: %q, %q", get(t, dockerfile), get(t, ignored))
	}
	if info, err := os.Stat(dockerfile); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode = %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(a.Root)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	names, err := a.Undo(t.Context())
	if err != nil || len(names) != 2 {
		t.Fatalf("Undo = %v, %v", names, err)
	}
	if get(t, dockerfile) != "old\r\n" || get(t, ignored) != "<absent>" {
		t.Errorf("undone: %q, %q", get(t, dockerfile), get(t, ignored))
	}
	if _, err := a.Undo(t.Context()); !errors.Is(err, suggest.ErrNothingToUndo) {
		t.Errorf("second Undo: %v", err)
	}
}

func TestApplyRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "Dockerfile")
	for _, c := range []struct {
		name  string
		setup func(t *testing.T, a *suggest.Applier)
		want  error
	}{
		{"changed since it was read", func(t *testing.T, a *suggest.Applier) {
			put(t, filepath.Join(a.Root, "Dockerfile"), "other", 0o644)
		}, suggest.ErrChanged},
		{"gone", func(*testing.T, *suggest.Applier) {}, suggest.ErrChanged},
		{"uncommitted", func(t *testing.T, a *suggest.Applier) {
			put(t, filepath.Join(a.Root, "Dockerfile"), "old", 0o644)
			a.Dirty = func(_ context.Context, path string) (bool, error) { return path == "Dockerfile", nil }
		}, suggest.ErrDirty},
		{"link out of the repository", func(t *testing.T, a *suggest.Applier) {
			put(t, outside, "old", 0o644)
			if err := os.Symlink(outside, filepath.Join(a.Root, "Dockerfile")); err != nil {
				t.Fatal(err)
			}
		}, suggest.ErrOutside},
		{"link to nowhere", func(t *testing.T, a *suggest.Applier) {
			if err := os.Symlink(outside+"x", filepath.Join(a.Root, "Dockerfile")); err != nil {
				t.Fatal(err)
			}
		}, suggest.ErrOutside},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := applier(t)
			c.setup(t, &a)
			before := get(t, filepath.Join(a.Root, "Dockerfile"))
			err := a.Apply(t.Context(), []suggest.Change{
				{Path: ".dockerignore", New: []byte("x\n")}, {Path: "Dockerfile", Old: []byte("old"), New: []byte("new")},
			})
			if !errors.Is(err, c.want) {
				t.Errorf("Apply = %v, want %v", err, c.want)
			}
			if got := get(t, filepath.Join(a.Root, "Dockerfile")); got != before {
				t.Errorf("Dockerfile = %q after a refusal, was %q", got, before)
			}
			if got := get(t, filepath.Join(a.Root, ".dockerignore")); got != "<absent>" {
				t.Errorf("half of the suggestion was written: %q", got)
			}
		})
	}
}

// All of a suggestion is written or none, and nothing is left beside it. The name
// of a temporary file is longer than its target's, and here too long.
func TestApplyAllOrNone(t *testing.T) {
	a := applier(t)
	dockerfile, long := filepath.Join(a.Root, "Dockerfile"), strings.Repeat("x", 250)
	put(t, dockerfile, "old", 0o644)
	put(t, filepath.Join(a.Root, long), "old", 0o644)
	err := a.Apply(t.Context(), []suggest.Change{
		{Path: "Dockerfile", Old: []byte("old"), New: []byte("new")}, {Path: long, Old: []byte("old"), New: []byte("new")},
	})
	if err == nil || get(t, dockerfile) != "old" {
		t.Errorf("Apply = %v, Dockerfile %q", err, get(t, dockerfile))
	}
	if entries, err := os.ReadDir(a.Root); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if _, err := a.Undo(t.Context()); !errors.Is(err, suggest.ErrNothingToUndo) {
		t.Errorf("Undo = %v", err)
	}
}

// Two suggestions may make the same of a file, or add to one ignore file, and not make two
// things of another.
func TestApplyOneFileTwice(t *testing.T) {
	for _, c := range []struct{ name, file, old, one, other, want string }{
		{"the same", "Dockerfile", "a", "b", "b", "b"},
		{"two texts", "Dockerfile", "a\n", "a\nb\n", "a\nc\n", ""},
		{"two lines", ".dockerignore", "a", "a\nb\n", "a\nc\n", "a\nb\nc\n"},
		{"two lines of its own file", "web.Dockerfile.dockerignore", "a\r\n", "a\r\nb\r\n", "a\r\nc\r\n", "a\r\nb\r\nc\r\n"},
		{"ignored by then", ".dockerignore", "a\n", "a\n**/node_modules\n", "a\nweb/node_modules\n", "a\n**/node_modules\n"},
		{"not all ignored by then", ".dockerignore", "a\n", "a\nweb/node_modules\n", "a\n**/node_modules\n", "a\nweb/node_modules\n**/node_modules\n"},
		{"an exception", ".dockerignore", "a\n", "a\nweb\n", "a\n!web/x\n", "a\nweb\n!web/x\n"},
		{"another line goes", ".dockerignore", "a\nb\n", "a\n", "a\nb\nc\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := applier(t)
			name := filepath.Join(a.Root, c.file)
			put(t, name, c.old, 0o644)
			changes := []suggest.Change{
				{Path: c.file, Old: []byte(c.old), New: []byte(c.one)}, {Path: "./" + c.file, Old: []byte(c.old), New: []byte(c.other)},
			}
			err := a.Apply(t.Context(), changes)
			if c.want == "" {
				if !errors.Is(err, suggest.ErrTwice) || get(t, name) != c.old {
					t.Errorf("Apply = %v, file %q", err, get(t, name))
				}
				return
			}
			if err != nil || get(t, name) != c.want {
				t.Errorf("Apply = %v, file %q, want %q", err, get(t, name), c.want)
			}
			if _, err := a.Undo(t.Context()); err != nil || get(t, name) != c.old {
				t.Errorf("Undo = %v, file %q", err, get(t, name))
			}
		})
	}
}

// An ignore file that is not there yet gets the lines of both.
func TestApplyNewFileTwice(t *testing.T) {
	a := applier(t)
	name := filepath.Join(a.Root, ".dockerignore")
	changes := []suggest.Change{{Path: ".dockerignore", New: []byte("x\n")}, {Path: "./.dockerignore", New: []byte("y\n")}}
	if err := a.Apply(t.Context(), changes); err != nil || get(t, name) != "x\ny\n" {
		t.Errorf("Apply = %v, file %q", err, get(t, name))
	}
	if _, err := a.Undo(t.Context()); err != nil || get(t, name) != "<absent>" {
		t.Errorf("Undo = %v, file %q", err, get(t, name))
	}
}

// Of two that apply to one text, one does; the other one is told.
func TestApplyAtOnce(t *testing.T) {
	a := applier(t)
	name := filepath.Join(a.Root, "Dockerfile")
	put(t, name, "old", 0o644)
	errs := make(chan error, 8)
	for i := range cap(errs) {
		go func() {
			errs <- a.Apply(t.Context(), []suggest.Change{{Path: "Dockerfile", Old: []byte("old"), New: fmt.Appendf(nil, "new %d", i)}})
		}()
	}
	applied := 0
	for range cap(errs) {
		switch err := <-errs; {
		case err == nil:
			applied++
		case !errors.Is(err, suggest.ErrChanged):
			t.Errorf("Apply = %v", err)
		}
	}
	if applied != 1 {
		t.Errorf("%d of %d were applied", applied, cap(errs))
	}
	if _, err := a.Undo(t.Context()); err != nil || get(t, name) != "old" {
		t.Errorf("Undo = %v, file %q", err, get(t, name))
	}
}

func TestApplyForce(t *testing.T) {
	a := applier(t)
	put(t, filepath.Join(a.Root, "Dockerfile"), "old", 0o644)
	a.Dirty = func(context.Context, string) (bool, error) { return true, nil }
	a.Force = true
	if err := a.Apply(t.Context(), []suggest.Change{{Path: "Dockerfile", Old: []byte("old"), New: []byte("new")}}); err != nil {
		t.Fatal(err)
	}
	if got := get(t, filepath.Join(a.Root, "Dockerfile")); got != "new" {
		t.Errorf("Dockerfile = %q", got)
	}
}

// TestApplyThroughLink writes the file that a link within the repository names,
// and asks git about that file.
func TestApplyThroughLink(t *testing.T) {
	a := applier(t)
	real := filepath.Join(a.Root, "docker", "Dockerfile")
	put(t, real, "old", 0o600)
	if err := os.Symlink("docker/Dockerfile", filepath.Join(a.Root, "Dockerfile")); err != nil {
		t.Fatal(err)
	}
	asked := ""
	a.Dirty = func(_ context.Context, path string) (bool, error) { asked = path; return false, nil }
	if err := a.Apply(t.Context(), []suggest.Change{{Path: "Dockerfile", Old: []byte("old"), New: []byte("new")}}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(filepath.Join(a.Root, "Dockerfile")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info.Mode(), err)
	}
	if get(t, real) != "new" || asked != "docker/Dockerfile" {
		t.Errorf("file %q, git asked about %q", get(t, real), asked)
	}
}

func TestUndoAfterAnEdit(t *testing.T) {
	a := applier(t)
	name := filepath.Join(a.Root, "Dockerfile")
	put(t, name, "old", 0o644)
	if err := a.Apply(t.Context(), []suggest.Change{{Path: "Dockerfile", Old: []byte("old"), New: []byte("new")}}); err != nil {
		t.Fatal(err)
	}
	put(t, name, "mine", 0o644)
	if _, err := a.Undo(t.Context()); !errors.Is(err, suggest.ErrEdited) || get(t, name) != "mine" {
		t.Errorf("Undo of an edited file: %v, file %q", err, get(t, name))
	}
}

func TestApplyKeepsOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to own a file as another user")
	}
	a := applier(t)
	name := filepath.Join(a.Root, "Dockerfile")
	put(t, name, "old", 0o644)
	if err := os.Chown(name, 1234, 4321); err != nil {
		t.Fatal(err)
	}
	if err := a.Apply(t.Context(), []suggest.Change{{Path: "Dockerfile", Old: []byte("old"), New: []byte("new")}}); err != nil {
		t.Fatal(err)
	}
	if got := owner(t, name); got != "1234:4321" {
		t.Errorf("owner = %s", got)
	}
}
