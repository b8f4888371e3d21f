package watcher

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestMemory bounds the memory per watched directory, in the table and in fsnotify's,
// which has the path.
func TestMemory(t *testing.T) {
	const dirs = 5000
	root := t.TempDir()
	for i := range dirs {
		dir := filepath.Join(root, fmt.Sprintf("area-%02d/part-%04d", i/100, i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	before := liveHeap()
	w, err := New(root, Options{Debounce: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if n := w.Status().Directories; n < dirs {
		t.Fatalf("%d directories are watched, want %d", n, dirs)
	}
	each := float64(liveHeap()-before) / dirs
	t.Logf("%.0f bytes a directory, with paths of %d", each, len(root)+len("/area-00/part-0000"))
	if each > 300 {
		t.Errorf("a watched directory takes %.0f bytes, want at most 300", each)
	}
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
