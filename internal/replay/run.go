package replay

import "slices"

// A Step is one step of a build, as a replay sees it.
type Step struct {
	// States identifies the step's own inputs in each build: equal numbers are
	// equal inputs, and none is much above the number of builds; nil are inputs that
	// never change.
	States []uint32
	// Seconds is one execution.
	Seconds float64
	// Parents are the steps whose results it needs, each earlier in the list.
	Parents []int
	// Apart are those of Parents that its own execution does not look at, nor wait
	// for: COPY --link copies by itself and is laid on what is below afterwards.
	Apart []int
	// Waits are those of Parents that it only waits for: what it takes of them is told
	// by others of Parents, or by States.
	Waits []int
}

// A Result is what a replay gives.
type Result struct {
	Runs []int // per step: in how many builds it ran
	// Seconds is per build, summed over the steps that ran. Wall is per build as
	// one waits for it, steps that need nothing of each other running at once.
	Seconds, Wall float64
	HitRate       float64 // 0..1 over all steps and builds; 0 without builds
}

// Run replays a number of builds.
func Run(builds int, steps []Step) Result {
	res := Result{Runs: make([]int, len(steps))}
	if builds == 0 || len(steps) == 0 {
		return res
	}
	own, _ := tuples(steps)
	ran := make([][]bool, len(steps))
	total := 0
	for i, s := range steps {
		ran[i] = firsts(own[i], builds)
		for _, r := range ran[i] {
			if r {
				res.Runs[i]++
			}
		}
		total += res.Runs[i]
		res.Seconds += s.Seconds * float64(res.Runs[i])
	}
	res.Wall = wall(builds, steps, ran) / float64(builds)
	res.Seconds /= float64(builds)
	res.HitRate = 1 - float64(total)/float64(builds*len(steps))
	return res
}

// Results identifies, for each step, its result in each build: the tuple of the
// states of the step and of all that it builds on. It is nil for one that never
// changes.
func Results(steps []Step) [][]uint32 {
	_, all := tuples(steps)
	return all
}

// tuples returns, for each step, the tuple that decides whether it runs, and
// that of its result.
func tuples(steps []Step) (own, all [][]uint32) {
	own, all = make([][]uint32, len(steps)), make([][]uint32, len(steps))
	for i, s := range steps {
		for _, p := range s.Parents {
			if slices.Contains(s.Waits, p) {
				continue
			}
			all[i] = Join(all[i], all[p])
			if !slices.Contains(s.Apart, p) {
				own[i] = Join(own[i], all[p])
			}
		}
		all[i] = Join(all[i], s.States)
		own[i] = Join(own[i], s.States)
	}
	return own, all
}

// Join returns the pairs of two lists of states. Nil stands for what never
// changes.
func Join(a, b []uint32) []uint32 {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return intern(a, b)
}

// firsts reports where a value occurs for the first time.
func firsts(ids []uint32, builds int) []bool {
	first := make([]bool, builds)
	if ids == nil {
		first[0] = true
		return first
	}
	seen := make([]bool, slices.Max(ids)+1)
	for h, id := range ids {
		if !seen[id] {
			seen[id] = true
			first[h] = true
		}
	}
	return first
}

// wall sums the critical paths of the builds: how long the last step takes to
// be done where each starts as soon as what it needs is there.
func wall(builds int, steps []Step, ran [][]bool) float64 {
	total := 0.0
	done := make([]float64, len(steps))
	for h := range builds {
		last := 0.0
		for i, s := range steps {
			at, beside := 0.0, 0.0
			for _, p := range s.Parents {
				if slices.Contains(s.Apart, p) {
					beside = max(beside, done[p])
				} else {
					at = max(at, done[p])
				}
			}
			if ran[i][h] {
				at += s.Seconds
			}
			done[i] = max(at, beside)
			last = max(last, done[i])
		}
		total += last
	}
	return total
}
