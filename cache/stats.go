package cache

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"
)

// Stats sums up records, one entry per definition, ordered by repository and
// name. Records that belong to no definition are left out. Nothing depends on
// the order in which records arrive. blames returns what is known of what broke the
// cache in a build; nil if nothing is.
func Stats(records iter.Seq[Record], blames func(Record) []Blame) []DefinitionStats {
	if blames == nil {
		blames = func(Record) []Blame { return nil }
	}
	byName := map[[2]string]*tally{}
	for r := range records {
		if r.Definition == "" {
			continue
		}
		id := [2]string{r.Repository, r.Definition}
		t := byName[id]
		if t == nil {
			t = &tally{steps: map[StepID]*stepTally{}, blames: blames}
			byName[id] = t
		}
		t.add(r)
	}
	all := make([]DefinitionStats, 0, len(byName))
	for id, t := range byName {
		all = append(all, t.sum(id[0], id[1]))
	}
	slices.SortFunc(all, func(a, b DefinitionStats) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// DefinitionStats sums up the builds of one definition.
type DefinitionStats struct {
	Repository string
	Name       string
	Builds     int // all of them
	Failed     int // of these, failed; canceled builds are not failures
	Canceled   int // of these, given up before they ended
	// Hits of Needed steps were reused. Skipped steps were not needed.
	Hits, Needed int
	// SecondsSaved estimates what reuse spared: the median of a step's own
	// executions, times its reuses. A step that was never seen to run adds
	// nothing.
	SecondsSaved float64
	SecondsLost  float64 // what steps that ran took
	MeanSeconds  float64 // wall time per build
	// Steps are ordered as the newest build that has them had them.
	Steps    []StepStats
	Breakers []Breaker // costliest first
}

// HitRate returns the share of needed steps that were reused, and false if
// none was needed.
func (d DefinitionStats) HitRate() (float64, bool) {
	if d.Needed == 0 {
		return 0, false
	}
	return float64(d.Hits) / float64(d.Needed), true
}

// StepStats sums up one step over builds.
type StepStats struct {
	ID           StepID
	Name         string // as in the newest build
	Hits, Misses int
	// MedianSeconds is that of the executions that succeeded; 0 if there were none.
	MedianSeconds float64
	SecondsSaved  float64
	SecondsLost   float64
}

// A Breaker is a step that was the first to miss.
type Breaker struct {
	ID          StepID
	Name        string
	Times       int
	SecondsLost float64 // of the step and of what ran because of it
	// Costliest is the name of the step, of it and those that ran because of it, that
	// took most in all; "" where nothing took time.
	Costliest string
	Behind    []Behind // what it was, as far as it is known, the costliest first
}

// A StepID tells steps of one definition apart across builds. It holds what
// stays when a line is inserted above: the instruction's text and its stage,
// not its number.
type StepID struct {
	Platform string
	Stage    string
	Text     string // the instruction, as the Dockerfile writes it
	Nth      int    // among equal instructions of the stage, from 0
}

// Identify returns the identities of a record's steps, in order.
func Identify(steps []Step) []StepID {
	ids := make([]StepID, len(steps))
	seen := map[StepID]int{}
	for i, s := range steps {
		id := StepID{Platform: s.Platform, Stage: s.Stage, Text: s.Instruction()}
		ids[i] = id
		ids[i].Nth = seen[id]
		seen[id]++
	}
	return ids
}

// Instruction returns the step's instruction as the Dockerfile writes it: its
// name without "[build 3/7] ".
func (s Step) Instruction() string {
	if strings.HasPrefix(s.Name, "[") {
		if _, text, ok := strings.Cut(s.Name, "] "); ok {
			return text
		}
	}
	return s.Name
}

type tally struct {
	out   DefinitionStats
	wall  float64
	steps map[StepID]*stepTally

	// shape are the steps of the record before, with their identities and tallies:
	// most builds of a definition have the steps of the one before.
	shape   []Step
	ids     []StepID
	tallies []*stepTally

	blames func(Record) []Blame
}

type stepTally struct {
	last     moment // of the newest build that has it
	position int    // in that build
	stats    StepStats
	times    []float64
	broke    Breaker
	costs    map[StepID]float64 // seconds of what ran because of it
	behind   map[Behind]*Behind
}

func (t *tally) add(r Record) {
	t.out.Builds++
	switch r.Status {
	case Broken:
		t.out.Failed++
	case Canceled:
		t.out.Canceled++
	}
	t.wall += r.Seconds()
	hits, needed := r.Hits()
	t.out.Hits += hits
	t.out.Needed += needed
	t.identify(r.Steps)
	at := moment{r.Completed, r.Ref}
	for i := range r.Steps {
		s, st := &r.Steps[i], t.tallies[i]
		if at.after(st.last) {
			st.last, st.position, st.stats.Name = at, i, s.Name
		}
		st.add(s)
	}
	t.blame(r)
}

// identify finds the tallies of the steps of a record.
func (t *tally) identify(steps []Step) {
	same := slices.EqualFunc(steps, t.shape, func(a, b Step) bool { return a.Name == b.Name && a.Stage == b.Stage && a.Platform == b.Platform })
	if same && t.ids != nil {
		return
	}
	t.shape, t.ids, t.tallies = slices.Clone(steps), Identify(steps), make([]*stepTally, len(steps))
	for i, id := range t.ids {
		st := t.steps[id]
		if st == nil {
			st = &stepTally{}
			st.stats.ID, st.broke.ID = id, id
			t.steps[id] = st
		}
		t.tallies[i] = st
	}
}

// A moment orders records by completion, then by ref, so that the result does not
// depend on the order of arrival.
type moment struct {
	completed time.Time
	ref       string
}

func (m moment) after(o moment) bool {
	return o.ref == "" || cmp.Or(m.completed.Compare(o.completed), cmp.Compare(m.ref, o.ref)) > 0
}

func (st *stepTally) add(s *Step) {
	switch {
	case s.Outcome.Reused():
		st.stats.Hits++
	case s.Outcome.Ran():
		st.stats.Misses++
		st.stats.SecondsLost += s.Seconds
		if s.Outcome != Failed {
			st.times = append(st.times, s.Seconds)
		}
	}
}

// blame charges what cascaded to the breakers of the build. A record does not
// say which breaker a step cascaded from: it is the nearest one above in its
// own stage and platform, else the nearest one above at all.
func (t *tally) blame(r Record) {
	if !slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Outcome == Executed }) {
		return
	}
	nearest := map[[2]string]*breaking{}
	var last *breaking
	var all []*breaking
	for i, s := range r.Steps {
		own := [2]string{s.Platform, s.Stage}
		switch s.Outcome {
		case Executed:
			last = &breaking{step: i, seconds: make([]float64, len(r.Steps))}
			last.seconds[i] = s.Seconds
			all = append(all, last)
			nearest[own] = last
		case Cascaded, Failed:
			if b := cmp.Or(nearest[own], last); b != nil {
				b.seconds[i] += s.Seconds
				nearest[own] = b
			}
		}
	}
	blames := t.blames(r)
	for _, b := range all {
		t.tallies[b.step].charge(b, t.ids, blames)
	}
}

