package replay

import (
	"cmp"
	"math"
	"slices"
)

// A Problem is a stage whose steps are to be put in order.
type Problem struct {
	Builds int
	// Base identifies the state that the stage starts from in each build; nil for
	// one that never changes.
	Base []uint32
	// Steps are in today's order. Parents and Apart are not looked at.
	Steps []Item
	// Spare is what an order may cost more than the least, in seconds over all
	// builds, for being nearer to today's: somebody has to read each move.
	Spare float64
}

// An Item is a step that can be moved.
type Item struct {
	States  []uint32 // as in [Step]
	Seconds float64
	// Alone is set for a step whose execution does not look at what is below it:
	// COPY --link.
	Alone bool
	// After lists the earlier items that have to stay before this one.
	After []int
}

const (
	// idealCap bounds the sets of steps that the exact search looks at.
	idealCap = 4096
	// mostSteps is how many steps a set can hold.
	mostSteps = 256
	// slack is what two sums of costs may differ by and still be called equal.
	slack = 1e-9
)

// Best returns the permitted order of the steps that costs least over the
// builds, and of several, or of those within Spare of it, the one nearest to today's. With R(S) the number of
// builds in which the tuple of states over the set S is new, an order costs the
// sum over its positions of the step's seconds times R of the steps up to it; R
// depends on the set alone, so dynamic programming over the sets that an order
// can begin with is exact. Where there are too many of them, exact is false and
// the order comes from a rule: what is cheap to break goes last.
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

// Cost returns what a permitted order costs over the builds, as [Best] counts it.
func Cost(p Problem, order []int) float64 { return newSearch(p).cost(order) }

// A set of steps, by index.
type set [mostSteps / 64]uint64

func (s set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }
func (s set) with(i int) set { s[i/64] |= 1 << (i % 64); return s }
func (s set) holds(t set) bool {
	return s[0]&t[0] == t[0] && s[1]&t[1] == t[1] && s[2]&t[2] == t[2] && s[3]&t[3] == t[3]
}

// A search is one run of Best.
type search struct {
	steps  []Item
	after  []set
	counts counter
	base   *joint
	all    set
	varies set // the steps that ever change
	// ideals are the sets that were looked at, each closed by settle, with the
	// cost of what is left.
	ideals    map[set]float64
	runs      map[set]int // R
	exhausted bool
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

func (s *search) free(done set, i int) bool { return !done.has(i) && done.holds(s.after[i]) }

// add returns the state after step i has run on top of done, and what that
// costs.
func (s *search) add(done set, at *joint, i int) (set, *joint, float64) {
	next, j := done.with(i), s.counts.join(at, i+1)
	if s.steps[i].Alone {
		return next, j, s.steps[i].Seconds * float64(s.alone(i))
	}
	return next, j, s.steps[i].Seconds * float64(s.r(next, j))
}

func (s *search) alone(i int) int {
	return s.counts.distinct(s.counts.join(s.counts.none(), i+1))
}

// r is R of a set; steps that never change do not count.
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

// settle adds every step that never changes and may run. To run one as early as
// possible costs no more than later, and changes no other cost, so that no set
// without them has to be looked at.
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

// rest returns the least cost of running what is not done.
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
	s.ideals[done] = 0 // counted; its own search never comes back to it
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

// nearest writes an order of least cost, or of one that is greater by no more than
// spare: at each position the first step of today's order that still allows it.
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

// byRatio runs next what, of the steps that may, is dearest for each build in
// which it would make all below it run.
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

// cost is that of an order.
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

// Kept returns the items of an order that stay where they are when the others
// are lifted out and put in again: the rising run of it that weighs most. What
// moves is the rest.
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
