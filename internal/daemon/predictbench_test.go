package daemon

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/ledger"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

// oneImage resolves every image to the same one.
type oneImage struct{}

func (oneImage) Resolve(context.Context, string, string) (dockerfile.Image, error) {
	const zeros = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	return dockerfile.Image{
		Digest: zeros, Config: []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["` + zeros + `"]}}`),
	}, nil
}

// BenchmarkPredict measures the prediction of 41 steps in a repository of 200,000 files after an
// edit, from its event on: a new picture and the prediction itself, without the request for
// what the builder has. The same file is edited each time, as people do; a file that was
// written within the last two seconds is read again. Of the minute that it takes, most is spent
// on making the files.
func BenchmarkPredict(b *testing.B) {
	root := largeRepository(b)
	var text strings.Builder
	text.WriteString("FROM node:20\n")
	for i := range 20 {
		fmt.Fprintf(&text, "COPY src/area%03d /area%03d\nRUN echo %d\n", i, i, i)
	}
	text.WriteString("COPY . /all\n")
	if err := os.WriteFile(filepath.Join(root, "Dockerfile"), []byte(text.String()), 0o644); err != nil {
		b.Fatal(err)
	}
	o := &project.Opener{Secrets: project.NewSecretCache(), Resolver: oneImage{}}
	p, err := o.Open(b.Context(), root, false)
	if err != nil {
		b.Fatal(err)
	}
	r, site := ledger.NewReader(), ledger.Site{Snapshots: ledger.NewSnapshots(func(digest string) string { return digest }), Keys: []string{""}}
	known := ledger.New(func(s string) string { sum := sha256.Sum256([]byte(s)); return string(sum[:16]) })
	predict := func(p *project.Picture) string {
		build := p.Builds[0]
		plan := build.Selection.Plan
		keys := cache.Keys(plan.Ops, r.Content(b.Context(), plan, build.Definition.Name, site, p))
		g := cache.NewGraph(plan, keys, false).Planned(plan)
		return report.Prediction(report.Predicted{
			Build: build, Graph: g, Nodes: known.Predict(g, recordsOf(plan)), Luck: known.Luck(g),
		}).FirstMiss
	}
	plan := p.Builds[0].Selection.Plan
	fates, runs := make([]cache.Fate, len(plan.Ops)), make([]buildkit.Run, len(plan.Ops))
	var held []buildkit.Held
	for i, op := range plan.Ops {
		if len(op.Inputs) > 0 {
			at := time.Unix(int64(i), 0)
			fates[i], runs[i] = cache.Made, buildkit.Run{Started: at, Completed: at}
			held = append(held, buildkit.Held{Record: op.Record, Created: at})
		}
	}
	name := p.Builds[0].Definition.Name
	keys := cache.Keys(plan.Ops, r.Content(b.Context(), plan, name, site, p))
	known.Learn(ledger.Build{Graph: cache.NewGraph(plan, keys, false), Fates: fates, Runs: runs, Records: recordsOf(plan)})
	known.List(held)
	r.Received(b.Context(), plan, name, site, true, p)
	if miss := predict(p); miss != "" {
		b.Fatalf("nothing changed, and %s is predicted to run", miss)
	}
	b.ResetTimer()
	var inPicture, onCPU time.Duration
	const file = "src/area007/part00/file-000007-00.js"
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		if err := os.WriteFile(filepath.Join(root, file), fmt.Appendf(nil, "let b = %d\n", i), 0o644); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		began, cpu := time.Now(), cpuTime(b)
		next, err := o.Update(b.Context(), p, map[string][]string{root: {file}})
		if err != nil {
			b.Fatal(err)
		}
		p = next
		inPicture += time.Since(began)
		if miss := predict(p); !strings.Contains(miss, "COPY src/area007") {
			b.Fatalf("%s was edited, and %q is predicted to run first", file, miss)
		}
		onCPU += cpuTime(b) - cpu
	}
	b.ReportMetric(float64(onCPU.Microseconds())/1000/float64(b.N), "ms-cpu/op")
	b.ReportMetric(float64(inPicture.Microseconds())/1000/float64(b.N), "ms-picture/op")
}

// cpuTime returns the CPU time that the process has used. On a machine that does other work,
// too, it tells more than the clock.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
