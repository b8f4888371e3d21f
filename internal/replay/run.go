package replay

import "slices"

// A Step is one step of a build, as a replay sees it.
type Step struct {
	// States has a number for the state of the step's own inputs in each build. Equal
	// numbers mean equal inputs. They are indexes of a table, so they must not be much larger
	// than the number of builds. nil means that the inputs never change.
	States []uint32
	// Seconds is the duration of one execution.
	Seconds float64
	// Parents are the steps whose results it needs. They must be earlier in the list.
	Parents []int
	// Apart are the Parents that its execution neither depends on nor waits for. COPY --link
	// copies independently of the steps before it, and is put on top of their result later.
	Apart []int
	// Waits are those of Parents that it only waits for: what it takes of them is told
	// by others of Parents, or by States.
	Waits []int
}

// A Result is the result of a replay.
type Result struct {
	Runs    []int   // in how many builds each step runs
	Seconds float64 // sum of the steps that run, as the mean over the builds
	Wall    float64 // how long a build takes, as the mean: steps that do not depend on each other run at once
	HitRate float64 // 0 to 1, over all steps and builds; 0 without builds
}

// Run replays a number of builds.
func Run(builds int, steps []Step) Result {
	res := Result{Runs: make([]int, len(steps))}
	if builds == 0 || len(steps) == 0 {
		return res
	}
	own, _ := tuples(steps)
	ran := make([][]bool, len(steps))
	same := map[*uint32]int{} // steps by the list of their states, which many share with their parent
	total := 0
	for i, s := range steps {
		var list *uint32 // nil if the states never change
		if own[i] != nil {
			list = &own[i][0]
		}
		if j, ok := same[list]; ok {
			ran[i], res.Runs[i] = ran[j], res.Runs[j]
		} else {
			ran[i], res.Runs[i] = firsts(own[i], builds)
			same[list] = i
		}
		total += res.Runs[i]
		res.Seconds += s.Seconds * float64(res.Runs[i])
	}
	res.Wall = wall(builds, steps, ran) / float64(builds)
	res.Seconds /= float64(builds)
	res.HitRate = 1 - float64(total)/float64(builds*len(steps))
	return res
}

// Results returns, for each step, a number for the state of its result in each build, which
// depends on the states of the step and of all that it builds on. It is nil for a step whose
// result never changes.
func Results(steps []Step) [][]uint32 {
	_, all := tuples(steps)
	return all
}

// tuples returns, for each step, the states that decide whether it runs, and those of its
// result. They differ in Apart.
func tuples(steps []Step) (own, all [][]uint32) {
	own, all = make([][]uint32, len(steps)), make([][]uint32, len(steps))
	for i, s := range steps {
		for _, p := range s.Parents {
			if !slices.Contains(s.Waits, p) {
				all[i] = Join(all[i], all[p])
			}
		}
		all[i] = Join(all[i], s.States)
		own[i] = all[i]
		if len(s.Apart) == 0 {
			continue
		}
		own[i] = nil
		for _, p := range s.Parents {
			if !slices.Contains(s.Waits, p) && !slices.Contains(s.Apart, p) {
				own[i] = Join(own[i], all[p])
			}
		}
		own[i] = Join(own[i], s.States)
	}
	return own, all
}

// Join returns a list of states that are equal where those of both a and b are. nil means that
// the states never change.
func Join(a, b []uint32) []uint32 {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return intern(a, b)
}

// firsts reports, for each build, whether no earlier one has the same state, and how many
// these are.
func firsts(ids []uint32, builds int) (first []bool, n int) {
	first = make([]bool, builds)
	if ids == nil {
		first[0] = true
		return first, 1
	}
	seen := make([]bool, slices.Max(ids)+1)
	for h, id := range ids {
		if !seen[id] {
			seen[id] = true
			first[h] = true
			n++
		}
	}
	return first, n
}

// chunk is for how many builds wall computes a step before the next one, so that what it
// keeps of each step stays in the processor's cache.
const chunk = 256

// wall returns the sum over the builds of how long each takes if every step begins as soon as
// the steps that it depends on have ended.
func wall(builds int, steps []Step, ran [][]bool) float64 {
	total := 0.0
	done := make([][chunk]float64, len(steps)) // when each step has ended, in each build of a chunk
	for from := 0; from < builds; from += chunk {
		n := min(chunk, builds-from)
		var last [chunk]float64
		for i, s := range steps {
			var at, beside [chunk]float64
			for _, p := range s.Parents {
				if slices.Contains(s.Apart, p) {
					raise(&beside, &done[p])
				} else {
					raise(&at, &done[p])
				}
			}
			for h, r := range ran[i][from : from+n] {
				if r {
					at[h] += s.Seconds
				}
			}
			if len(s.Apart) > 0 {
				raise(&at, &beside)
			}
			done[i] = at
			raise(&last, &at)
		}
		for _, l := range last[:n] {
			total += l
		}
	}
	return total
}

// raise sets each number of list to that of other, if that is larger.
func raise(list, other *[chunk]float64) {
	for i, o := range other {
		if o > list[i] {
			list[i] = o
		}
	}
}
