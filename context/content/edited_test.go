package content_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stokerd/stoker/context/content"
)

// TestEditedIsWhatIsSent edits files, and a manifest of what they were: both come to
// the same.
func TestEditedIsWhatIsSent(t *testing.T) {
	root := t.TempDir()
	at := time.Unix(1_700_000_000, 5)
	names := []string{"Dockerfile", "deploy/docker/app", "deploy/docker/run.sh", "src/main.c"}
	for _, name := range names {
		_ = os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755)
		write(t, filepath.Join(root, name), "text of "+name)
	}
	if err := os.Chmod(filepath.Join(root, "deploy/docker/run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	m, _ := look(t, root).manifest(later(), nil)
	edits := map[string]content.Edit{"not/sent": {Was: []byte("a"), Text: []byte("b")}}
	for _, name := range names[:3] {
		edits[name] = content.Edit{Was: []byte("text of " + name), Text: []byte("another"), Modified: at.UnixNano()}
		write(t, filepath.Join(root, name), "another")
		if err := os.Chtimes(filepath.Join(root, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	got, err := m.Edited(edits)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := look(t, root).manifest(later(), nil)
	if got.Digest() != want.Digest() {
		t.Errorf("edited: %s, want %s", got.Digest(), want.Digest())
	}
	for d := range content.Compare(got, want) {
		t.Errorf("edited, it differs from what was written: %+v", d)
	}
	if same, err := m.Edited(nil); err != nil || same.Digest() != m.Digest() {
		t.Errorf("without edits it is another manifest: %v", err)
	}
}

// TestEditedOfAnother refuses to edit what is not what was edited.
func TestEditedOfAnother(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "file"), "text")
	write(t, filepath.Join(root, "one"), "text")
	if err := errors.Join(
		os.Symlink("file", filepath.Join(root, "link")), os.Mkdir(filepath.Join(root, "folder"), 0o755),
		os.Link(filepath.Join(root, "one"), filepath.Join(root, "two")),
	); err != nil {
		t.Fatal(err)
	}
	m, _ := look(t, root).manifest(later(), nil)
	for name, was := range map[string]string{"file": "other", "link": "text", "folder": "", "file/below": "text", "one": "text", "two": "text"} {
		if _, err := m.Edited(map[string]content.Edit{name: {Was: []byte(was), Text: []byte("new")}}); !errors.Is(err, content.ErrUnlike) {
			t.Errorf("%s: got %v, want that it is not what was edited", name, err)
		}
	}
}

// TestAddedIsWhatIsSent adds a file, and the same to a manifest of what was there.
func TestAddedIsWhatIsSent(t *testing.T) {
	for _, name := range []string{".dockerignore", "m", "zz"} {
		root := t.TempDir()
		_ = os.Mkdir(filepath.Join(root, "folder"), 0o755)
		write(t, filepath.Join(root, "folder/file"), "text")
		write(t, filepath.Join(root, "there"), "text")
		m, _ := look(t, root).manifest(later(), nil)
		if _, err := m.Edited(map[string]content.Edit{"there": {Text: []byte("new")}}); !errors.Is(err, content.ErrUnlike) {
			t.Errorf("added what is there: got %v", err)
		}
		got, err := m.Edited(map[string]content.Edit{name: {Text: []byte("new")}})
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, name), "new")
		if want, _ := look(t, root).manifest(later(), nil); got.Digest() != want.Digest() {
			t.Errorf("%s added: %s, want %s", name, got.Digest(), want.Digest())
		}
	}
}
