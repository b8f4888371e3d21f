package buildctx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A directory that goes between being listed and being read is no error: nothing
// is in there. A root that is not there is one.
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
