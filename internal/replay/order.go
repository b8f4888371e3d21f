package replay

import (
	"cmp"
	"math"
	"slices"
)

// A Problem is a stage whose steps are to be put in the best order.
type Problem struct {
	Builds int
	// Base has the state of what the stage starts from in each build; nil if that never
	// changes.
	Base  []uint32
	Steps []Item // in today's order
	// Spare is how many seconds, over all builds, an order may cost more than the best one if
	// it is more like today's: every step that moves is one that somebody has to review.
	Spare float64
}

// An Item is a step that can be moved.
type Item struct {
	States  []uint32 // as in [Step]
	Seconds float64  // of one execution
	Alone   bool     // it runs independently of the steps before it, as COPY --link does
	After   []int    // the items, which are earlier today, that must stay before it
}

const (
	// idealCap is the number of sets of steps after which the exact search gives up.
	idealCap = 4096
	// mostSteps is the capacity of a set.
	mostSteps = 256
	// slack is the relative difference up to which two costs count as equal.
	slack = 1e-9
)

// Best returns the order of the steps that costs least over the builds, as indexes of
// p.Steps. Of the orders within Spare of that, it returns the one that is most like today's.
//
// Let R(S) be the number of builds in which the tuple of the states of the steps in S is new.
// The cost of an order is the sum, over its positions, of the step's seconds times R of the
// steps up to and including it. Since R depends on the set only, dynamic programming over the
// sets with which an order can begin finds the best one. If there are too many such sets,
// exact is false, and the order is found by a heuristic: see byRatio.
func Best(p Problem) (order []int, exact bool) {
	today := make([]int, len(p.Steps))
	for i := range today {
		today[i] = i
	}
	if len(p.Steps) > mostSteps || p.Builds == 0 {
		return today, p.Builds == 0
	}
	s := newSearch(p)
	if total := s.rest(set{}, s.base); !s.exhausted {
		return s.nearest(total, p.Spare), true
	}
	order = s.byRatio()
	if s.cost(order) >= s.cost(today)*(1-slack) {
		order = today
	}
	return order, false
}

// Cost returns the cost of an order in seconds over all builds, as [Best] defines it. The order
// must respect After.
func Cost(p Problem, order []int) float64 { return newSearch(p).cost(order) }

// A set is a set of steps, as a bit set of their indexes.
type set [mostSteps / 64]uint64

func (s set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }
func (s set) with(i int) set { s[i/64] |= 1 << (i % 64); return s }
func (s set) holds(t set) bool {
	return s[0]&t[0] == t[0] && s[1]&t[1] == t[1] && s[2]&t[2] == t[2] && s[3]&t[3] == t[3]
}

// A search is the state of Best.
type search struct {
	steps  []Item
	after  []set   // Item.After of each step
	counts counter // step i is list i+1; list 0 is the base
	base   *joint  // before the first step
	all    set
	varies set // the steps whose states ever change
	// ideals has the results of rest for the sets that were visited, after settle.
	ideals    map[set]float64
	runs      map[set]int // the results of r
	exhausted bool        // there are more sets than idealCap
}

func newSearch(p Problem) *search {
	s := &search{steps: p.Steps, after: make([]set, len(p.Steps)), ideals: map[set]float64{}, runs: map[set]int{}}
	states := [][]uint32{p.Base}
	for i, it := range p.Steps {
		s.all = s.all.with(i)
		for _, j := range it.After {
			s.after[i] = s.after[i].with(j)
		}
		states = append(states, it.States)
	}
	s.counts = newCounter(p.Builds, states)
	for i := range p.Steps {
		if s.counts.varies(i + 1) {
			s.varies = s.varies.with(i)
		}
	}
	s.base = s.counts.join(s.counts.none(), 0)
	return s
}

// free reports whether step i can come next after the steps in done.
func (s *search) free(done set, i int) bool { return !done.has(i) && done.holds(s.after[i]) }

// add returns done, of which at is the joint, with step i after it, and the cost of that step.
func (s *search) add(done set, at *joint, i int) (set, *joint, float64) {
	next, j := done.with(i), s.counts.join(at, i+1)
	if s.steps[i].Alone {
		return next, j, s.steps[i].Seconds * float64(s.alone(i))
	}
	return next, j, s.steps[i].Seconds * float64(s.r(next, j))
}

