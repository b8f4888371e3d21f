package replay_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stokerd/stoker/internal/randtest"
	"github.com/stokerd/stoker/internal/replay"
)

// problem makes a stage of up to 8 steps.
func problem(rnd *rand.Rand) replay.Problem {
	p := replay.Problem{Builds: 1 + rnd.IntN(25)}
	states := func() []uint32 {
		if rnd.IntN(3) == 0 {
			return nil
		}
		list, top, rate := make([]uint32, p.Builds), 1+rnd.IntN(6), 1+rnd.IntN(6)
		for h := range list {
			if h > 0 {
				list[h] = list[h-1]
			}
			if rnd.IntN(rate) == 0 {
				list[h] = uint32(rnd.IntN(top)) // may go back
			}
		}
		return list
	}
	if rnd.IntN(2) == 0 {
		p.Base = states()
	}
	order := rnd.IntN(4)
	for i := range 1 + rnd.IntN(8) {
		it := replay.Item{States: states(), Seconds: float64(rnd.IntN(5)) * rnd.Float64() * 10, Alone: rnd.IntN(8) == 0}
		for j := range i {
			if order > 0 && rnd.IntN(2*order) == 0 {
				it.After = append(it.After, j)
			}
		}
		p.Steps = append(p.Steps, it)
	}
	return p
}

// chain is the stage in an order as Run takes it.
func chain(p replay.Problem, order []int) []replay.Step {
	list := []replay.Step{{States: p.Base}}
	for k, i := range order {
		s := replay.Step{States: p.Steps[i].States, Seconds: p.Steps[i].Seconds, Parents: []int{k}}
		if p.Steps[i].Alone {
			s.Apart = s.Parents
		}
		list = append(list, s)
	}
	return list
}

// permitted calls f with every order that the steps may stand in, the first in
// lexicographic order first.
func permitted(p replay.Problem, prefix []int, f func([]int)) {
	if len(prefix) == len(p.Steps) {
		f(prefix)
		return
	}
	for i, it := range p.Steps {
		if !slices.Contains(prefix, i) && !slices.ContainsFunc(it.After, func(j int) bool { return !slices.Contains(prefix, j) }) {
			permitted(p, append(slices.Clip(prefix), i), f)
		}
	}
}

// news is R, by counting tuples.
type news struct {
	p     replay.Problem
	known map[int]int
}

func (r news) of(set int) int {
	n, ok := r.known[set]
	if !ok {
		seen := map[string]bool{}
		for h := range r.p.Builds {
			key := ""
			if r.p.Base != nil && set >= 0 {
				key = fmt.Sprint(r.p.Base[h])
			}
			for i, it := range r.p.Steps {
				if it.States != nil && (set >= 0 && set&(1<<i) != 0 || set == -1-i) {
					key += fmt.Sprint(" ", i, ":", it.States[h])
				}
			}
			seen[key] = true
		}
		n = len(seen)
		r.known[set] = n
	}
	return n
}

// cost is that of an order, per build.
func (r news) cost(order []int) float64 {
	total, set := 0.0, 0
	for _, i := range order {
		set |= 1 << i
		if r.p.Steps[i].Alone {
			total += r.p.Steps[i].Seconds * float64(r.of(-1-i)) // it alone, not even the base
		} else {
			total += r.p.Steps[i].Seconds * float64(r.of(set))
		}
	}
	return total / float64(r.p.Builds)
}

