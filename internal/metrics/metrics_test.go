package metrics_test

import (
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/internal/metrics"
)

func TestCounts(t *testing.T) {
	of := metrics.Definition{Repository: "/home/me/shop", Name: "api"}
	s := metrics.New("v1", func() []metrics.Held {
		return []metrics.Held{{Definition: of, ContextBytes: 48, SentBytes: 2, Warmth: "ready"}}
	})
	noon := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	build := func(status cache.Status, outcome cache.Outcome, seconds float64) cache.Record {
		return cache.Record{
			Repository: of.Repository, Definition: of.Name, Status: status, Created: noon, Completed: noon.Add(7 * time.Second),
			Steps: []cache.Step{{Name: "[2/2] RUN npm ci", Outcome: outcome, Seconds: seconds}},
		}
	}
	medians := map[string]cache.Spread{"RUN npm ci": {Low: 4, Median: 5, High: 6}}
	s.Built(build(cache.Completed, cache.Executed, 3), 100, nil) // the first time: nothing is lost
	s.Built(build(cache.Completed, cache.Hit, 0), 10, medians)
	s.Built(build(cache.Broken, cache.Executed, 4), 0, medians)
	importing := build(cache.Completed, cache.Imported, 0)
	importing.Remote = cache.RemoteUse{Import: 0.5, Fetch: 2, Read: true}
	importing.Steps = append(importing.Steps, cache.Step{Name: "[3/3] RUN npm test", Outcome: cache.Hit})
	s.Built(importing, 0, map[string]cache.Spread{"RUN npm ci": {Median: 5}, "RUN npm test": {Median: 3}})
	exporting := build(cache.Completed, cache.Hit, 0)
	exporting.Remote = cache.RemoteUse{Export: 4, Import: 0.25} // there was nothing to import
	s.Built(exporting, 0, medians)
	for _, r := range []metrics.Result{metrics.Right, metrics.Right, metrics.Unknown} {
		s.Predicted(of, r)
	}
	s.Digested(of.Repository, 7)
	s.Unstored(2)
	var got []string
	for line := range strings.Lines(read(s)) {
		if strings.HasPrefix(line, "stoker_") && !strings.Contains(line, "_bucket") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	const l = `{definition="api",repository="/home/me/shop"`
	want := []string{
		`stoker_build_duration_seconds_sum` + l + `} 28`, `stoker_build_duration_seconds_count` + l + `} 4`,
		`stoker_build_info{version="v1"} 1`,
		`stoker_builds_total` + l + `,status="completed"} 4`, `stoker_builds_total` + l + `,status="failed"} 1`,
		`stoker_context_bytes` + l + `} 48`, `stoker_digested_bytes_total{repository="/home/me/shop"} 7`, `stoker_lost_seconds_total` + l + `} 4`,
		`stoker_predictions_total` + l + `,result="right"} 2`, `stoker_predictions_total` + l + `,result="unknown"} 1`,
		`stoker_remote_cache_saved_seconds_total{definition="api",outcome="hit",repository="/home/me/shop"} 3`,
		`stoker_remote_cache_saved_seconds_total{definition="api",outcome="imported",repository="/home/me/shop"} 5`,
		`stoker_remote_cache_seconds_total` + l + `,work="export"} 4`,
		`stoker_remote_cache_seconds_total` + l + `,work="fetch"} 2`,
		`stoker_remote_cache_seconds_total` + l + `,work="import"} 0.75`,
		`stoker_saved_seconds_total` + l + `} 18`, `stoker_sent_bytes` + l + `} 2`,
		`stoker_steps_total{definition="api",outcome="executed",repository="/home/me/shop"} 2`,
		`stoker_steps_total{definition="api",outcome="hit",repository="/home/me/shop"} 3`,
		`stoker_steps_total{definition="api",outcome="imported",repository="/home/me/shop"} 1`,
		`stoker_transferred_bytes_total` + l + `} 110`, `stoker_unstored_builds 2`, `stoker_warm` + l + `,state="ready"} 1`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

func read(s *metrics.Set) string {
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// docs/metrics.md has a line for each metric, and for no other.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	s := metrics.New("v1", func() []metrics.Held { return []metrics.Held{{}} })
	s.Built(cache.Record{Status: cache.Completed, Remote: cache.RemoteUse{Export: 1, Read: true}, Steps: []cache.Step{{Outcome: cache.Hit}, {Outcome: cache.Executed}}}, 0, map[string]cache.Spread{"": {}})
	s.Predicted(metrics.Definition{}, metrics.Right)
	s.Digested("", 0)
	served, documented := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (stoker_\S+)`).FindAllStringSubmatch(read(s), -1) {
		served[m[1]] = true
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(stoker_[a-z_]+)`").FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = true
	}
	if diff := cmp.Diff(served, documented); diff != "" {
		t.Errorf("served, and documented (-served +documented):\n%s", diff)
	}
}
