package buildctx

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/internal/lab"
)

// TestBuildKitWithholds compares the sizes of files with what arrives in a build,
// where one line of the ignore file re-includes a file and a later one excludes it.
func TestBuildKitWithholds(t *testing.T) {
	bk, err := client.New(t.Context(), lab.For(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	defer bk.Close()
	c := &buildCase{main: lab.Dir(t)}
	c.def = Definition{Name: "case", Context: c.main, Dockerfile: filepath.Join(c.main, "Dockerfile")}
	for name, text := range map[string]string{
		"Dockerfile": "FROM scratch\nCOPY . /\n", ".dockerignore": "a\n!a/b\n!a/twice\na\n!a/twice\n",
		"a/b": "excluded again", "a/c": "excluded", "a/twice": "taken back twice", "d": "no line matches",
	} {
		mustWrite(t, filepath.Join(c.main, name), text)
	}
	_, out, err := c.build(t, bk)
	if err != nil {
		t.Fatal(err)
	}
	withheld := 0
	for f := range c.selection(t).Main.All() {
		fi, err := os.Stat(filepath.Join(out, f.Path))
		if err != nil {
			t.Error(err)
			continue
		}
		if fi.Mode().IsRegular() && fi.Size() != f.Bytes {
			t.Errorf("%s arrives with %d bytes, the selection says %d", f.Path, fi.Size(), f.Bytes)
		}
		if f.Withheld {
			withheld++
		}
	}
	if withheld != 1 {
		t.Errorf("%d files are withheld, want a/b alone", withheld)
	}
}
