package cache_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache"
)

// record makes a build of shop/api that ended at minute n after wall seconds.
func record(n int, wall float64, steps ...cache.Step) cache.Record {
	end := time.Date(2026, 5, 1, 12, n, 0, 0, time.UTC)
	return cache.Record{
		Ref: fmt.Sprint("ref", n), Repository: "/shop", Definition: "api", Status: cache.Completed,
		Created: end.Add(-time.Duration(wall * float64(time.Second))), Completed: end, Steps: steps,
	}
}

func step(name string, o cache.Outcome, seconds float64) cache.Step {
	return cache.Step{Name: name, Stage: "build", Outcome: o, Seconds: seconds}
}

func TestStats(t *testing.T) {
	failed := record(4, 6, step("[build 2/4] RUN apt", cache.Hit, 0), step("[build 3/4] COPY . .", cache.Executed, 1), step("[build 4/4] RUN make", cache.Failed, 5))
	failed.Status = cache.Broken
	stray := record(5, 100, step("[1/1] RUN x", cache.Executed, 100))
	stray.Definition = ""
	records := []cache.Record{
		record(1, 20, step("[build 2/3] COPY . .", cache.Executed, 2), step("[build 3/3] RUN make", cache.Cascaded, 10)),
		record(2, 2, step("[build 2/3] COPY . .", cache.Hit, 0), step("[build 3/3] RUN make", cache.Hit, 0)),
		// A line was inserted: numbers change, identities do not.
		record(3, 32, step("[build 2/4] RUN apt", cache.Executed, 8), step("[build 3/4] COPY . .", cache.Cascaded, 4), step("[build 4/4] RUN make", cache.Cascaded, 20)),
		failed,
		stray,
		record(6, 0, step("[build 2/4] RUN apt", cache.Joined, 0), step("[build 3/4] COPY . .", cache.Imported, 0), step("[build 4/4] RUN make", cache.Skipped, 0)),
	}
	id := func(text string) cache.StepID { return cache.StepID{Stage: "build", Text: text} }
	want := []cache.DefinitionStats{{
		Repository: "/shop", Name: "api", Builds: 5, Failed: 1, Hits: 5, Needed: 12,
		SecondsSaved: 8*2 + 2*2 + 15*1, SecondsLost: 8 + 7 + 35, MeanSeconds: 12,
		Steps: []cache.StepStats{
			{ID: id("RUN apt"), Name: "[build 2/4] RUN apt", Hits: 2, Misses: 1, MedianSeconds: 8, SecondsSaved: 16, SecondsLost: 8},
			{ID: id("COPY . ."), Name: "[build 3/4] COPY . .", Hits: 2, Misses: 3, MedianSeconds: 2, SecondsSaved: 4, SecondsLost: 7},
			{ID: id("RUN make"), Name: "[build 4/4] RUN make", Hits: 1, Misses: 3, MedianSeconds: 15, SecondsSaved: 15, SecondsLost: 35},
		},
		Breakers: []cache.Breaker{
			{ID: id("RUN apt"), Name: "[build 2/4] RUN apt", Times: 1, SecondsLost: 32, Costliest: "[build 4/4] RUN make"},
			{ID: id("COPY . ."), Name: "[build 3/4] COPY . .", Times: 2, SecondsLost: 18, Costliest: "[build 4/4] RUN make"},
		},
	}}
	if diff := cmp.Diff(want, cache.Stats(slices.Values(records), nil)); diff != "" {
		t.Errorf("statistics (-want +got):\n%s", diff)
	}
	slices.Reverse(records)
	if diff := cmp.Diff(want, cache.Stats(slices.Values(records), nil)); diff != "" {
		t.Errorf("statistics of records in another order (-want +got):\n%s", diff)
	}
	rate, ok := want[0].HitRate()
	if !ok || rate != 5.0/12 {
		t.Errorf("HitRate() = %v, %v, want %v, true", rate, ok, 5.0/12)
	}
	if _, ok := (cache.DefinitionStats{}).HitRate(); ok {
		t.Error("HitRate() is known of a definition of which no step was needed")
	}
}

// What caches elsewhere cost is compared with what they saved at least and at most. Builds of
// which the cost is not known count in neither.
func TestStatsOfRemoteCaches(t *testing.T) {
	apt, copies, run := "[build 2/4] RUN apt", "[build 3/4] COPY . .", "[build 4/4] RUN make"
	using := func(r cache.Record, use cache.RemoteUse) cache.Record {
		r.Remote = use
		return r
	}
	records := []cache.Record{
		using(record(1, 60, step(apt, cache.Hit, 0), step(copies, cache.Executed, 2), step(run, cache.Cascaded, 30)), cache.RemoteUse{Export: 20}),
		using(record(2, 9, step(apt, cache.Hit, 0), step(copies, cache.Hit, 0), step(run, cache.Imported, 0)), cache.RemoteUse{Import: 1, Fetch: 4, Read: true}),
		using(record(3, 9, step(apt, cache.Imported, 0), step(copies, cache.Executed, 4), step(run, cache.Cascaded, 40)), cache.RemoteUse{Export: 10, Import: 2, Fetch: 3, Read: true}),
		// Nothing could be read, so nothing was saved by it.
		using(record(4, 9, step(apt, cache.Hit, 0), step(copies, cache.Hit, 0), step(run, cache.Hit, 0)), cache.RemoteUse{Import: 5}),
		record(5, 9, step(apt, cache.Hit, 0), step(copies, cache.Hit, 0), step(run, cache.Imported, 0)),
		record(6, 9, step(apt, cache.Hit, 0), step(copies, cache.Hit, 0), step(run, cache.Hit, 0)),
	}
	want := cache.RemoteStats{
		Builds: 4, Export: 30, Import: 8, Fetch: 7, Imported: 2, Hits: 2,
		SecondsSaved: 35, SecondsSavedAtMost: 35 + 3, Unknown: 2, // apt was never seen to run
	}
	if diff := cmp.Diff(want, cache.Stats(slices.Values(records), nil)[0].Remote); diff != "" {
		t.Errorf("remote caches (-want +got):\n%s", diff)
	}
	if got := cache.Stats(slices.Values(records[4:]), nil)[0].Remote; got != (cache.RemoteStats{}) {
		t.Errorf("builds of which nothing is known have %+v", got)
	}
}

