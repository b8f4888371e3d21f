package buildctx

import (
	"fmt"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewTree(t *testing.T) {
	tree := NewTree("/r", []Entry{
		{Path: "b/c-d", Mode: 0o644, Size: 3},
		{Path: "b/c/e", Mode: 0o755, Size: 4},
		{Path: "b-a", Mode: 0o644, Size: 1},
		{Path: "empty", Mode: fs.ModeDir | 0o755},
		{Path: "link", Mode: fs.ModeSymlink | 0o777, Link: "b/c"},
		{Path: "a", Mode: 0o644, Size: 2},
	})
	var got []string
	for e := range tree.All() {
		got = append(got, fmt.Sprint(e.Path, " ", e.Mode, " ", e.Size, " ", e.Link))
	}
	want := []string{
		"a -rw-r--r-- 2 ", "b drwxr-xr-x 0 ", "b/c drwxr-xr-x 0 ", "b/c/e -rwxr-xr-x 4 ", "b/c-d -rw-r--r-- 3 ",
		"b-a -rw-r--r-- 1 ", "empty drwxr-xr-x 0 ", "link Lrwxrwxrwx 0 b/c",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if tree.Root() != "/r" || tree.Files() != 5 {
		t.Errorf("root %s, %d files; want /r, 5", tree.Root(), tree.Files())
	}
	for _, name := range []string{"b", "b-a", "b/c/e", "b/c-d", "."} {
		if _, ok := tree.Lookup(name); !ok {
			t.Errorf("%s is not found", name)
		}
	}
}
