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

// TestListedBesideADownload: of two results that are listed alike, one is of a download, whose
// key is not known. What is left when one is gone may be that.
func TestListedBesideADownload(t *testing.T) {
	b, held := twins(time.Second / 10)
	b.Graph.Nodes[1] = cache.Node{Unknown: cache.NotResolved}
	for _, tt := range []struct {
		name string
		held []buildkit.Held
		want []cache.Forecast
	}{
		{"both are held", held, []cache.Forecast{cache.WillHit, cache.Unknown}},
		{"one is", held[:1], []cache.Forecast{cache.Unknown, cache.Unknown}},
		{"the other is", held[1:], []cache.Forecast{cache.Unknown, cache.Unknown}},
		{"none is", nil, []cache.Forecast{cache.WillMiss, cache.WillMiss}},
	} {
		l := ledger.New(seal)
		l.Learn(b)
		l.List(tt.held)
		var got []cache.Forecast
		for _, p := range l.Predict(b.Graph, b.Records)[2:] {
			got = append(got, p.Forecast)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: predicted %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestListedBesideAnothers: what is left when a result is gone may be what a build
// made that failed, of which the builder keeps no steps.
func TestListedBesideAnothers(t *testing.T) {
	b, held := twins(time.Minute)
	own, other := held[0], buildkit.Held{Record: "the run", Created: held[0].Created.Add(time.Second / 10)}
	l := ledger.New(seal)
	l.Learn(b)
	l.List([]buildkit.Held{own, other})
	forecast := func() cache.Forecast { return l.Predict(b.Graph, b.Records)[2].Forecast }
	if got := forecast(); got != cache.WillHit {
		t.Errorf("while both are held, predicted %v", got)
	}
	for range 2 {
		l.List([]buildkit.Held{other})
		if got := forecast(); got != cache.Unknown {
			t.Errorf("while one of them is, predicted %v", got)
		}
	}
	l.List(nil)
	if got := forecast(); got != cache.WillMiss {
		t.Errorf("while none is, predicted %v", got)
	}
}

// TestListedBesideALongOne: a long run may have made any of three results, two short
// ones at the beginning of it only the first, and so one of these is gone.
func TestListedBesideALongOne(t *testing.T) {
	b, held := twins(time.Second / 10)
	b.Graph.Nodes = append(b.Graph.Nodes, cache.Node{Digests: []string{"sha256:two"}},
		cache.Node{Digests: []string{"sha256:run"}, Inputs: []cache.Input{{Node: 4}}, Steps: []int{2}})
	b.Graph.Targets = append(b.Graph.Targets, 5)
	b.Fates = append(b.Fates, cache.Untouched, cache.Made)
	b.Records = append(b.Records, "", "the run")
	b.Runs = append(b.Runs, buildkit.Run{}, buildkit.Run{Started: noon, Completed: noon.Add(time.Minute)})
	long := noon.Add(time.Minute / 2)
	l := ledger.New(seal)
	l.Learn(b)
	l.List([]buildkit.Held{held[0], {Record: "the run", Created: long}, {Record: "the run", Created: long.Add(time.Second)}})
	for i, p := range l.Predict(b.Graph, b.Records) {
		if i != 2 && i != 3 {
			continue
		}
		if p.Forecast != cache.Unknown {
			t.Errorf("of node %d predicted %v", i, p.Forecast)
		}
	}
}

// TestListedBesideAnothersAndOneMore: the result of a known execution goes, and another
// known one makes one at once that is listed alike. As many are listed as before, beside
// that which a build made that failed.
func TestListedBesideAnothersAndOneMore(t *testing.T) {
	b, held := twins(time.Minute)
	own, other := held[0], buildkit.Held{Record: "the run", Created: held[0].Created.Add(time.Second / 10)}
	l := ledger.New(seal)
	l.Learn(b)
	l.List([]buildkit.Held{own, other})

	more, made := twins(time.Minute)
	more.Graph.Nodes[0].Digests = []string{"sha256:another base"}
	for i := 2; i < 4; i++ {
		more.Runs[i] = buildkit.Run{Started: more.Runs[i].Started.Add(300 * time.Millisecond), Completed: more.Runs[i].Completed.Add(300 * time.Millisecond)}
	}
	more.Fates[3] = cache.Untouched
	l.Learn(more)
	l.List([]buildkit.Held{other, {Record: "the run", Created: made[0].Created.Add(300 * time.Millisecond)}})
	if got := l.Predict(b.Graph, b.Records)[2].Forecast; got != cache.Unknown {
		t.Errorf("one of three results is gone, and predicted is %v", got)
	}
}
