package cache_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache"
)

func TestExpect(t *testing.T) {
	noon := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	build := func(status cache.Status, wall float64, steps ...cache.Step) cache.Record {
		return cache.Record{
			Definition: "api", Status: status, Created: noon, Completed: noon.Add(time.Duration(wall * float64(time.Second))), Steps: steps,
		}
	}
	step := func(name string, outcome cache.Outcome, from, seconds float64) cache.Step {
		s := cache.Step{Name: "[1/2] " + name, Outcome: outcome, Seconds: seconds}
		if outcome.Ran() {
			s.Started = noon.Add(time.Duration(from * float64(time.Second)))
		}
		return s
	}
	got := cache.Expect(slices.Values([]cache.Record{
		// Side by side, and a second of transfer before and of export after them.
		build(cache.Completed, 6, step("RUN a", cache.Executed, 1, 4), step("RUN b", cache.Cascaded, 2, 2)),
		build(cache.Completed, 1, step("RUN a", cache.Hit, 0, 0), step("RUN b", cache.Hit, 0, 0)),
		build(cache.Completed, 9, step("RUN a", cache.Executed, 0, 6), step("RUN b", cache.Hit, 0, 0)),
		build(cache.Broken, 99, step("RUN a", cache.Failed, 0, 98)),
	}))
	want := map[string]cache.Expectation{"api": {
		Steps: map[string]cache.Spread{"RUN a": {Low: 4.5, Median: 5, High: 5.5}, "RUN b": {Low: 2, Median: 2, High: 2}},
		Fixed: &cache.Spread{Low: 1.5, Median: 2, High: 2.5},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("expected (-want +got):\n%s", diff)
	}
}
