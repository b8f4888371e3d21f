package daemon_test

import (
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/internal/api"
)

// TestRemoteStats: the statistics have what a cache in a registry cost the build that wrote it
// and the one that imported it, and what that saved.
func TestRemoteStats(t *testing.T) {
	lines := []string{"FROM node:20", "RUN sleep 1; echo 1 NONCE > /one", "COPY src /src"}
	b := newBringer(t, false, append(lines, "RUN echo 2 NONCE")...)
	b.dockerfile(append(lines, "RUN echo 3 NONCE")...) // what it runs on has to be fetched
	b.solve(client.SolveOpt{CacheImports: b.kept})
	b.recorded()
	stats, err := b.r.Stats(t.Context(), api.StatsRequest{Since: 3600, Dir: b.dir})
	if err != nil {
		t.Fatal(err)
	}
	d := stats.Definitions[0]
	c := d.RemoteCache
	if c == nil {
		t.Fatal("the statistics have no remote cache")
	}
	if c.ExportSeconds <= 0 || c.ImportSeconds <= 0 || c.FetchSeconds <= 0 {
		t.Errorf("the cost is %+v, want all three kinds", *c)
	}
	if c.Builds != 2 || c.Imported != 1 || c.MaybeImported != 1 || c.Unknown != 0 {
		t.Errorf("%+v, want 2 builds, in which COPY was imported, RUN perhaps, and both had run", *c)
	}
	var run, copied float64
	for _, s := range d.Steps {
		switch s.Name {
		case "[2/4] RUN sleep 1; echo 1 " + b.nonce + " > /one":
			run = s.MedianSeconds
		case "[3/4] COPY src /src":
			copied = s.MedianSeconds
		}
	}
	if run < 1 || copied <= 0 || c.SecondsSaved != copied || c.SecondsSavedAtMost != run+copied {
		t.Errorf("%+v, want from %v to %v+%v seconds saved", *c, copied, run, copied)
	}
}
