package cache_test

import (
	"strings"
	"testing"

	"github.com/stokerd/stoker/cache"
)

// ran makes a vertex of step n that ran on its inputs.
func ran(n int, inputs ...int) cache.Vertex {
	return cache.Vertex{Step: n, Started: true, Completed: true, Inputs: inputs}
}

func cached(n int, inputs ...int) cache.Vertex {
	return cache.Vertex{Step: n, Started: true, Completed: true, Cached: true, Inputs: inputs}
}

func idle(n int, inputs ...int) cache.Vertex { return cache.Vertex{Step: n, Inputs: inputs} }

func source() cache.Vertex {
	return cache.Vertex{Step: -1, Source: true, Started: true, Completed: true}
}

func with(v cache.Vertex, change func(*cache.Vertex)) cache.Vertex {
	change(&v)
	return v
}

func TestClassify(t *testing.T) {
	failed := func(v *cache.Vertex) { v.Failed = true }
	keyless := func(v *cache.Vertex) { v.Keyless = true }
	canceled := func(v *cache.Vertex) { v.Canceled = true }
	inferred := func(v *cache.Vertex) { v.Inferred = true }
	joined := func(v *cache.Vertex) { v.Joined = true }
	fetched := func(v *cache.Vertex) { v.Fetched = true }
	for _, test := range []struct {
		name     string
		status   cache.Status
		vertices []cache.Vertex
		want     string
	}{
		{"a new base image does not make its first step cascade", cache.Completed,
			[]cache.Vertex{source(), ran(0, 0), ran(1, 1)}, "executed cascaded"},
		{"all hit", cache.Completed, []cache.Vertex{source(), cached(0, 0), cached(1, 1)}, "hit hit"},
		{"never started below a hit", cache.Completed, []cache.Vertex{source(), idle(0, 0), cached(1, 1)}, "hit hit"},
		{"never started and nothing seen of what needs it", cache.Completed, []cache.Vertex{idle(0), idle(1, 0)}, "hit hit"},
		{"a hit cuts the chain", cache.Completed,
			[]cache.Vertex{ran(0), cached(1, 0), ran(2, 1)}, "executed hit executed"},
		{"one fresh input of two", cache.Completed,
			[]cache.Vertex{cached(0), ran(1), ran(2, 0, 1)}, "hit executed cascaded"},
		{"two breakers in two stages", cache.Completed,
			[]cache.Vertex{ran(0), ran(1), ran(2, 0)}, "executed executed cascaded"},
		{"ran, and the next failed", cache.Broken, []cache.Vertex{with(cached(0), inferred), with(ran(1, 0), failed)}, "hit failed"},
		{"never came to, as the next has no key", cache.Broken, []cache.Vertex{with(cached(0), inferred), with(with(ran(1, 0), failed), keyless)}, "skipped failed"},
		{"copy and merge of one step: own copy is no cause", cache.Completed,
			[]cache.Vertex{cached(0), ran(1), ran(1, 0, 1)}, "hit executed"},
		{"copy hits, merge runs on what ran", cache.Completed,
			[]cache.Vertex{ran(0), cached(1), ran(1, 0, 1)}, "executed cascaded"},
		{"BuildKit's own vertex hands on what it takes in", cache.Completed,
			[]cache.Vertex{ran(0), {Step: -1, Started: true, Completed: true, Inputs: []int{0}}, ran(1, 1)}, "executed cascaded"},
		{"joined, and what follows", cache.Completed,
			[]cache.Vertex{with(idle(0), joined), ran(1, 0)}, "joined cascaded"},
		{"imported with its layers fetched, and what follows", cache.Completed,
			[]cache.Vertex{with(ran(0), fetched), ran(1, 0)}, "imported executed"},
		{"failed after one that ran", cache.Broken,
			[]cache.Vertex{ran(0), with(ran(1, 0), failed), idle(2, 1)}, "executed failed skipped"},
		{"failed after a hit that was only inferred", cache.Broken,
			[]cache.Vertex{with(cached(0), inferred), with(ran(1, 0), failed)}, "hit failed"},
		{"a hit in a build that failed elsewhere", cache.Broken,
			[]cache.Vertex{cached(0), with(ran(1), failed)}, "hit failed"},
		{"inferred below what was canceled", cache.Broken,
			[]cache.Vertex{with(cached(0), inferred), with(ran(1, 0), canceled), with(ran(2), failed)}, "skipped skipped failed"},
		{"never started below a hit, in a build that failed", cache.Broken,
			[]cache.Vertex{idle(0), cached(1, 0), with(ran(2, 1), failed)}, "hit hit failed"},
		{"canceled while it ran", cache.Canceled,
			[]cache.Vertex{cached(0), with(ran(1, 0), canceled), idle(2, 1)}, "hit skipped skipped"},
		{"another build's vertex is nobody's step", cache.Completed,
			[]cache.Vertex{{Step: -1, Source: true, Started: true, Completed: true}, ran(0, 0)}, "executed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := len(strings.Fields(test.want))
			var got []string
			for _, o := range cache.Classify(test.vertices, n, test.status) {
				got = append(got, string(o))
			}
			if s := strings.Join(got, " "); s != test.want {
				t.Errorf("got %s, want %s", s, test.want)
			}
		})
	}
}
