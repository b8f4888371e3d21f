package content_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
)

// TestBetween: of two looks that found the same, what was written or replaced in between is in
// doubt, and nothing else is.
func TestBetween(t *testing.T) {
	file := func(path string) dockerfile.Selector { return dockerfile.Selector{Path: path, FollowLinks: true} }
	all := file("/")
	for _, tt := range []struct {
		name          string
		edit          func(dir string) error // and takes it back
		names         []string               // that events tell of
		doubted, sure []dockerfile.Selector
	}{
		{"nothing", func(string) error { return nil }, nil, nil, []dockerfile.Selector{all, file("src"), file("link")}},
		{"a file is written and taken back", func(dir string) error {
			name := filepath.Join(dir, "src/a")
			return errors.Join(os.WriteFile(name, []byte("other"), 0o644), os.WriteFile(name, []byte("a"), 0o644))
		}, []string{"src/a"}, []dockerfile.Selector{all, file("src"), file("src/a"), {Path: "src/*", Wildcard: true}},
			[]dockerfile.Selector{file("src/b"), file("lib"), file("link"), {Path: "src", Exclude: []string{"a"}}}},
		{"a file is written and taken back with its time", func(dir string) error {
			name := filepath.Join(dir, "src/a")
			st, err := os.Stat(name)
			if err != nil {
				return err
			}
			return errors.Join(os.WriteFile(name, []byte("other"), 0o644), os.WriteFile(name, []byte("a"), 0o644), os.Chtimes(name, st.ModTime(), st.ModTime()))
		}, []string{"src/a"}, []dockerfile.Selector{file("src/a")}, []dockerfile.Selector{file("src/b")}},
		{"a file makes way for another one, and comes back", func(dir string) error {
			name := filepath.Join(dir, "src/a")
			return errors.Join(os.Rename(name, name+"~"), os.WriteFile(name, []byte("other"), 0o644), os.Rename(name+"~", name))
		}, []string{"src/a", "src/a~"}, []dockerfile.Selector{file("src/a")}, []dockerfile.Selector{file("src/b")}},
		{"a folder makes way for another one with the same files", func(dir string) error {
			name := filepath.Join(dir, "src")
			return errors.Join(os.RemoveAll(name), os.Mkdir(name, 0o755),
				os.WriteFile(filepath.Join(name, "a"), []byte("a"), 0o644), os.WriteFile(filepath.Join(name, "b"), []byte("b"), 0o644))
		}, []string{"src"}, []dockerfile.Selector{file("src"), file("src/b")}, []dockerfile.Selector{file("lib")}},
		{"a link leads elsewhere for a while", func(dir string) error {
			name := filepath.Join(dir, "link")
			return errors.Join(os.Remove(name), os.Symlink("lib/c", name), os.Remove(name), os.Symlink("src/b", name))
		}, []string{"link"}, []dockerfile.Selector{file("link"), all}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"src/a", "src/b", "lib/c"} {
				_ = os.Mkdir(filepath.Dir(filepath.Join(dir, name)), 0o755)
				write(t, filepath.Join(dir, name), filepath.Base(name))
			}
			if err := os.Symlink("src/b", filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			l := look(t, dir)
			first, _ := l.manifest(later(), nil)
			before := l.selection.Main.Top()
			tick(t)
			if err := tt.edit(dir); err != nil {
				t.Fatal(err)
			}
			l.again(tt.names...)
			m, _ := l.manifest(later(), first)
			if m.Digest() != first.Digest() {
				t.Fatal("the edit was not taken back")
			}
			blur := content.Between(m, before, l.selection.Main.Top())
			for _, s := range tt.doubted {
				if _, err := blur.Content([]dockerfile.Selector{s}); !errors.Is(err, content.ErrBlurred) {
					t.Errorf("%+v: %v, want that it may have been different", s, err)
				}
			}
			for _, s := range tt.sure {
				if _, err := blur.Content([]dockerfile.Selector{s}); err != nil {
					t.Errorf("%+v: %v, want that it was the same", s, err)
				}
			}
		})
	}
}

