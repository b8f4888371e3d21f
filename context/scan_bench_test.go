package buildctx

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/tonistiigi/fsutil"
)

// bigTree makes 200,000 files in 17,000 directories, half of them below
// node_modules.
func bigTree(b *testing.B) string {
	b.Helper()
	root := b.TempDir()
	for i := range 17_000 {
		dir := fmt.Sprintf("services/svc%03d/pkg%02d", i%170, i/170%50)
		if i >= 8_500 {
			dir = fmt.Sprintf("node_modules/dep%04d/lib%d", i%2_125, i/2_125%4)
		}
		dir = filepath.Join(root, dir)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 12 {
			name := filepath.Join(dir, fmt.Sprintf("file-%06d-%02d.js", i, j))
			if err := os.WriteFile(name, nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	return root
}

// BenchmarkScan compares a scan of 200,000 files with fsutil's walk of the same
// (which reads extended attributes too) and with find.
func BenchmarkScan(b *testing.B) {
	root := bigTree(b)
	b.Run("stoker", func(b *testing.B) {
		for b.Loop() {
			tree, err := Scan(b.Context(), root, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(tree.Files()), "files")
		}
	})
	b.Run("stoker-node_modules-pruned", func(b *testing.B) {
		for b.Loop() {
			if _, err := Scan(b.Context(), root, pruneNames{"node_modules"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("fsutil", func(b *testing.B) {
		for b.Loop() {
			files, err := fsutil.NewFS(root)
			if err != nil {
				b.Fatal(err)
			}
			err = files.Walk(context.Background(), "/", func(_ string, d fs.DirEntry, err error) error {
				if err == nil {
					_, err = d.Info()
				}
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("find", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("find", root, "-printf", "%s\n").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkApply follows one changed file in trees of different sizes; the time
// must not depend on them.
func BenchmarkApply(b *testing.B) {
	for _, dirs := range []int{200, 2_000, 20_000} {
		b.Run(fmt.Sprintf("%d-files", dirs*10), func(b *testing.B) {
			root := b.TempDir()
			for i := range dirs {
				dir := filepath.Join(root, fmt.Sprintf("a%02d/b%04d", i%20, i))
				if err := os.MkdirAll(dir, 0o755); err != nil {
					b.Fatal(err)
				}
				for j := range 10 {
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(j)), nil, 0o644); err != nil {
						b.Fatal(err)
					}
				}
			}
			tree, err := Scan(b.Context(), root, nil)
			if err != nil {
				b.Fatal(err)
			}
			name := "a00/b0000/5"
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				if err := os.WriteFile(filepath.Join(root, name), fmt.Append(nil, i), 0o644); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				next, diff, err := tree.Apply(b.Context(), []string{name}, nil)
				if err != nil || len(diff.Changed) != 1 {
					b.Fatalf("%+v, %v", diff, err)
				}
				tree = next
			}
		})
	}
}

// BenchmarkTreeMemory reports the live heap of a tree a file.
func BenchmarkTreeMemory(b *testing.B) {
	root := bigTree(b)
	for b.Loop() {
		before := liveHeap()
		tree, err := Scan(b.Context(), root, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(liveHeap()-before)/float64(tree.Files()), "bytes/file")
		runtime.KeepAlive(tree)
	}
	b.ReportMetric(0, "ns/op")
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
