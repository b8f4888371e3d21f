package cache

import (
	"iter"
	"slices"
	"time"
)

// A Spread is what a quantity was most of the time: a quarter of what was observed
// lies below Low, half below Median, and a quarter above High.
type Spread struct{ Low, Median, High float64 }

// spread returns that of values, of which there is at least one.
func spread(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	at := func(share float64) float64 {
		place := share * float64(len(sorted)-1)
		i := int(place)
		if i+1 == len(sorted) {
			return sorted[i]
		}
		return sorted[i] + (place-float64(i))*(sorted[i+1]-sorted[i])
	}
	return Spread{at(0.25), at(0.5), at(0.75)}
}

// An Expectation is how long the parts of a build of one definition took, in
// seconds.
type Expectation struct {
	// Steps are executions, by instruction. What failed tells nothing.
	Steps map[string]Spread
	// Fixed is the part during which no step ran: metadata, transfers, pulls and
	// exports. Nil if no build succeeded.
	Fixed *Spread
}

// recent is how many executions and builds count: a step that was made faster is
// expected to be.
const recent = 25

// Expect returns what to expect of definitions by name, given the records of their
// builds, the newest first.
func Expect(records iter.Seq[Record]) map[string]Expectation {
	type samples struct {
		steps map[string][]float64
		fixed []float64
	}
	all := map[string]*samples{}
	for r := range records {
		s := all[r.Definition]
		if s == nil {
			s = &samples{steps: map[string][]float64{}}
			all[r.Definition] = s
		}
		if r.Status == Completed && len(s.fixed) < recent {
			s.fixed = append(s.fixed, r.FixedSeconds())
		}
		for _, step := range r.Steps {
			if name := step.Instruction(); (step.Outcome == Executed || step.Outcome == Cascaded) && step.Seconds > 0 && len(s.steps[name]) < recent {
				s.steps[name] = append(s.steps[name], step.Seconds)
			}
		}
	}
	out := make(map[string]Expectation, len(all))
	for name, s := range all {
		e := Expectation{Steps: make(map[string]Spread, len(s.steps))}
		for instruction, seconds := range s.steps {
			e.Steps[instruction] = spread(seconds)
		}
		if len(s.fixed) > 0 {
			fixed := spread(s.fixed)
			e.Fixed = &fixed
		}
		out[name] = e
	}
	return out
}

// FixedSeconds returns for how long no step ran while the build did.
func (r Record) FixedSeconds() float64 {
	type span struct{ from, to time.Time }
	var spans []span
	for _, s := range r.Steps {
		if s.Seconds > 0 && !s.Started.IsZero() {
			spans = append(spans, span{s.Started, s.Started.Add(time.Duration(s.Seconds * float64(time.Second)))})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	busy, end := time.Duration(0), time.Time{}
	for _, s := range spans {
		if s.from.Before(end) {
			s.from = end
		}
		if s.to.After(s.from) {
			busy, end = busy+s.to.Sub(s.from), s.to
		}
	}
	return max(0, r.Seconds()-busy.Seconds())
}
