package buildctx

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestScanOpensNothingPruned asks inotify which directories were opened.
func TestScanOpensNothingPruned(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"node_modules/a/b.js", "web/node_modules/c/d.js", "src/c.js"} {
		mustWrite(t, filepath.Join(root, name), "x")
	}
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	watch := func(dirs ...string) {
		for _, dir := range dirs {
			if _, err := unix.InotifyAddWatch(fd, filepath.Join(root, dir), unix.IN_OPEN|unix.IN_ONLYDIR); err != nil {
				t.Fatal(err)
			}
		}
	}
	opened := func() bool {
		n, err := unix.Read(fd, make([]byte, 4096))
		return err == nil && n > 0
	}
	watch("node_modules/a", "web/node_modules/c")
	for range 2 {
		tree, err := Scan(t.Context(), root, pruneNames{"node_modules"})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := tree.Apply(t.Context(), []string{".", "web", "node_modules/a"}, pruneNames{"node_modules"}); err != nil {
			t.Fatal(err)
		}
	}
	if opened() {
		t.Error("a directory below one that is pruned was opened")
	}
	if _, err := Scan(t.Context(), root, nil); err != nil || !opened() {
		t.Errorf("the kernel told of no directory that was opened: %v", err)
	}
}
