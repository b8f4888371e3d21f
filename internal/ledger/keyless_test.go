package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/ledger"
)

// fetching is a COPY of files upon a base image, an ADD of a download, and a RUN upon that.
func fetching(files, run string) (cache.Graph, []string) {
	return cache.Graph{
		Nodes: []cache.Node{
			{Digests: []string{"sha256:base"}},
			{},
			{Unknown: cache.NotResolved},
			{Digests: []string{"sha256:copy"}, Inputs: []cache.Input{{Node: 0}, {Node: 1, ByContent: true, Content: "sha256:" + files}}},
			{Digests: []string{"sha256:add"}, Inputs: []cache.Input{{Node: 3}, {Node: 2, ByContent: true}}},
			{Digests: []string{"sha256:" + run}, Inputs: []cache.Input{{Node: 4}}},
		},
		Targets: []int{5},
	}, []string{"", "", "", "the copy", "the add", "the " + run}
}

// fetched is a build of fetching in a minute, with what the builder lists of it. fates are
// those of the COPY, the ADD and the RUN.
func fetched(minute int, files, run string, fates ...cache.Fate) (ledger.Build, []buildkit.Held) {
	g, records := fetching(files, run)
	b := ledger.Build{Graph: g, Records: records, Fates: append(make([]cache.Fate, 3), fates...), Runs: make([]buildkit.Run, 6)}
	var held []buildkit.Held
	for i, fate := range b.Fates {
		if fate != cache.Made {
			continue
		}
		at := noon.Add(time.Duration(minute)*time.Minute + time.Duration(i)*time.Second)
		b.Runs[i] = buildkit.Run{Started: at, Completed: at.Add(time.Second)}
		held = append(held, buildkit.Held{Record: records[i], Created: at.Add(time.Second / 2), Used: at.Add(time.Second)})
	}
	return b, held
}

const made, loaded, untouched = cache.Made, cache.Loaded, cache.Untouched

// expectSteps checks what is predicted of the COPY, the ADD and the RUN of g.
func expectSteps(t *testing.T, what string, l *ledger.Ledger, g cache.Graph, records []string, want ...cache.Forecast) {
	t.Helper()
	var got []cache.Forecast
	for _, p := range l.Predict(g, records)[3:] {
		got = append(got, p.Forecast)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: predicted %v, want %v", what, got, want)
	}
}

// TestAboveADownload: only what was made of a download has a key that nobody knows. A RUN
// that changes upon it leaves the COPY below as well known as it was.
func TestAboveADownload(t *testing.T) {
	const hit, miss, unknown = cache.WillHit, cache.WillMiss, cache.Unknown
	l, on := ledger.New(seal), ledger.Disk{}
	first, held := fetched(0, "a", "run", made, made, made)
	second, more := fetched(1, "a", "run 2", untouched, loaded, made)
	for _, b := range []ledger.Build{first, second} {
		l.Learn(b)
	}
	held = append(held, more...)
	l.List(held)
	if err := l.Save(on.Put); err != nil {
		t.Fatal(err)
	}
	again := reload(t, on)
	again.List(held)
	for name, l := range map[string]*ledger.Ledger{"": l, ", after a restart": again} {
		for _, run := range []string{"run", "run 2", "run 3"} {
			g, records := fetching("a", run)
			wantRun := unknown
			if run == "run 3" {
				wantRun = miss // it is of no result
			}
			expectSteps(t, run+name, l, g, records, hit, unknown, wantRun)
			g, records = fetching("b", run)
			expectSteps(t, run+" on other files"+name, l, g, records, miss, miss, miss)
		}
	}
}

// TestDownloadByAnotherName: what is made of a download is found by the operation, even
// where the builder lists its result by another name, as that of an ADD with a checksum, and
// where that result is gone and only what was made upon it is left.
func TestDownloadByAnotherName(t *testing.T) {
	b, held := fetched(0, "a", "run", made, made, made)
	l := ledger.New(seal)
	l.Learn(b)
	for _, left := range [][]buildkit.Held{held, held[2:]} {
		l.List(left)
		g, records := fetching("a", "run")
		g.Nodes[2] = cache.Node{Digests: []string{"sha256:download"}}
		records[4] = "the add with a checksum"
		for i, p := range l.Predict(g, records)[4:] {
			if p.Forecast != cache.Unknown {
				t.Errorf("with %d results, step %d is predicted %s, want unknown", len(left), i, p.Forecast)
			}
		}
	}
}

