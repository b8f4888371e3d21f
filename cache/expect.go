package cache

import (
	"iter"
	"slices"
	"time"
)

// A Spread is the range of what was observed of a quantity, by its quartiles: a quarter lies
// below Low, half below Median, and a quarter above High.
type Spread struct{ Low, Median, High float64 }

// spread returns the spread of values, which must not be empty. Between two values it
// interpolates.
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

// An Expectation is how long the parts of builds of one definition took, in seconds.
type Expectation struct {
	// Steps are times of executions, by instruction, without those that failed.
	Steps map[string]Spread
	// Fixed is the time in which no step ran: for metadata, transfers, pulls and exports.
	// It is nil if no build succeeded.
	Fixed *Spread
}

// recent is how many executions of a step, and how many builds, count: the latest. So the
// expectation follows soon when a step was made faster.
const recent = 25

// Expect returns what to expect of builds, by name of the definition, given the records of
// earlier ones, the newest first.
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

// FixedSeconds returns for how much of the build's wall time no step ran.
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
