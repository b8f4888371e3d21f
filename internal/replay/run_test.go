package replay_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/randtest"
	"github.com/stokerd/stoker/internal/replay"
)

// simulate runs a cache that remembers every tuple of states, build by build.
func simulate(states [][]uint32, costs []float64, order []int, builds int) replay.Result {
	res := replay.Result{Runs: make([]int, len(order))}
	cache := map[string]bool{}
	total := 0
	for h := range builds {
		key := ""
		for k, step := range order {
			s := uint32(0)
			if states[step] != nil {
				s = states[step][h]
			}
			key += fmt.Sprint(step, ":", s, " ")
			if !cache[key] {
				cache[key] = true
				res.Runs[k]++
				res.Seconds += costs[step]
				total++
			}
		}
	}
	res.Seconds /= float64(builds)
	res.HitRate = 1 - float64(total)/float64(builds*len(order))
	return res
}

// TestRunEqualsSimulation compares with a cache kept build by build.
func TestRunEqualsSimulation(t *testing.T) {
	for seed := range randtest.Seeds(t, 500, 50_000) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		builds, steps := 1+rnd.IntN(30), 1+rnd.IntN(6)
		states, costs := make([][]uint32, steps), make([]float64, steps)
		for i := range steps {
			costs[i] = rnd.Float64() * 10
			if rnd.IntN(4) > 0 {
				states[i] = make([]uint32, builds)
				for h := range builds {
					states[i][h] = uint32(rnd.IntN(1 + rnd.IntN(4)))
				}
			}
		}
		order := rnd.Perm(steps)
		var list []replay.Step
		for k, i := range order {
			s := replay.Step{States: states[i], Seconds: costs[i]}
			if k > 0 {
				s.Parents = []int{k - 1}
			}
			list = append(list, s)
		}
		got, want := replay.Run(builds, list), simulate(states, costs, order, builds)
		if diff := cmp.Diff(want.Runs, got.Runs); diff != "" || math.Abs(got.Seconds-want.Seconds) > 1e-9 || math.Abs(got.HitRate-want.HitRate) > 1e-9 {
			t.Fatalf("seed %d: order %v of %v: got %+v, want %+v", seed, order, states, got, want)
		}
		if math.Abs(got.Wall-got.Seconds) > 1e-9 {
			t.Fatalf("a chain takes %v, its steps %v", got.Wall, got.Seconds)
		}
	}
}

// TestRunOfStages follows two stages that run at once and a COPY --link.
func TestRunOfStages(t *testing.T) {
	a, b := []uint32{0, 1, 1, 0}, []uint32{0, 0, 1, 1}
	got := replay.Run(4, []replay.Step{
		{States: a, Seconds: 2},
		{States: b, Seconds: 3},
		{Seconds: 1, Parents: []int{0, 1}},
		{Seconds: 5, Parents: []int{2, 1}, Apart: []int{2}}, // --link from the second stage
		{Seconds: 7, Parents: []int{3}},
	})
	want := replay.Result{
		Runs: []int{2, 2, 4, 2, 4}, HitRate: 1 - float64(14)/float64(20),
		Seconds: (2*2 + 3*2 + 1*4 + 5*2 + 7*4) / 4.,
		Wall:    (15 + 10 + 15 + 8) / 4., // the linked one waits for the second stage alone
	}
	close := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
	if diff := cmp.Diff(want, got, close); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRunOfNothing(t *testing.T) {
	got := replay.Run(0, []replay.Step{{Seconds: 3}})
	if got.Seconds != 0 || got.HitRate != 0 || got.Runs[0] != 0 {
		t.Errorf("no builds: %+v", got)
	}
	if got := replay.Run(5, nil); got.Seconds != 0 || got.HitRate != 0 {
		t.Errorf("no steps: %+v", got)
	}
}

// TestRunWaitsForWhatItDoesNotLookAt: a step that takes of another stage what that got
// first runs again for no later step of it, and yet waits for all of it.
func TestRunWaitsForWhatItDoesNotLookAt(t *testing.T) {
	always := []uint32{0, 1, 2, 3}
	got := replay.Run(4, []replay.Step{
		{Seconds: 1}, // brings what is taken
		{States: always, Seconds: 10, Parents: []int{0}},    // comes later in that stage
		{Seconds: 2, Parents: []int{1, 0}, Waits: []int{1}}, // takes it
		{States: always, Seconds: 100, Parents: []int{2, 1}, Waits: []int{1}},
	})
	want := replay.Result{Runs: []int{1, 4, 1, 4}, Seconds: (1 + 40 + 2 + 400) / 4., Wall: (1 + 40 + 2 + 400) / 4., HitRate: 1 - 10/16.}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
