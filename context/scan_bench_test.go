package buildctx

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
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
			name := filepath.Join(dir, fmt.Sprintf("file-%06d-%02d%s", i, j, []string{".js", ".go", ".ts"}[j%3]))
			if err := os.WriteFile(name, nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	return root
}

// BenchmarkScan compares a scan and a selection of 200,000 files with what
// others take for the same, in one run; each metric says how many times longer
// than ours it is, or ours than a plain scan.
func BenchmarkScan(b *testing.B) {
	root := bigTree(b)
	plain := &ignore.File{}
	var inAll, inNinety, inModules, inAllow, inFind, inFsutil time.Duration
	for b.Loop() {
		inAll += timed(b, func() error { return scanAndSelect(b, root, plain, nil) })
		inNinety += timed(b, func() error { return scanAndSelect(b, root, ninety(b), nil) })
		inModules += timed(b, func() error {
			return scanAndSelect(b, root, patternFile("node_modules"), pruneNames{"node_modules"})
		})
		inAllow += timed(b, func() error { return scanAndSelect(b, root, patternFile("*", "!**/*.go"), nil) })
		inFind += timed(b, exec.Command("find", root, "-printf", "%s\n").Run)
		inFsutil += timed(b, func() error { return walkWith(b, root, ninety(b).Patterns()) })
	}
	seconds := func(d time.Duration, name string) { b.ReportMetric(d.Seconds()/float64(b.N), name) }
	seconds(inAll, "plain-s")
	seconds(inNinety, "ninety-s")
	seconds(inModules, "node_modules-s")
	b.ReportMetric(float64(inFsutil)/float64(inNinety), "fsutil/ninety")
	b.ReportMetric(float64(inFind)/float64(inNinety), "find/ninety")
	b.ReportMetric(float64(inAllow)/float64(inAll), "allowlist/plain")
	b.ReportMetric(0, "ns/op")
}

func timed(b *testing.B, f func() error) time.Duration {
	start := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func patternFile(patterns ...string) *ignore.File {
	f := &ignore.File{}
	for i, p := range patterns {
		f.Lines = append(f.Lines, ignore.Line{Number: i + 1, Pattern: p})
	}
	return f
}

func scanAndSelect(b *testing.B, root string, file *ignore.File, prune Pruner) error {
	m, err := ignore.NewMatcher(file)
	if err != nil {
		return err
	}
	tree, err := Scan(b.Context(), root, prune)
	if err != nil {
		return err
	}
	l := &Local{matcher: m, takers: &takers{}}
	f, err := newFilter(m, &treeFS{top: tree.top}, []dockerfile.Request{{}}, nil)
	if err != nil {
		return err
	}
	return l.fill(b.Context(), tree.top, f)
}

// walkWith walks as BuildKit's client does.
func walkWith(b *testing.B, root string, patterns []string) error {
	files, err := fsutil.NewFS(root)
	if err != nil {
		return err
	}
	if files, err = fsutil.NewFilterFS(files, &fsutil.FilterOpt{ExcludePatterns: patterns}); err != nil {
		return err
	}
	return files.Walk(b.Context(), "/", func(_ string, d fs.DirEntry, err error) error {
		if err == nil {
			_, err = d.Info()
		}
		return err
	})
}

// BenchmarkFollow takes one changed file from the disk through the tree to a
// selection, in directories of 1,000 entries; the time must not depend on the
// size of the tree, only of the directory.
func BenchmarkFollow(b *testing.B) {
	for _, size := range []struct{ files, inDir int }{{20_000, 1000}, {200_000, 1000}, {1_000_000, 1000}, {200_000, 100_000}} {
		b.Run(fmt.Sprintf("%d-files-%d-in-directory", size.files, size.inDir), func(b *testing.B) {
			follow(b, size.files, size.inDir, 1)
		})
	}
	b.Run("1000-changes-200000-files", func(b *testing.B) { follow(b, 200_000, 100, 1000) })
}

func follow(b *testing.B, files, inDir, changes int) {
	tree := largeTree(files, inDir)
	tree.root = b.TempDir()
	l := selections(b, tree)[0]
	names := changedNames(tree, changes)
	runtime.GC()
	var inApply, inSelect time.Duration
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		for _, name := range names {
			mustWriteBench(b, filepath.Join(tree.root, name), fmt.Sprint(i))
		}
		b.StartTimer()
		start := time.Now()
		next, diff, err := tree.Apply(b.Context(), names, nil)
		if err != nil || len(diff.Changed) != changes {
			b.Fatalf("%d changes, %v", len(diff.Changed), err)
		}
		inApply += time.Since(start)
		start = time.Now()
		if err := l.fill(b.Context(), next.top, l.filter); err != nil {
			b.Fatal(err)
		}
		inSelect += time.Since(start)
		tree = next
	}
	b.ReportMetric(float64(inApply.Microseconds())/float64(b.N), "µs-apply")
	b.ReportMetric(float64(inSelect.Microseconds())/float64(b.N), "µs-select")
}

// changedNames returns files of the tree, spread over its directories.
func changedNames(t *Tree, n int) []string {
	var all []string
	for e := range t.All() {
		if !e.Mode.IsDir() {
			all = append(all, e.Path)
		}
	}
	var names []string
	for i := range n {
		names = append(names, all[i*(len(all)/n)])
	}
	return names
}

func mustWriteBench(b *testing.B, name, text string) {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(strings.Repeat("x", len(text))+text), 0o644); err != nil {
		b.Fatal(err)
	}
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
