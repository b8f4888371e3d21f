package suggest_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/suggest"
)

// simulate runs a cache that remembers every tuple of states, build by build.
func simulate(states [][]uint32, costs []float64, order []int, builds int) suggest.Result {
	res := suggest.Result{Runs: make([]int, len(order))}
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

// TestReplayEqualsSimulation compares with a cache kept build by build.
func TestReplayEqualsSimulation(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		builds, steps := 1+rnd.IntN(30), 1+rnd.IntN(6)
		r := suggest.NewReplay(builds)
		states, costs := make([][]uint32, steps), make([]float64, steps)
		for i := range steps {
			costs[i] = rnd.Float64() * 10
			if rnd.IntN(4) > 0 {
				states[i] = make([]uint32, builds)
				for h := range builds {
					states[i][h] = uint32(rnd.IntN(1 + rnd.IntN(4)))
				}
			}
			if got := r.Add(states[i], costs[i]); got != i {
				t.Fatalf("step %d has index %d", i, got)
			}
		}
		order := rnd.Perm(steps)
		got, want := r.Order(order), simulate(states, costs, order, builds)
		if diff := cmp.Diff(want.Runs, got.Runs); diff != "" || math.Abs(got.Seconds-want.Seconds) > 1e-9 || math.Abs(got.HitRate-want.HitRate) > 1e-9 {
			t.Fatalf("order %v of %v: got %+v, want %+v", order, states, got, want)
		}
		// R depends on the set only.
		if got := r.New(order); got != want.Runs[steps-1] {
			t.Fatalf("R = %d, want %d", got, want.Runs[steps-1])
		}
	}
}

func TestReplayOfNothing(t *testing.T) {
	r := suggest.NewReplay(0)
	step := r.Add(nil, 3)
	got := r.Order([]int{step})
	if got.Seconds != 0 || got.HitRate != 0 || got.Runs[0] != 0 || r.New([]int{step}) != 0 {
		t.Errorf("no builds: %+v", got)
	}
	if got := suggest.NewReplay(5).Order(nil); got.Seconds != 0 || got.HitRate != 0 {
		t.Errorf("no steps: %+v", got)
	}
}
