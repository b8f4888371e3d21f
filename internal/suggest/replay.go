package suggest

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/stokerd/stoker/internal/changes"
)

// A Replay answers, for an order of steps, how often each would have run over
// a history of builds with the Dockerfile held fixed.
//
// BuildKit remembers every state it still holds, so a step at position k runs
// in a build exactly if the tuple of the states of the steps up to k occurs in
// no earlier build. How often depends on the set of those steps only, which is
// what makes the best order computable.
type Replay struct {
	builds int
	states [][]uint32 // per step: which of its states each build has
	costs  []float64  // per step: seconds of one execution
}

// NewReplay returns a replay of no steps over a number of builds.
func NewReplay(builds int) *Replay { return &Replay{builds: builds} }

// Add adds a step and returns its index. states identifies the step's own
// inputs in each build: equal numbers are equal inputs; nil is a step whose own
// inputs never change.
func (r *Replay) Add(states []uint32, seconds float64) int {
	r.states = append(r.states, states)
	r.costs = append(r.costs, seconds)
	return len(r.costs) - 1
}

// A Result is what a replay of one order gives.
type Result struct {
	Runs    []int   // per position: in how many builds the step ran
	Seconds float64 // per build, of the steps that ran
	HitRate float64 // 0..1 over all steps and builds; 0 without builds
}

// Order replays the steps in an order.
func (r *Replay) Order(order []int) Result {
	res := Result{Runs: make([]int, len(order))}
	if r.builds == 0 || len(order) == 0 {
		return res
	}
	// joint identifies the tuple of the steps so far, per build.
	joint := make([]uint32, r.builds)
	runs := 0
	for k, step := range order {
		if r.states[step] != nil {
			joint = intern(joint, r.states[step])
		}
		res.Runs[k] = distinct(joint)
		runs += res.Runs[k]
		res.Seconds += r.costs[step] * float64(res.Runs[k])
	}
	res.Seconds /= float64(r.builds)
	res.HitRate = 1 - float64(runs)/float64(r.builds*len(order))
	return res
}

// New returns R(S): the number of builds whose tuple of states over the steps
// is new.
func (r *Replay) New(steps []int) int {
	if r.builds == 0 {
		return 0
	}
	joint := make([]uint32, r.builds)
	for _, s := range steps {
		if r.states[s] != nil {
			joint = intern(joint, r.states[s])
		}
	}
	return distinct(joint)
}

// intern numbers the pairs of a and b in order of first occurrence.
func intern(a, b []uint32) []uint32 {
	ids := make(map[uint64]uint32, len(a))
	out := make([]uint32, len(a))
	for i := range a {
		pair := uint64(a[i])<<32 | uint64(b[i])
		id, ok := ids[pair]
		if !ok {
			id = uint32(len(ids))
			ids[pair] = id
		}
		out[i] = id
	}
	return out
}

// distinct counts the values of a list that intern made, or of zeros.
func distinct(ids []uint32) int {
	highest := uint32(0)
	for _, id := range ids {
		highest = max(highest, id)
	}
	return int(highest) + 1
}

// contentStates returns, per commit, which state the files that takes selects
// are in. The state is a sum over (path, mode, object id) that a change
// updates in constant time: going back to old content gives the old state.
func contentStates(commits []changes.Commit, takes func(path string) bool) []uint32 {
	type sum [2]uint64
	var now sum
	flip := func(path string, e changes.Entry) {
		if !e.Exists() {
			return
		}
		var mode [4]byte
		binary.BigEndian.PutUint32(mode[:], e.Mode)
		h := sha256.Sum256(append(append(append(mode[:], e.OID...), 0), path...))
		now[0] ^= binary.BigEndian.Uint64(h[:8])
		now[1] ^= binary.BigEndian.Uint64(h[8:16])
	}
	ids := map[sum]uint32{}
	states := make([]uint32, len(commits))
	for i, c := range commits {
		for _, ch := range c.Changes {
			if takes(ch.Path) {
				flip(ch.Path, ch.Old)
				flip(ch.Path, ch.New)
			}
		}
		id, ok := ids[now]
		if !ok {
			id = uint32(len(ids))
			ids[now] = id
		}
		states[i] = id
	}
	return states
}

// touching counts the commits that change a path that takes selects.
func touching(commits []changes.Commit, takes func(path string) bool) int {
	n := 0
	for _, c := range commits {
		for _, ch := range c.Changes {
			if takes(ch.Path) {
				n++
				break
			}
		}
	}
	return n
}
