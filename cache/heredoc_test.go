package cache_test

import (
	"testing"

	"github.com/stokerd/stoker/cache"
)

// What a heredoc gives is known before it is built: a COPY of a new text runs, and
// that of one that was built is reused.
func TestPredictHeredoc(t *testing.T) {
	graph := func(text, content string) cache.Graph {
		return cache.Graph{Targets: []int{2}, Nodes: []cache.Node{
			{Digests: []string{"base"}},
			{Digests: []string{text}},
			{Digests: []string{"copy"}, Inputs: []cache.Input{{Node: 0}, {Node: 1, Selector: "path", ByContent: true, Content: content, Late: true}}},
		}}
	}
	var m *cache.Mirror
	m, _, _ = m.Learn(graph("make one", "one"), []cache.Fate{cache.Loaded, cache.Made, cache.Made}, false)
	for _, tt := range []struct {
		text, content string
		want          cache.Forecast
	}{
		{"make one", "one", cache.WillHit},
		{"make two", "two", cache.WillMiss},
		{"make one otherwise", "one", cache.Unknown}, // it would be made, and found equal
	} {
		p := m.Predict(graph(tt.text, tt.content))[2]
		if p.Forecast != tt.want {
			t.Errorf("COPY of %q, which gives %q, is predicted %+v", tt.text, tt.content, p)
		}
		if p.Forecast == cache.WillMiss && p.Cause != cache.NeverRun {
			t.Errorf("COPY of %q would run because of %q", tt.text, p.Cause)
		}
	}
}

// A build that nobody saw made the COPY, and looked at what the heredoc gives for that. One
// that reuses the COPY does not look, and does not show that nobody has.
func TestPredictHeredocOfTheUnseen(t *testing.T) {
	graph := func(text string) cache.Graph {
		return cache.Graph{Targets: []int{3}, Nodes: []cache.Node{
			{Digests: []string{"base"}},
			{Digests: []string{text}},
			{Digests: []string{"copy"}, Inputs: []cache.Input{{Node: 0}, {Node: 1, Selector: "path", ByContent: true, Content: "one", Late: true}}},
			{Digests: []string{"run"}, Inputs: []cache.Input{{Node: 2}}},
		}}
	}
	var m *cache.Mirror
	m, _, _ = m.Learn(graph("make one"), []cache.Fate{cache.Untouched, cache.Untouched, cache.Untouched, cache.Loaded}, false)
	for node, p := range m.Predict(graph("make one otherwise"))[2:] {
		if p.Forecast != cache.Unknown {
			t.Errorf("of another text that gives the same, node %d is predicted %+v", node+2, p)
		}
	}
}
