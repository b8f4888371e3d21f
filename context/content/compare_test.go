package content_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/stokerd/stoker/context/content"
)

// TestCompare makes each kind of change to files of a directory.
func TestCompare(t *testing.T) {
	root := t.TempDir()
	abs := func(name string) string { return filepath.Join(root, name) }
	names := []string{"attribute", "both", "content", "gone/deep", "kind", "mode", "touched", "same/x"}
	for _, name := range names {
		_ = os.MkdirAll(filepath.Dir(abs(name)), 0o755)
		write(t, abs(name), "some text")
	}
	if err := os.Symlink("a", abs("link")); err != nil {
		t.Fatal(err)
	}
	l := look(t, root)
	before, _ := l.manifest(later(), nil)
	if err := errors.Join(
		unix.Lsetxattr(abs("attribute"), "user.a", []byte("1"), 0),
		os.WriteFile(abs("both"), []byte("text some"), 0o644), os.Chmod(abs("both"), 0o664),
		os.WriteFile(abs("content"), []byte("other"), 0o644),
		os.Remove(abs("gone/deep")), os.Mkdir(abs("came"), 0o755), os.Mkdir(abs("came/in"), 0o755),
		os.Remove(abs("kind")), os.Mkdir(abs("kind"), 0o755),
		os.Remove(abs("link")), os.Symlink("b", abs("link")),
		os.Remove(abs("mode")), os.WriteFile(abs("mode"), []byte("some text"), 0o644), os.Chmod(abs("mode"), 0o664),
		os.Remove(abs("touched")), os.WriteFile(abs("touched"), []byte("some text"), 0o644),
		os.Chmod(abs("same"), 0o711),
	); err != nil {
		t.Fatal(err)
	}
	after, _ := look(t, root).manifest(later(), before)
	var got []string
	for d := range content.Compare(before, after) {
		got = append(got, fmt.Sprint(d.Path, " ", d.Changes))
	}
	want := []string{
		"attribute [xattr]", "both [content mode]", "came [added]", "came/in [added]", "content [content]", "gone/deep [removed]",
		"kind [type]", "link [link]", "mode [mode]", "same [mode]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for range content.Compare(after, after) {
		t.Error("a manifest differs from itself")
	}
}
