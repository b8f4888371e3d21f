// The race detector has pools forget at random what they are given, so `make test` runs this apart.

//go:build !race

package content_test

import (
	"runtime"
	"testing"
)

// TestMemoryOfReading holds the first manifest of a tree to little that is thrown
// away again: what of it is in the making at a time must not grow with the tree.
func TestMemoryOfReading(t *testing.T) {
	const files = 12_000
	l := look(t, plainTree(t, files))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	l.manifest(later(), nil)
	runtime.ReadMemStats(&after)
	each := float64(after.TotalAlloc-before.TotalAlloc) / files
	t.Logf("%.0f bytes a file", each)
	if each > 1000 {
		t.Errorf("reading takes %.0f bytes a file, want at most 1000", each)
	}
}
