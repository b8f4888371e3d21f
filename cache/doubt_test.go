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