// alone returns in how many builds step i runs if it does not depend on other steps.
func (s *search) alone(i int) int {
	return s.counts.distinct(s.counts.join(s.counts.none(), i+1))
}

// r returns R of a set, of which at is the joint. Steps that never change make no difference.
func (s *search) r(done set, at *joint) int {
	key := done
	for i := range key {
		key[i] &= s.varies[i]
	}
	n, ok := s.runs[key]
	if !ok {
		n = s.counts.distinct(at)
		s.runs[key] = n
	}
	return n
}

// settle adds to done all steps that never change and can come next, and returns their cost. No
// order is better in which such a step comes later: its own cost would not be less, and those
// of other steps do not depend on it. So sets without them need not be visited.
func (s *search) settle(done set, at *joint) (set, float64) {
	total := 0.0
	for again := true; again; {
		again = false
		for i := range s.steps {
			if s.free(done, i) && !s.varies.has(i) {
				var c float64
				done, _, c = s.add(done, at, i)
				total += c
				again = true
			}
		}
	}
	return done, total
}

// rest returns the least cost of the steps that are not in done; infinity if s is exhausted.
func (s *search) rest(done set, at *joint) float64 {
	done, settled := s.settle(done, at)
	if done == s.all {
		return settled
	}
	if c, ok := s.ideals[done]; ok {
		return settled + c
	}
	if len(s.ideals) >= idealCap {
		s.exhausted = true
	}
	if s.exhausted {
		return math.Inf(1)
	}
	s.ideals[done] = 0 // so that it counts; the search below only visits larger sets
	least := math.Inf(1)
	for i := range s.steps {
		if s.free(done, i) {
			next, j, c := s.add(done, at, i)
			least = min(least, c+s.rest(next, j))
			if j != at {
				s.counts.release(j)
			}
		}
	}
	s.ideals[done] = least
	return settled + least
}

// nearest returns the order, of those that cost at most spare more than total, the least cost,
// that has at each position the first step of today's order with which that is possible.
func (s *search) nearest(total, spare float64) []int {
	var order []int
	done, at := set{}, s.base
	for left := total; done != s.all; {
		for i := range s.steps {
			if !s.free(done, i) {
				continue
			}
			next, j, c := s.add(done, at, i)
			rest := s.rest(next, j)
			if more := c + rest - left; more <= spare+slack*max(1, total) {
				order, done, at, left, spare = append(order, i), next, j, rest, max(0, spare-max(0, more))
				break
			}
		}
	}
	return order
}

// byRatio returns an order in which the next step is always the one with the lowest ratio of
// the number of builds in which it makes the steps after it run, to its seconds.
func (s *search) byRatio() []int {
	var order []int
	done, at := set{}, s.base
	for done != s.all {
		best, least := -1, math.Inf(1)
		for i := range s.steps {
			if !s.free(done, i) {
				continue
			}
			next, j, _ := s.add(done, at, i)
			ratio := float64(s.r(next, j)-s.r(done, at)) / max(s.steps[i].Seconds, slack)
			if ratio < least {
				best, least = i, ratio
			}
		}
		done, at, _ = s.add(done, at, best)
		order = append(order, best)
	}
	return order
}

// cost returns the cost of an order.
func (s *search) cost(order []int) float64 {
	total := 0.0
	done, at := set{}, s.base
	for _, i := range order {
		var c float64
		done, at, c = s.add(done, at, i)
		total += c
	}
	return total
}

// Kept returns the items that need not be moved to change today's order, 0, 1, 2 and so on, to
// order: its increasing subsequence with the largest sum of weights, which must not be
// negative. All other items have to be moved.
func Kept(order []int, weight func(item int) float64) []int {
	best, from := make([]float64, len(order)), make([]int, len(order))
	top := -1
	for k, i := range order {
		best[k], from[k] = weight(i), -1
		for m := range k {
			if order[m] < i && best[m]+weight(i) > best[k] {
				best[k], from[k] = best[m]+weight(i), m
			}
		}
		if top < 0 || best[k] > best[top] {
			top = k
		}
	}
	var kept []int
	for ; top >= 0; top = from[top] {
		kept = append(kept, order[top])
	}
	slices.SortFunc(kept, cmp.Compare[int])
	return kept
}
