package buildctx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

// TestReadVanished: a directory that disappears between being listed and being read
// is empty, and no error. A root that does not exist is one.
func TestReadVanished(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := newScanner(t.Context(), root)
	for _, name := range []string{"gone", "gone/deeper", "file"} {
		if d := s.read(name, nil); d.err() != nil || len(d.entries) > 0 {
			t.Errorf("%s, which was a directory: %d entries, error %v", name, len(d.entries), d.err())
		}
	}
	s = newScanner(t.Context(), filepath.Join(root, "gone"))
	if d := s.read(".", nil); !errors.Is(d.err(), fs.ErrNotExist) {
		t.Errorf("a root that is not there: error %v", d.err())
	}
}

// An enteredPruner closes entered when the directory "below" is reached, and then
// waits for release.
type enteredPruner struct{ entered, release chan struct{} }

func (p enteredPruner) Enter(name string) (Pruner, bool) {
	if name == "below" {
		close(p.entered)
		<-p.release
	}
	return p, false
}

// TestApplyWaits applies a directory, and a name that is too long for any system.
// Apply fails, and must return only when no goroutine is reading any more.
func TestApplyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := t.TempDir()
		tree, err := Scan(t.Context(), root, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(root, "dir", "below"), 0o755); err != nil {
			t.Fatal(err)
		}
		p := enteredPruner{make(chan struct{}), make(chan struct{})}
		returned := make(chan error, 1)
		go func() {
			_, _, err := tree.Apply(t.Context(), []string{"dir", "x" + strings.Repeat("x", 1000)}, p)
			returned <- err
		}()
		<-p.entered
		synctest.Wait()
		if len(returned) > 0 {
			t.Error("Apply returned while a directory was being read")
		}
		close(p.release)
		if err := <-returned; err == nil {
			t.Error("a name that is too long is no error")
		}
	})
}