// TestDownloadBesideAnothers: of two results of an ADD that were made at about the same
// time, one is somebody else's. The one that is left may be that, and was then made upon
// files that nobody knows.
func TestDownloadBesideAnothers(t *testing.T) {
	b, held := fetched(0, "a", "run", made, made, made)
	for name, known := range map[string]bool{"": false, ", and one of a known key": true} {
		l := ledger.New(seal)
		l.Learn(b)
		list := append(slices.Clone(held), buildkit.Held{Record: "the add", Created: held[1].Created.Add(time.Second / 10)})
		if known {
			upon := ledger.Build{Graph: cache.Graph{Nodes: []cache.Node{{Digests: []string{"sha256:base"}}, {Digests: []string{"sha256:add"}, Inputs: []cache.Input{{Node: 0}}}}, Targets: []int{1}}}
			upon.Records, upon.Fates, upon.Runs = []string{"", "the add"}, []cache.Fate{untouched, made}, []buildkit.Run{{}, {Started: b.Runs[4].Started, Completed: held[1].Created}}
			l.Learn(upon)
			list = append(list, buildkit.Held{Record: "the add", Created: held[1].Created.Add(time.Second / 5)})
		}
		l.List(list)
		for n := range 2 {
			l.List([]buildkit.Held{list[3]})
			g, records := fetching("b", "run")
			expectSteps(t, fmt.Sprint("list ", n, name), l, g, records, cache.Unknown, cache.Unknown, cache.WillMiss)
		}
	}
}

// TestListedBesideDownloads: two keyless executions ran one after the other, the first at the
// end of one of a known key. Two results are left of three.
func TestListedBesideDownloads(t *testing.T) {
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	for _, turned := range []bool{false, true} {
		b := ledger.Build{
			Graph: cache.Graph{Nodes: []cache.Node{
				{Digests: []string{"sha256:base"}}, {Unknown: cache.NotResolved}, {Unknown: cache.NotResolved},
				{Digests: []string{"sha256:run"}, Inputs: []cache.Input{{Node: 0}}},
				{Digests: []string{"sha256:run"}, Inputs: []cache.Input{{Node: 1}}},
				{Digests: []string{"sha256:run"}, Inputs: []cache.Input{{Node: 2}}},
			}, Targets: []int{3, 4, 5}},
			Fates:   []cache.Fate{0, 0, 0, made, made, made},
			Records: []string{"", "", "", "the run", "the run", "the run"},
			Runs:    []buildkit.Run{{}, {}, {}, {Started: at(0), Completed: at(1000)}, {Started: at(900), Completed: at(3000)}, {Started: at(2900), Completed: at(5000)}},
		}
		if turned {
			b.Runs[4], b.Runs[5] = b.Runs[5], b.Runs[4]
		}
		l := ledger.New(seal)
		l.Learn(b)
		l.List([]buildkit.Held{{Record: "the run", Created: at(950)}, {Record: "the run", Created: at(2950)}})
		if got := l.Predict(b.Graph, b.Records)[3].Forecast; got != cache.Unknown {
			t.Errorf("turned %t: predicted %s", turned, got)
		}
	}
}

// TestDownloadFoundSince: a stage of a download is edited while nobody looks, and gives the
// same files, so that what takes these is found by the key of the edited stage from then on.
// The stage need not run again then, although its result is gone.
func TestDownloadFoundSince(t *testing.T) {
	build := func(stage string, fates ...cache.Fate) ledger.Build {
		at := buildkit.Run{Started: noon, Completed: noon.Add(time.Second)}
		return ledger.Build{
			Graph: cache.Graph{Nodes: []cache.Node{
				{Digests: []string{"sha256:base"}},
				{Unknown: cache.NotResolved},
				{Digests: []string{"sha256:add"}, Inputs: []cache.Input{{Node: 0}, {Node: 1, ByContent: true}}},
				{Digests: []string{"sha256:" + stage}, Inputs: []cache.Input{{Node: 2}}},
				{Digests: []string{"sha256:take"}, Inputs: []cache.Input{{Node: 0}, {Node: 3, ByContent: true}}},
			}, Targets: []int{4}},
			Records: []string{"", "", "the add", "the " + stage, "the take"},
			Fates:   append([]cache.Fate{untouched, untouched}, fates...),
			Runs:    []buildkit.Run{{}, {}, at, at, at},
		}
	}
	l := ledger.New(seal)
	first, edited := build("stage", made, made, made), build("edited", untouched, untouched, loaded)
	held := []buildkit.Held{{Record: "the add", Created: noon}, {Record: "the take", Created: noon}}
	l.Learn(first)
	l.List(held)
	l.Learn(edited)
	l.List(held)
	for i, p := range l.Predict(edited.Graph, edited.Records)[2:] {
		if p.Forecast != cache.Unknown {
			t.Errorf("step %d is predicted %s, want unknown", i, p.Forecast)
		}
	}
}
