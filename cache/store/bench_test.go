package store_test

import (
	"os"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/store"
)

// benchRecords is how many builds the daemon of a busy team keeps.
const benchRecords = 100_000

// filled returns the path of a store with benchRecords builds over 90 days, of
// ten definitions whose Dockerfiles change every thousand builds.
func filled(b *testing.B) string {
	b.Helper()
	file := path(b)
	s := open(b, file)
	batch := make([]cache.Record, 0, 1000)
	for n := range benchRecords {
		r := build(n, []string{"api", "web", "db", "cron", "mail", "auth", "pay", "img", "log", "bot"}[n%10])
		r.Ref = r.Ref + "0123456789abcdef" // as long as BuildKit's
		r.Steps[0].Name += time.Duration(n / 1000).String()
		r.Created = epoch.Add(time.Duration(n) * (90 * 24 * time.Hour / benchRecords))
		r.Completed = r.Created.Add(42 * time.Second)
		if batch = append(batch, r); len(batch) == cap(batch) {
			put(b, s, batch...)
			batch = batch[:0]
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return file
}

func BenchmarkOpen100k(b *testing.B) {
	file := filled(b)
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := store.Open(file)
		if err != nil {
			b.Fatal(err)
		}
		_ = s.Close()
	}
	b.ReportMetric(float64(info.Size())/benchRecords, "file-B/record")
}

func BenchmarkScan90Days100k(b *testing.B) {
	s := open(b, filled(b))
	b.ReportAllocs()
	for b.Loop() {
		n, hits := 0, 0
		for r, err := range s.Records(store.Query{Since: epoch, Borrow: true}) {
			if err != nil {
				b.Fatal(err)
			}
			h, _ := r.Hits()
			hits += h
			n++
		}
		if n != benchRecords || hits != 5*benchRecords {
			b.Fatalf("%d records, %d hits", n, hits)
		}
	}
}

// BenchmarkScanOneDefinition measures the query that an index by definition would make
// faster.
func BenchmarkScanOneDefinition(b *testing.B) {
	s := open(b, filled(b))
	for b.Loop() {
		n := 0
		for _, err := range s.Records(store.Query{Definition: "web"}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != benchRecords/10 {
			b.Fatal(n)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	s := open(b, path(b))
	n := 0
	for b.Loop() {
		put(b, s, build(n, "api"))
		n++
	}
}
