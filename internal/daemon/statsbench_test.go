package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/internal/api"
)

// BenchmarkStats90Days100k measures the answer to `stoker stats --since 90d` with 100,000
// stored builds of ten definitions. Each has ten steps, and a third of them broke the cache.
func BenchmarkStats90Days100k(b *testing.B) {
	const builds, window = 100_000, 90 * 24 * time.Hour
	file := filepath.Join(b.TempDir(), "store.db")
	s, err := store.Open(file)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	first := time.Now().Add(-window + time.Hour)
	for n := 0; n < builds; n += 1000 {
		batch := make([]cache.Record, 1000)
		for i := range batch {
			batch[i] = pastBuild(n+i, first.Add(time.Duration(n+i)*((window-2*time.Hour)/builds)))
		}
		if _, err := s.Put(batch...); err != nil {
			b.Fatal(err)
		}
		for i, r := range batch {
			// Storing blames takes a write to disk for each build, so only a few have them.
			if at := broke(n + i); at > 0 && n%25_000 == 0 {
				if err := s.PutBlames(store.BuildID{Builder: r.Builder, Ref: r.Ref}, []cache.Blame{{Step: at, Kind: cache.ByFiles, Name: "src/app.js"}}); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	d := &Daemon{store: s, builder: &builder{}}
	b.ReportAllocs()
	var onCPU time.Duration
	for b.Loop() {
		cpu := cpuTime(b)
		answer, err := d.Stats(b.Context(), api.StatsRequest{Since: window.Seconds()})
		if err != nil {
			b.Fatal(err)
		}
		onCPU += cpuTime(b) - cpu
		total := 0
		for _, def := range answer.Definitions {
			total += def.Builds
		}
		if total != builds || len(answer.Definitions) != 10 {
			b.Fatalf("%d builds of %d definitions", total, len(answer.Definitions))
		}
	}
	b.ReportMetric(float64(onCPU.Microseconds())/1000/float64(b.N), "ms-cpu/op")
	if fi, err := os.Stat(file); err == nil {
		b.ReportMetric(float64(fi.Size())/builds, "file-B/record")
	}
}

// pastBuild returns the record of the n-th build, which is of one of ten definitions.
func pastBuild(n int, created time.Time) cache.Record {
	r := cache.Record{
		Builder: "docker", Ref: fmt.Sprintf("x3k9q2m7p4w8e5r1t6y%06d", n), Generation: 1, Repository: "/home/me/shop",
		Definition: fmt.Sprint("build", n%10), Status: cache.Completed, Created: created, Completed: created.Add(42 * time.Second),
	}
	for i := range 10 {
		s := cache.Step{Name: fmt.Sprintf("[build %2d/11] RUN step %d of ten", i+2, i), Stage: "build", Index: i + 2, Total: 11, Line: 3 + i, Outcome: cache.Hit}
		switch at := broke(n); {
		case at == 0 || i < at:
		case i == at:
			s.Outcome, s.Started, s.Seconds = cache.Executed, created.Add(time.Second), 1.25
		default:
			s.Outcome, s.Started, s.Seconds = cache.Cascaded, created.Add(time.Duration(i)*time.Second), 0.5*float64(i)
		}
		r.Steps = append(r.Steps, s)
	}
	return r
}

// broke returns the index of the step at which the n-th build broke the cache, 0 for none.
func broke(n int) int {
	if n%3 != 0 {
		return 0
	}
	return 3 + n/3%6
}