// TestBestEqualsBruteForce compares with a replay of every permitted order: the
// order found costs as little as any, and none of the same cost is nearer.
func TestBestEqualsBruteForce(t *testing.T) {
	stages, moved := 0, 0
	for seed := range randtest.Seeds(t, 300, 20_000) {
		stages++
		p := problem(rand.New(rand.NewPCG(seed, 1)))
		least, nearest, today := math.Inf(1), []int(nil), 0.0
		r := news{p, map[int]int{}}
		permitted(p, nil, func(order []int) {
			c := r.cost(order)
			if nearest == nil {
				today = c // the first is today's order
			}
			if c < least-1e-9*max(1, least) || nearest == nil {
				least, nearest = c, slices.Clone(order)
			}
		})
		got, exact := replay.Best(p)
		if c := replay.Run(p.Builds, chain(p, got)).Seconds; math.Abs(c-r.cost(got)) > 1e-9*max(1, c) {
			t.Fatalf("seed %d: order %v costs %v by sets, %v replayed", seed, got, r.cost(got), c)
		}
		if !exact || !slices.Equal(got, nearest) {
			t.Fatalf("seed %d: order %v costs %v (exact: %v), want %v at %v\n%+v",
				seed, got, replay.Run(p.Builds, chain(p, got)).Seconds, exact, nearest, least, p)
		}
		if least < today-1e-9 {
			moved++
		}
	}
	if moved < stages/5 && stages > 100 {
		t.Errorf("only %d of %d stages have a better order than today's: the test shows little", moved, stages)
	}
}

// TestBestFallsBack holds that a stage with too many orders gets one that is
// permitted, no worse than today's, and said not to be exact.
func TestBestFallsBack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	p := replay.Problem{Builds: 60}
	for i := range 30 {
		it := replay.Item{Seconds: rnd.Float64() * 10, States: make([]uint32, p.Builds)}
		for h := range it.States {
			if h > 0 && rnd.IntN(1+30-i) > 0 {
				it.States[h] = it.States[h-1]
			} else {
				it.States[h] = uint32(h)
			}
		}
		if i > 3 && i%5 == 0 {
			it.After = []int{i - 3}
		}
		p.Steps = append(p.Steps, it)
	}
	got, exact := replay.Best(p)
	if exact {
		t.Error("30 steps that may stand anywhere were searched through")
	}
	today := make([]int, len(p.Steps))
	for i := range today {
		today[i] = i
	}
	before, after := replay.Run(p.Builds, chain(p, today)), replay.Run(p.Builds, chain(p, got))
	if after.Seconds >= before.Seconds {
		t.Errorf("the order costs %v, today's %v", after.Seconds, before.Seconds)
	}
	place := make([]int, len(got))
	for k, i := range got {
		place[i] = k
	}
	for i, it := range p.Steps {
		for _, j := range it.After {
			if place[j] > place[i] {
				t.Errorf("step %d stands before %d, which it needs", i, j)
			}
		}
	}
}

// BenchmarkBest is the search at its largest: the most sets that it looks at,
// over 10,000 builds with states that come back.
func BenchmarkBest(b *testing.B) {
	rnd := rand.New(rand.NewPCG(5, 5))
	p := replay.Problem{Builds: 10_000}
	for i := range 40 {
		it := replay.Item{Seconds: rnd.Float64() * 10}
		if i%10 < 3 { // 12 that change: 4,096 sets
			it.States = make([]uint32, p.Builds)
			for h := 1; h < p.Builds; h++ {
				it.States[h] = it.States[h-1]
				if rnd.IntN(4) == 0 {
					it.States[h] = uint32(h)
				} else if rnd.IntN(50) == 0 {
					it.States[h] = uint32(rnd.IntN(h))
				}
			}
		}
		p.Steps = append(p.Steps, it)
	}
	for b.Loop() {
		if _, exact := replay.Best(p); !exact {
			b.Fatal("not exact")
		}
	}
}

func TestKept(t *testing.T) {
	one := func(int) float64 { return 1 }
	for _, c := range []struct{ order, want []int }{
		{[]int{0, 1, 2}, []int{0, 1, 2}},
		{[]int{1, 2, 0}, []int{1, 2}},
		{[]int{2, 0, 1}, []int{0, 1}},
		{nil, nil},
	} {
		if got := replay.Kept(c.order, one); !slices.Equal(got, c.want) {
			t.Errorf("Kept(%v) = %v, want %v", c.order, got, c.want)
		}
	}
}
