package secrets

import (
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zricethezav/gitleaks/v8/detect"
)

// corpus returns files of source code, by path: up to limit bytes of this module's own tree, or of the one that
// STOKER_BENCH_TREE names.
func corpus(b *testing.B, limit int) (files map[string]string, size int) {
	b.Helper()
	root := os.Getenv("STOKER_BENCH_TREE")
	if root == "" {
		root = "../.."
	}
	files = map[string]string{}
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil || size > limit {
			return err
		}
		if e.IsDir() && e.Name() == ".git" {
			return filepath.SkipDir
		}
		if !e.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		if len(data) > 1<<20 {
			return nil
		}
		files[filepath.ToSlash(rel)] = string(data)
		size += len(data)
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return files, size
}

// BenchmarkScanAgainstGitleaks scans the same files with both engines, and reports how many times as long gitleaks
// takes.
func BenchmarkScanAgainstGitleaks(b *testing.B) {
	files, size := corpus(b, 4<<20)
	s, d := scanner(b), oracle(b)
	var we, they time.Duration
	b.SetBytes(int64(size))
	for b.Loop() {
		start := time.Now()
		for name, text := range files {
			if _, err := s.ScanFile(context.Background(), name, strings.NewReader(text), int64(len(text))); err != nil {
				b.Fatal(err)
			}
		}
		we += time.Since(start)
		b.StopTimer()
		start = time.Now()
		for name, text := range files {
			d.Detect(detect.Fragment{Raw: text, FilePath: name, StartLine: 1})
		}
		they += time.Since(start)
		b.StartTimer()
	}
	b.ReportMetric(float64(they)/float64(we), "x-gitleaks")
	b.ReportMetric(float64(len(files)), "files")
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := New(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSkips compares Skips with asking gitleaks' allowlist about a path and the directories above it.
func BenchmarkSkips(b *testing.B) {
	s, d := scanner(b), oracle(b)
	names := []string{"src/area01/part001/file00.js", "services/api/internal/store/store_test.go", "web/node_modules/a/index.js", "README.md"}
	if s.Skips(names[0]) {
		b.Fatal("skips a source file")
	}
	var they time.Duration
	for b.Loop() {
		for _, name := range names {
			s.Skips(name)
		}
	}
	for range 50 {
		start := time.Now()
		for _, name := range names {
			for p := name; p != "."; p = path.Dir(p) {
				if d.Config.Allowlists[0].PathAllowed(p) {
					break
				}
			}
		}
		they += time.Since(start) / 50
	}
	we := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(they)/float64(we), "x-gitleaks")
	b.ReportMetric(float64(we)/float64(len(names)), "ns/path")
}

// BenchmarkSource scans code that has a word of the rules and an operator on most lines, as code about
// keys and tokens has, and no secret.
func BenchmarkSource(b *testing.B) {
	s := scanner(b)
	text := strings.Repeat("  const tokenOfCaller = await readTheTokenOf(caller, options.accessKeyName)\n\tsecretKey: provider.secretKeyFrom(settings),\n", 700)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		found, err := s.ScanFile(context.Background(), "keys.ts", strings.NewReader(text), int64(len(text)))
		if err != nil || len(found) > 0 {
			b.Fatal(found, err)
		}
	}
}