func (t *tally) sum(repository, name string) DefinitionStats {
	out := t.out
	out.Repository, out.Name = repository, name
	out.MeanSeconds = t.wall / float64(out.Builds)
	ordered := make([]*stepTally, 0, len(t.steps))
	for _, st := range t.steps {
		ordered = append(ordered, st)
	}
	slices.SortFunc(ordered, func(a, b *stepTally) int {
		if a.last.ref != b.last.ref {
			if a.last.after(b.last) {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.position, b.position)
	})
	names := map[StepID]string{}
	for id, st := range t.steps {
		names[id] = st.stats.Name
	}
	for _, st := range ordered {
		s := st.stats
		s.MedianSeconds = median(st.times)
		s.SecondsSaved = s.MedianSeconds * float64(s.Hits)
		out.SecondsSaved += s.SecondsSaved
		out.SecondsLost += s.SecondsLost
		out.Steps = append(out.Steps, s)
		if st.broke.Times > 0 {
			out.Breakers = append(out.Breakers, st.breaker(names))
		}
	}
	slices.SortStableFunc(out.Breakers, func(a, b Breaker) int {
		return cmp.Or(cmp.Compare(b.SecondsLost, a.SecondsLost), cmp.Compare(b.Times, a.Times))
	})
	return out
}

// median returns the middle of values, the mean of the two middle ones for an
// even number, 0 for none. It sorts values.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	slices.Sort(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
