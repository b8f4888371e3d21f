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
