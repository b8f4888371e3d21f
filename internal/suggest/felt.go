package suggest

import (
	"slices"

	"github.com/stokerd/stoker/internal/replay"
)

const (
	// leastFelt is how many seconds per build a change has to save to be suggested: less
	// is lost in the noise from one build to the next.
	leastFelt = 0.5
	// leastMove is how many seconds per build each move of an order has to save. It is a
	// third of leastFelt, so that three moves which just pass make a change that does.
	leastMove = 0.15
	// leastTold is leastFelt for advice, which takes more of the reader's time.
	leastTold = 2.0
)

// felt returns the order without the moves that save less than leastMove: their
// instructions stay where they are. Those that save least are undone first.
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

// kept returns the instructions that do not have to be moved for an order. Given the
// choice, COPYs are moved rather than other instructions.
func (o *ordering) kept(order []int) []int {
	return replay.Kept(order, func(i int) float64 {
		if o.view.stage.Instructions[i].Copy != nil {
			return 1
		}
		return 4
	})
}

// putBack returns two orders in which item i stands between the same kept ones as today:
// directly below the last one above it, and directly above the next.
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

// permitted reports whether an order has every item below those that it depends on.
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