// TestBlurAt: a name that came and went since a moment is told of by events alone. What may
// have listed it is in doubt, and what names other files is not.
func TestBlurAt(t *testing.T) {
	file := func(path string) dockerfile.Selector { return dockerfile.Selector{Path: path, FollowLinks: true} }
	glob := func(path string) dockerfile.Selector { return dockerfile.Selector{Path: path, Wildcard: true} }
	all, src, srcs, deep := file("/"), file("src"), glob("src/*.txt"), dockerfile.Selector{Path: "/", Include: []string{"**/*.txt"}}
	for _, tt := range []struct {
		name          string
		edit          func(dir string) error
		told          []string
		doubted, sure []dockerfile.Selector
	}{
		{"a file", func(dir string) error {
			name := filepath.Join(dir, "src/new.txt")
			return errors.Join(os.WriteFile(name, []byte("new"), 0o644), os.Remove(name))
		}, []string{"src/new.txt"}, []dockerfile.Selector{all, src, srcs, deep, glob("*/*.txt"), glob("link/*.txt")},
			[]dockerfile.Selector{file("src/a"), file("lib"), glob("lib/*.txt"), file("link")}},
		{"a folder", func(dir string) error {
			name := filepath.Join(dir, "src/new")
			return errors.Join(os.Mkdir(name, 0o755), os.WriteFile(filepath.Join(name, "x.txt"), nil, 0o644), os.RemoveAll(name))
		}, []string{"src/new", "src/new/x.txt"}, []dockerfile.Selector{all, src, srcs, deep}, []dockerfile.Selector{file("src/a"), file("lib")}},
		{"what is left out", func(dir string) error {
			name := filepath.Join(dir, "src/new.log")
			return errors.Join(os.WriteFile(name, []byte("new"), 0o644), os.Remove(name))
		}, []string{"src/new.log"}, nil, []dockerfile.Selector{all, src, srcs, deep, file("src/a")}},
		{"a file that was written", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "src/a"), []byte("other"), 0o644)
		}, []string{"src/a"}, []dockerfile.Selector{all, src, file("src/a"), glob("src/*")}, []dockerfile.Selector{file("src/b"), srcs, file("lib")}},
		{"a file that was written and not told of", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "src/a"), []byte("other"), 0o644)
		}, nil, nil, []dockerfile.Selector{all, file("src/a")}},
		{"files that did not change", func(string) error { return nil }, []string{"src/a", "src/gone.txt", "src", "."}, nil,
			[]dockerfile.Selector{all, src, srcs, deep, file("src/a")}},
		{"a folder that was moved here", func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, "src"), filepath.Join(dir, "was")), os.Rename(filepath.Join(dir, "was"), filepath.Join(dir, "src")))
		}, []string{"src", "was"}, []dockerfile.Selector{all, src, file("src/a")}, []dockerfile.Selector{file("lib")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"src/a", "src/b", "lib/c", "lib/d.txt"} {
				_ = os.Mkdir(filepath.Dir(filepath.Join(dir, name)), 0o755)
				write(t, filepath.Join(dir, name), filepath.Base(name))
			}
			write(t, filepath.Join(dir, ".dockerignore"), "**/*.log\n")
			if err := os.Symlink("lib", filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			at := tick(t)
			if err := tt.edit(dir); err != nil {
				t.Fatal(err)
			}
			l := look(t, dir)
			m, _ := l.manifest(later(), nil)
			since := func(ctime int64) bool { return ctime >= at }
			blur := content.NewBlurAt(m, l.selection.Main.Top(), tt.told, func(_, ctime int64) bool { return since(ctime) }, since, since)
			for _, s := range tt.doubted {
				if _, err := blur.Content([]dockerfile.Selector{s}); !errors.Is(err, content.ErrBlurred) {
					t.Errorf("%+v: %v, want that it may have been different", s, err)
				}
			}
			for _, s := range tt.sure {
				if _, err := blur.Content([]dockerfile.Selector{s}); err != nil {
					t.Errorf("%+v: %v, want that it was the same", s, err)
				}
			}
		})
	}
}
