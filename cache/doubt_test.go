package cache_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stokerd/stoker/cache"
)

// What is made of new files runs, and so does what follows, also where it is not known
// whether what lies below is there still.
func TestPredictAboveDoubt(t *testing.T) {
	graph := func(files string) cache.Graph {
		return cache.Graph{Targets: []int{4}, Nodes: []cache.Node{
			{Digests: []string{"base"}},
			{},
			{Digests: []string{"install"}, Inputs: []cache.Input{{Node: 0}}},
			{Digests: []string{"copy"}, Inputs: []cache.Input{{Node: 2}, {Node: 1, ByContent: true, Content: files}}},
			{Digests: []string{"compile"}, Inputs: []cache.Input{{Node: 3}}},
		}}
	}
	var m *cache.Mirror
	m, stored, _ := m.Learn(graph("one"), []cache.Fate{cache.Loaded, cache.Loaded, cache.Made, cache.Made, cache.Made}, false)
	for _, tt := range []struct {
		install cache.Life
		files   string
		want    string
	}{
		{cache.Live, "one", "hit hit hit"},
		{cache.Perhaps, "one", "hit hit hit"}, // what lies on it is there, and is all that is asked for
		{cache.Live, "two", "hit miss:files miss:input"},
		{cache.Perhaps, "two", "unknown miss:files miss:input"},
		{cache.Gone, "two", "miss:gone miss:input miss:input"},
	} {
		p := m.Mark(map[cache.KeyID]cache.Life{stored[2][0]: tt.install}).Predict(graph(tt.files))
		var told []string
		for _, p := range p[2:] {
			told = append(told, strings.TrimSuffix(fmt.Sprint(p.Forecast, ":", p.Cause), ":"))
		}
		if got := strings.Join(told, " "); got != tt.want {
			t.Errorf("after %v of the install, with files %s: %s, want %s", tt.install, tt.files, got, tt.want)
		}
	}
}

// A result that nobody observed is in doubt only where the solver may find it: not where
// it is told not to look, nor on the files of a named context that a stage starts from,
// whose key is another one in each build.
func TestPredictBesideForeign(t *testing.T) {
	graph := func(noCache bool, base ...string) cache.Graph {
		return cache.Graph{Targets: []int{2}, Nodes: []cache.Node{
			{Digests: base, Doubted: true},
			{Digests: []string{"install"}, Inputs: []cache.Input{{Node: 0}}, Doubted: true, NoCache: noCache},
			{Digests: []string{"compile"}, Inputs: []cache.Input{{Node: 1}}, Doubted: true, NoCache: noCache},
		}}
	}
	for name, tt := range map[string]struct {
		graph cache.Graph
		want  cache.Prediction
	}{
		"an image":          {graph(false, "image"), cache.Prediction{Forecast: cache.Unknown, Reason: cache.NotObserved}},
		"no cache":          {graph(true, "image"), cache.Prediction{Forecast: cache.WillMiss, Cause: cache.ToldTo}},
		"files of a folder": {graph(false), cache.Prediction{Forecast: cache.WillMiss, Cause: cache.TakesInput}},
	} {
		var m *cache.Mirror
		if got := m.Predict(tt.graph)[2]; got != tt.want {
			t.Errorf("on %s, what is listed alike is predicted %+v, want %+v", name, got, tt.want)
		}
	}
}

// The content of a stage is a reason only where one is taken that may not be reused as it was:
// else what is in doubt is a result.
func TestPredictReasons(t *testing.T) {
	made := []cache.Fate{cache.Loaded, cache.Made, cache.Made, cache.Made, cache.Made}
	// On either base, something is installed and compiled. What follows takes files of that if
	// stage is true, else it is all one stage.
	graph := func(base string, stage bool) cache.Graph {
		last := cache.Input{Node: 2}
		if stage {
			last = cache.Input{Node: 2, ByContent: true}
		}
		return cache.Graph{Targets: []int{4}, Nodes: []cache.Node{
			{Digests: []string{base}},
			{Digests: []string{"install"}, Inputs: []cache.Input{{Node: 0}}},
			{Digests: []string{"compile"}, Inputs: []cache.Input{{Node: 1}}},
			{Digests: []string{"copy"}, Inputs: []cache.Input{last}},
			{Digests: []string{"test"}, Inputs: []cache.Input{{Node: 3}}},
		}}
	}
	for _, tt := range []struct {
		name    string
		stage   bool
		install cache.Life
		compile cache.Life
		want    string // of install, compile, copy and test
	}{
		{"one stage, which may be gone", false, cache.Perhaps, cache.Gone, "unknown:liveness unknown:liveness unknown:liveness unknown:liveness"},
		{"one stage, of which a part may be gone", false, cache.Live, cache.Perhaps, "hit unknown:liveness unknown:liveness unknown:liveness"},
		{"a stage that is there", true, cache.Live, cache.Live, "hit hit unknown:liveness unknown:liveness"},
		{"a stage that may be gone", true, cache.Live, cache.Perhaps, "hit unknown:liveness unknown:stage-content unknown:stage-content"},
		{"a stage that is gone", true, cache.Live, cache.Gone, "hit unknown:stage-content unknown:stage-content unknown:stage-content"},
	} {
		var m *cache.Mirror
		m, _, _ = m.Learn(graph("one", tt.stage), made, false)
		m, stored, _ := m.Learn(graph("two", tt.stage), made, false)
		life := map[cache.KeyID]cache.Life{}
		for i, l := range []cache.Life{tt.install, tt.compile, cache.Gone, cache.Gone} {
			for _, k := range stored[i+1] {
				life[k] = l
			}
		}
		var told []string
		for _, p := range m.Mark(life).Predict(graph("two", tt.stage))[1:] {
			told = append(told, strings.TrimSuffix(fmt.Sprint(p.Forecast, ":", p.Reason), ":"))
		}
		if got := strings.Join(told, " "); got != tt.want {
			t.Errorf("%s: predicted %s, want %s", tt.name, got, tt.want)
		}
	}
}
