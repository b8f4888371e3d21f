package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/ledger"
)

// twins is a build of two stages that each begin with the same RUN upon another
// file, made at about the same time, and what the builder lists of them.
func twins(apart time.Duration) (ledger.Build, []buildkit.Held) {
	b := ledger.Build{
		Graph: cache.Graph{Nodes: []cache.Node{
			{Digests: []string{"sha256:base"}},
			{Digests: []string{"sha256:one"}},
			{Digests: []string{"sha256:run"}, Inputs: []cache.Input{{Node: 0}}, Steps: []int{0}},
			{Digests: []string{"sha256:run"}, Inputs: []cache.Input{{Node: 1}}, Steps: []int{1}},
		}, Targets: []int{2, 3}},
		Fates:   []cache.Fate{cache.Untouched, cache.Untouched, cache.Made, cache.Made},
		Runs:    make([]buildkit.Run, 4),
		Records: []string{"", "", "the run", "the run"},
	}
	held := make([]buildkit.Held, 2)
	for i := range held {
		at := noon.Add(time.Duration(i) * apart)
		b.Runs[2+i] = buildkit.Run{Started: at, Completed: at.Add(time.Second)}
		held[i] = buildkit.Held{Record: "the run", Created: at.Add(time.Second / 2), Used: at.Add(time.Second)}
	}
	return b, held
}

// TestListedAlike: of results that are listed alike one may be gone, and what they
// are listed as does not say which.
func TestListedAlike(t *testing.T) {
	both := []cache.Forecast{cache.WillHit, cache.WillHit}
	neither := []cache.Forecast{cache.WillMiss, cache.WillMiss}
	either := []cache.Forecast{cache.Unknown, cache.Unknown}
	for _, tt := range []struct {
		name  string
		apart time.Duration
		held  func([]buildkit.Held) []buildkit.Held
		want  []cache.Forecast
	}{
		{"both are held", time.Second / 10, slices.Clone[[]buildkit.Held], both},
		{"none is", time.Second / 10, func([]buildkit.Held) []buildkit.Held { return nil }, neither},
		{"one is", time.Second / 10, func(h []buildkit.Held) []buildkit.Held { return h[:1] }, either},
		{"the other is", time.Second / 10, func(h []buildkit.Held) []buildkit.Held { return h[1:] }, either},
		{"one is, told by its time", time.Minute, func(h []buildkit.Held) []buildkit.Held { return h[:1] }, []cache.Forecast{cache.WillHit, cache.WillMiss}},
		{"the other is, told by its time", time.Minute, func(h []buildkit.Held) []buildkit.Held { return h[1:] }, []cache.Forecast{cache.WillMiss, cache.WillHit}},
		{"one is gone and somebody else's came", time.Minute, func(h []buildkit.Held) []buildkit.Held {
			return []buildkit.Held{h[0], {Record: "the run", Created: noon.Add(time.Hour)}}
		}, []cache.Forecast{cache.WillHit, cache.Unknown}},
		{"somebody else's came at the same time", time.Minute, func(h []buildkit.Held) []buildkit.Held {
			return []buildkit.Held{h[0], {Record: "the run", Created: h[0].Created.Add(time.Second / 10)}}
		}, []cache.Forecast{cache.WillHit, cache.Unknown}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := ledger.New(seal)
			b, held := twins(tt.apart)
			l.Learn(b)
			l.List(tt.held(held))
			var got []cache.Forecast
			for _, p := range l.Predict(b.Graph, b.Records)[2:] {
				got = append(got, p.Forecast)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("predicted %v, want %v", got, tt.want)
			}
		})
	}
}
