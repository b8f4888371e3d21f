package suggest

import (
	"slices"

	"github.com/stokerd/stoker/internal/replay"
)

const (
	// leastFelt is how many seconds of each build a change of order has to save for
	// somebody to read it: what is less is not noticed beside a build's own ups and downs.
	leastFelt = 0.5
	// leastMove is what each move has to add to that. Several make one order, so that it
	// is less; at a third of leastFelt three moves that are just worth it make a change
	// that is just felt.
	leastMove = 0.15
	// leastTold is the same as leastFelt of advice, which takes thought.
	leastTold = 2.0
)

// felt puts back where they are today the moves of an order that save less than
// leastMove each, the least first.
func (o *ordering) felt(p replay.Problem, order []int) []int {
	for {
		kept, cost := o.kept(order), replay.Cost(p, order)
		var best []int
		rise := leastMove * float64(p.Builds)
		for i := range order {
			if slices.Contains(kept, i) {
				continue
			}
			for _, next := range putBack(order, kept, i) {
				if more := replay.Cost(p, next) - cost; permitted(p, next) && more < rise {
					best, rise = next, more
				}
			}
		}
		if best == nil {
			return order
		}
		order = best
	}
}

// kept returns the instructions that stay where they are: a COPY is moved before
// anything else is.
func (o *ordering) kept(order []int) []int {
	return replay.Kept(order, func(i int) float64 {
		if o.view.stage.Instructions[i].Copy != nil {
			return 1
		}
		return 4
	})
}

// putBack returns the orders in which item i stands among the kept ones as it does
// today: right below the last of those above it, and right above the next.
func putBack(order, kept []int, i int) [][]int {
	rest := slices.DeleteFunc(slices.Clone(order), func(j int) bool { return j == i })
	above, below := 0, len(rest)
	for at, j := range rest {
		if !slices.Contains(kept, j) {
			continue
		}
		if j < i {
			above = at + 1
		} else {
			below = min(below, at)
		}
	}
	return [][]int{slices.Insert(slices.Clone(rest), above, i), slices.Insert(slices.Clone(rest), below, i)}
}

// permitted reports an order in which every item stands below those that it has to.
func permitted(p replay.Problem, order []int) bool {
	done := make([]bool, len(order))
	for _, i := range order {
		if slices.ContainsFunc(p.Steps[i].After, func(j int) bool { return !done[j] }) {
			return false
		}
		done[i] = true
	}
	return true
}