// What cascaded is charged to the breaker of its own stage where there is one.
func TestStatsBlame(t *testing.T) {
	r := record(1, 0,
		cache.Step{Name: "[a 2/3] COPY a .", Stage: "a", Outcome: cache.Executed, Seconds: 1},
		cache.Step{Name: "[a 3/3] RUN a", Stage: "a", Outcome: cache.Cascaded, Seconds: 10},
		cache.Step{Name: "[b 2/3] COPY b .", Stage: "b", Outcome: cache.Executed, Seconds: 2},
		cache.Step{Name: "[b 3/3] RUN b", Stage: "b", Outcome: cache.Cascaded, Seconds: 20},
		cache.Step{Name: "[c 2/2] COPY --from=b / /", Stage: "c", Outcome: cache.Cascaded, Seconds: 40},
	)
	got := map[string]float64{}
	for _, b := range cache.Stats(slices.Values([]cache.Record{r}), nil)[0].Breakers {
		got[b.ID.Text] = b.SecondsLost
	}
	if diff := cmp.Diff(map[string]float64{"COPY a .": 11, "COPY b .": 62}, got); diff != "" {
		t.Errorf("statistics (-want +got):\n%s", diff)
	}
}

func TestIdentify(t *testing.T) {
	ids := cache.Identify([]cache.Step{
		{Name: "[a 2/4] WORKDIR /x", Stage: "a"},
		{Name: "[a 3/4] RUN echo ] x", Stage: "a"},
		{Name: "[a 4/4] WORKDIR /x", Stage: "a"},
		{Name: "[linux/arm64 a 2/4] WORKDIR /x", Stage: "a", Platform: "linux/arm64"},
	})
	want := []cache.StepID{
		{Stage: "a", Text: "WORKDIR /x"},
		{Stage: "a", Text: "RUN echo ] x"},
		{Stage: "a", Text: "WORKDIR /x", Nth: 1},
		{Stage: "a", Text: "WORKDIR /x", Platform: "linux/arm64"},
	}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("statistics (-want +got):\n%s", diff)
	}
}

// What broke the cache is summed up by what it was, and charged what it cost.
func TestStatsSayWhatBroke(t *testing.T) {
	copies, install := "[build 2/3] COPY package.json .", "[build 3/3] RUN npm ci"
	var records []cache.Record
	for n := range 4 {
		records = append(records, record(n, 20, step(copies, cache.Executed, 1), step(install, cache.Cascaded, float64(10*n))))
	}
	records = append(records, record(5, 1, step(copies, cache.Hit, 0), step(install, cache.Hit, 0)))
	blames := func(r cache.Record) []cache.Blame {
		switch r.Ref {
		case "ref1", "ref2":
			return []cache.Blame{{Step: 0, Kind: cache.ByFiles, Name: "package.json"}}
		case "ref3":
			return []cache.Blame{{Step: 0, Kind: cache.ByFiles, Name: "package.json"}, {Step: 0, Kind: cache.ByBase}, {Step: 1, Kind: cache.ByArg, Name: "V"}}
		}
		return nil
	}
	want := []cache.Breaker{{
		ID: cache.StepID{Stage: "build", Text: "COPY package.json ."}, Name: copies, Times: 4, SecondsLost: 64, Costliest: install,
		Behind: []cache.Behind{{Kind: cache.ByFiles, Name: "package.json", Times: 3, SecondsLost: 63}, {Kind: cache.ByBase, Times: 1, SecondsLost: 31}},
	}}
	for range 2 {
		if diff := cmp.Diff(want, cache.Stats(slices.Values(records), blames)[0].Breakers); diff != "" {
			t.Errorf("statistics (-want +got):\n%s", diff)
		}
		slices.Reverse(records)
	}
}

func TestBlames(t *testing.T) {
	b := cache.Build{Record: record(1, 1, step("[1/4] COPY . .", cache.Executed, 1), step("[2/4] RUN x", cache.Cascaded, 1), step("[3/4] RUN y", cache.Executed, 1), step("[4/4] RUN z", cache.Executed, 1))}
	explained := []cache.Explanation{
		{Causes: []cache.Cause{{Kind: cache.ByFiles, TakenAfter: "t"}}},
		{Causes: []cache.Cause{{Kind: cache.ByInput}}},
		{Causes: []cache.Cause{{Kind: cache.ByArg, Name: "V", Before: "-", After: "+"}, {Kind: cache.ByDockerfile}, {Kind: cache.ByDockerfile, Before: "x"}}},
		{Causes: []cache.Cause{{Kind: cache.ByUnknown, Gap: cache.Moving}}},
	}
	got, err := cache.Blames(b, explained, func(c cache.Cause) ([]string, error) {
		return []string{"a", "b", "c", "d", "e", "f", "g"}, nil
	})
	want := []cache.Blame{
		{Kind: cache.ByFiles, Name: "a"}, {Kind: cache.ByFiles, Name: "b"}, {Kind: cache.ByFiles, Name: "c"}, {Kind: cache.ByFiles, Name: "d"}, {Kind: cache.ByFiles, Name: "e"},
		{Step: 2, Kind: cache.ByArg, Name: "V"}, {Step: 2, Kind: cache.ByDockerfile},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
