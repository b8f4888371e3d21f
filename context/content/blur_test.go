package content_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tonistiigi/fsutil/types"
	"golang.org/x/sys/unix"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/randtest"
)

// tick waits until the clock that stamps files has gone on, and returns its time.
func tick(t *testing.T) int64 {
	t.Helper()
	probe := filepath.Join(t.TempDir(), "probe")
	first := int64(0)
	for range 1_000_000 {
		var st unix.Stat_t
		write(t, probe, "")
		if err := os.Chmod(probe, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := unix.Lstat(probe, &st); err != nil {
			t.Fatal(err)
		}
		if at := unix.TimespecToNsec(st.Ctim); first == 0 {
			first = at
		} else if at > first {
			return at
		}
	}
	t.Fatal("the clock stands")
	return 0
}

func never(int64) bool { return false }

// TestBlurIsSharpWhereNothingChanged: what is said to have been as it is at a
// moment before random edits had the same digest then.
func TestBlurIsSharpWhereNothingChanged(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("run as root: trusted attributes, and what others cannot read")
	}
	sharp, blurred := 0, 0
	for seed := range randtest.Seeds(t, 40, 2000) {
		w := newWorld(t, seed)
		dockerfilePath := filepath.Join(t.TempDir(), "Dockerfile")
		write(t, dockerfilePath, "FROM scratch\nCOPY "+pick(w.generator, []string{".", "a src/", "a*"})+" /x/\n")
		look := func() (*content.Manifest, buildctx.SentDir) {
			_, selection := w.look(dockerfilePath)
			m, _, err := content.Compute(t.Context(), selection.Main.Top(), nil, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return m, selection.Main.Top()
		}
		for range 10 {
			w.edit()
		}
		for range 4 {
			then, _ := look()
			at := tick(t)
			for range w.IntN(3) {
				w.edit()
			}
			now, top := look()
			blur := content.NewBlur(now, top, func(_, ctime int64) bool { return ctime >= at }, func(ctime int64) bool { return ctime >= at }, never)
			if blur.Sharp() && now.Digest() != then.Digest() {
				t.Fatalf("seed %d: it is another, and said to be sharp:\n%s", seed, listing(w.root))
			}
			for range 20 {
				s := w.selector([]file{{Stat: &types.Stat{Path: w.any()}}})
				selected := []dockerfile.Selector{s}
				got, err := blur.Content(selected)
				if err != nil {
					blurred++
					continue
				}
				if want, err := then.Content(selected); err != nil || want != got {
					t.Fatalf("seed %d: %+v had another digest (%v):\n%s", seed, s, err, listing(w.root))
				}
				sharp++
			}
		}
	}
	if t.Logf("%d selections were sharp, %d were not", sharp, blurred); sharp == 0 {
		t.Error("nothing is sharp")
	}
}

// TestBlurOfWhatKeepsItsTimes: what is in a folder that is moved keeps its times,
// and so does a link to a folder in which files come and go.
func TestBlurOfWhatKeepsItsTimes(t *testing.T) {
	for _, c := range []struct{ name, path, from, to string }{
		{"moved", "a/src/file", "src", "a/src"},
		{"led to", "link", "file", "a/../../gone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			top := t.TempDir()
			root := filepath.Join(top, "root")
			if err := errors.Join(os.MkdirAll(filepath.Join(root, "src"), 0o755), os.Mkdir(filepath.Join(root, "a"), 0o755), os.Symlink("/", filepath.Join(root, "link"))); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(root, "file"), "x")
			write(t, filepath.Join(root, "src/file"), "x")
			at := tick(t)
			if err := os.Rename(filepath.Join(root, c.from), filepath.Join(root, c.to)); err != nil {
				t.Fatal(err)
			}
			l := look(t, root)
			m, _ := l.manifest(later(), nil)
			blur := content.NewBlur(m, l.selection.Main.Top(), func(_, ctime int64) bool { return ctime >= at }, func(ctime int64) bool { return ctime >= at }, never)
			_, err := blur.Content([]dockerfile.Selector{{Path: c.path, FollowLinks: true}})
			if !errors.Is(err, content.ErrBlurred) {
				t.Errorf("%s is said to be as it was: %v", c.path, err)
			}
		})
	}
}

// TestBlurOfFolderThatTookAnothersPlace: all that is in it keeps its times.
func TestBlurOfFolderThatTookAnothersPlace(t *testing.T) {
	for _, moved := range []string{"project", "project/app"} {
		t.Run(moved, func(t *testing.T) {
			top := t.TempDir()
			for _, name := range []string{"project", "other"} {
				dir := filepath.Join(top, name, "app/src")
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(dir, "file"), name)
			}
			at := tick(t)
			from, to := filepath.Join(top, "other", strings.TrimPrefix(moved, "project")), filepath.Join(top, moved)
			if err := errors.Join(os.RemoveAll(to), os.Rename(from, to)); err != nil {
				t.Fatal(err)
			}
			l := look(t, filepath.Join(top, "project/app"))
			m, _ := l.manifest(later(), nil)
			since := func(ctime int64) bool { return ctime >= at }
			blur := content.NewBlur(m, l.selection.Main.Top(), func(_, ctime int64) bool { return since(ctime) }, since, never)
			if _, err := blur.Content([]dockerfile.Selector{{Path: "src/file"}}); !errors.Is(err, content.ErrBlurred) {
				t.Errorf("it is said to be as it was: %v", err)
			}
		})
	}
}

// TestBlurOfFolderWithAnotherMode: it shows where no name in the folder came or went since.
func TestBlurOfFolderWithAnotherMode(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(dir string) error
		want error
	}{
		{"mode", func(dir string) error { return os.Chmod(dir, 0o700) }, content.ErrBlurred},
		{"a file more", func(dir string) error { return os.WriteFile(filepath.Join(dir, "more"), nil, 0o600) }, nil},
		{"the text of a file", func(dir string) error { return os.WriteFile(filepath.Join(dir, "file"), nil, 0o600) }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, "a/src")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "file"), "x")
			at := tick(t)
			if err := tt.edit(dir); err != nil {
				t.Fatal(err)
			}
			l := look(t, root)
			m, _ := l.manifest(later(), nil)
			blur := content.NewBlur(m, l.selection.Main.Top(), func(_, _ int64) bool { return false }, never, func(ctime int64) bool { return ctime >= at })
			for path, want := range map[string]error{"a": tt.want, "a/src": tt.want, "a/src/file": nil} {
				if _, err := blur.Content([]dockerfile.Selector{{Path: path}}); !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", path, err, want)
				}
			}
		})
	}
}
