package buildkit

import (
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"

	"github.com/stokerd/stoker/cache"
)

// TestLost: what was made at about the time at which a build ended may be gone, unless
// something was made of it.
func TestLost(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	at := func(seconds float64) *time.Time {
		out := noon.Add(time.Duration(seconds * float64(time.Second)))
		return &out
	}
	vertex := func(name string, from, to float64, inputs ...digest.Digest) client.Vertex {
		return client.Vertex{Digest: digest.Digest(name), Started: at(from), Completed: at(to), Inputs: inputs}
	}
	early, given, late, after := vertex("early", 1, 5), vertex("given", 6, 9), vertex("late", 6, 9.9), vertex("after", 6, 10.5)
	failed, cached := vertex("failed", 9, 10, "given"), vertex("cached", 2, 2, "late")
	failed.Error, cached.Cached = "exit code: 1", true
	merged, canceled := vertex("merged", 9, 9.8), vertex("canceled", 9.9, 9.9, "merged")
	canceled.Error = "failed to apply diffs: context canceled: context canceled"
	for _, c := range []struct {
		name string
		seen []client.Vertex
		want map[string]bool
	}{
		{
			"failed", []client.Vertex{early, given, late, after, merged, failed, cached, canceled},
			map[string]bool{"early": false, "given": false, "late": true, "after": true, "merged": true},
		},
		{"nothing failed", []client.Vertex{early, given, late}, map[string]bool{"early": false, "given": true, "late": true}},
	} {
		r := newReplay()
		for i := range c.seen {
			r.add(&client.SolveStatus{Vertexes: []*client.Vertex{&c.seen[i]}})
		}
		lost := r.lost()
		for name, want := range c.want {
			if got := lost(r.vertices[name]); got != want {
				t.Errorf("%s: %s is perhaps lost: %v, want %v", c.name, name, got, want)
			}
		}
	}
}

// TestRunOfWhatIsReadAgain: the merge of a COPY --link is told of once more when its files are first
// looked at. It was made when it ran first.
func TestRunOfWhatIsReadAgain(t *testing.T) {
	at := func(ms int) *time.Time {
		t := time.Unix(1, 0).Add(time.Duration(ms) * time.Millisecond)
		return &t
	}
	r, d := newReplay(), digest.FromString("merge")
	for _, times := range [][2]*time.Time{{at(0), nil}, {at(0), at(4)}, {at(6), nil}, {at(6), at(9)}} {
		r.add(&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: d, Started: times[0], Completed: times[1]}}})
	}
	part := Part{Fates: make([]cache.Fate, 1), Runs: make([]Run, 1)}
	part.set(0, r.vertices[d.String()], false)
	if want := (Run{*at(0), *at(9)}); part.Fates[0] != cache.Made || part.Runs[0] != want {
		t.Errorf("fate %v, run %v, want %v", part.Fates[0], part.Runs[0], want)
	}
}
