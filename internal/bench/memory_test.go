package bench_test

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/watcher"
)

// BenchmarkMemory reports the live heap, in bytes per file, of each thing that the daemon
// keeps about a repository: the tree, the selections and manifests of two builds, of which
// one takes all files and one a part, the digests of all files, and the tables of the
// watcher. The repository has 1,000,000 files, with names of 16 to 20 bytes and 12 in each
// directory. Only the directories exist on disk, since the kernel has to watch them.
func BenchmarkMemory(b *testing.B) {
	const files = 1_000_000
	root := b.TempDir()
	entries := largeTree(b, root, files)
	for b.Loop() {
		m := &meter{b: b, files: files, last: liveHeap()}
		tree := buildctx.NewTree(root, entries)
		m.read("tree")
		all := selected(b, root, tree, "COPY . /")
		m.read("selection-all")
		part := selected(b, root, tree, "COPY area-00000001 /")
		m.read("selection-part")
		digestAll(all.Main.Top())
		m.read("digests")
		manifests := []*content.Manifest{manifest(b, all), manifest(b, part)}
		m.read("manifests")
		w, err := watcher.New(root, watcher.Options{Debounce: time.Second})
		if err != nil {
			b.Fatal(err)
		}
		m.read("watcher")
		if s := w.Status(); s.Polled > 0 {
			b.Fatal(s.Problem)
		}
		b.ReportMetric(m.sum, "B/file")
		b.ReportMetric(residentMB(b, os.Getpid()), "MB-resident")
		runtime.KeepAlive([]any{tree, all, part, manifests})
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
	runtime.KeepAlive(entries)
}

// largeTree makes the directories of a repository on disk, and returns the entries of its files.
func largeTree(b *testing.B, root string, files int) []buildctx.Entry {
	b.Helper()
	entries := make([]buildctx.Entry, 0, files)
	dir := ""
	for i := range files {
		if i%12 == 0 {
			dir = fmt.Sprintf("area-%08d/part-%08d", i/1200, i/12)
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				b.Fatal(err)
			}
		}
		name := fmt.Sprintf("file-%09d%s", i, []string{".c", ".go", ".json"}[i%3])
		entries = append(entries, buildctx.Entry{Path: path.Join(dir, name), Mode: 0o644, Size: int64(i % 9000)})
	}
	return entries
}

// selected returns what a build with one step takes of the tree.
func selected(b *testing.B, root string, tree *buildctx.Tree, step string) *buildctx.Selection {
	b.Helper()
	def := buildctx.Definition{Context: root, Dockerfile: filepath.Join(b.TempDir(), "Dockerfile")}
	if err := os.WriteFile(def.Dockerfile, []byte("FROM scratch\n"+step+"\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	s, err := buildctx.Compute(b.Context(), def, nil, func(string) (*buildctx.Tree, string, error) { return tree, ".", nil })
	if err != nil {
		b.Fatal(err)
	}
	if s.Sent().Files == 0 {
		b.Fatalf("%s takes nothing", step)
	}
	return s
}

// digestAll sets a digest for every file, as if it had been read.
func digestAll(dir buildctx.SentDir) {
	for f := range dir.All() {
		f.SetSum(buildctx.Sum{Digest: content.Digest{1}, Data: 1})
		digestAll(f.Dir)
	}
}

// manifest returns the manifest of what a build takes, whose files must have digests.
func manifest(b *testing.B, s *buildctx.Selection) *content.Manifest {
	b.Helper()
	m, work, err := content.Compute(b.Context(), s.Main.Top(), nil, time.Now())
	if err != nil || work.Files > 0 {
		b.Fatalf("%d files were read: %v", work.Files, err)
	}
	return m
}

// A meter reports by how much the live heap has grown.
type meter struct {
	b     *testing.B
	files int
	last  int64   // bytes, when it was last read
	sum   float64 // bytes per file, of all reads
}

// read reports, as a metric with a name, the growth since the last read.
func (m *meter) read(name string) {
	now := liveHeap()
	each := float64(now-m.last) / float64(m.files)
	m.last, m.sum = now, m.sum+each
	m.b.ReportMetric(each, name+"-B/file")
}

// liveHeap returns the size of all reachable objects, in bytes. The second collection frees
// what finalizers of the first one released.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
