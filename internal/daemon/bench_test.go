package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/watcher"
)

// BenchmarkFollow writes 100 files a second into a repository of 200,000 files, and measures
// how long after its write a file is in a picture, with and without the debounce. It takes
// half a minute, whatever -benchtime is.
func BenchmarkFollow(b *testing.B) {
	const writes, pause = 1500, 10 * time.Millisecond
	root := largeRepository(b)
	o := &project.Opener{Secrets: project.NewSecretCache()}
	p, err := o.Open(b.Context(), root, false)
	if err != nil {
		b.Fatal(err)
	}
	w, err := watcher.New(root, watcher.Options{Debounce: debounce, Prune: p.Prune(root)})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	started := make(map[string]time.Time, writes)
	written := make(chan string, writes)
	go func() {
		defer close(written)
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for i := range writes {
			<-tick.C
			name := fmt.Sprintf("src/area%03d/part%02d/new%04d.js", i*7%200, i%50, i)
			written <- name
			if err := os.WriteFile(filepath.Join(root, name), []byte("let a = 1\n"), 0o644); err != nil {
				b.Error(err)
			}
		}
	}()
	var total, work []time.Duration
	for len(total) < writes {
		select {
		case name, more := <-written:
			if !more {
				written = nil
				continue
			}
			started[name] = time.Now()
		case batch := <-w.Batches():
			handed := time.Now()
			if p, err = o.Update(b.Context(), p, map[string][]string{root: batch.Paths}); err != nil {
				b.Fatal(err)
			}
			now := time.Now()
			for _, name := range batch.Paths {
				if _, ok := p.Builds[0].Selection.Main.Lookup(name); !ok {
					b.Fatalf("%s is not in the picture", name)
				}
				total = append(total, now.Sub(started[name]))
				work = append(work, now.Sub(handed))
			}
		}
	}
	slices.Sort(total)
	slices.Sort(work)
	for b.Loop() { // nothing to repeat: the writes were timed
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(total[writes/2].Milliseconds()), "ms-median")
	b.ReportMetric(float64(total[writes*99/100].Milliseconds()), "ms-p99")
	b.ReportMetric(float64(work[writes*99/100].Microseconds())/1000, "ms-p99-after-debounce")
}

// largeRepository returns a repository of 200,000 files in 10,000 directories, with two
// definitions.
func largeRepository(b *testing.B) string {
	b.Helper()
	root, err := filepath.EvalSymlinks(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	for d := range 10_000 {
		dir := filepath.Join(root, fmt.Sprintf("src/area%03d/part%02d", d%200, d/200))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for f := range 20 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%06d-%02d.js", d, f)), []byte("let a = 1\n"), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	for name, text := range map[string]string{
		"Dockerfile":        "FROM node:20\nCOPY . .\n",
		"worker.Dockerfile": "FROM node:20\nCOPY src/area001 /src\n",
		".dockerignore":     ".git\n**/*.log\nnode_modules\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return root
}
