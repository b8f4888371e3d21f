package cache

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// Stats sums up records, one entry per definition, ordered by repository and name. Records
// that belong to no definition are left out. The order of the records does not matter.
// blames returns what broke the cache in a build, as far as that is known; it may be nil.
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
	Builds     int // of any status
	Failed     int // builds that failed, without those that were canceled
	Canceled   int // builds that were canceled
	// Needed counts the steps of all builds without those that were skipped, and Hits the
	// ones of them that were reused.
	Hits, Needed int
	// SecondsSaved estimates what reuse spared: the median of a step's own
	// executions, times its reuses. A step that was never seen to run adds
	// nothing.
	SecondsSaved float64
	SecondsLost  float64 // execution time of the steps that ran
	MeanSeconds  float64 // wall time per build
	// Steps are in the order of the newest build that has them, those of newer builds first.
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
	Hits, Misses int    // in how many builds it was reused, and ran
	// MedianSeconds is the median time of the executions that succeeded; 0 for none.
	MedianSeconds float64
	SecondsSaved  float64 // MedianSeconds for each hit
	SecondsLost   float64 // execution time of the misses
}

// A Breaker is a step that broke the cache: it ran although nothing that it takes in did.
type Breaker struct {
	ID          StepID
	Name        string  // as in the newest build
	Times       int     // in how many builds it broke the cache
	SecondsLost float64 // of the step, and of those that ran because of it
	// Costliest is the name of the one of these steps that took most time in all builds;
	// "" if none took any.
	Costliest string
	Behind    []Behind // why it ran, as far as that is known, the costliest first
}

// A StepID tells the steps of a definition apart, in all its builds. It is made of what stays
// when a line is inserted above: the instruction's text and its stage, not its number.
type StepID struct {
	Platform string
	Stage    string
	Text     string // the instruction, as the Dockerfile writes it
	Nth      int    // which one among equal instructions of the stage, from 0
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

// A tally adds up the records of one definition.
type tally struct {
	out   DefinitionStats // as far as it is a plain sum
	wall  float64         // seconds of all builds
	steps map[StepID]*stepTally

	// The steps of the last record, with their identities and tallies. They are kept
	// because most builds of a definition have the same steps as the one before.
	shape   []Step
	ids     []StepID
	tallies []*stepTally

	blames func(Record) []Blame
}

// A stepTally adds up what builds did with one step.
type stepTally struct {
	last     moment // the newest build that has it
	position int    // of the step in that build
	stats    StepStats
	times    []float64 // seconds of the executions that succeeded
	broke    Breaker
	costs    map[StepID]float64 // as a breaker: seconds of each step that ran because of it
	behind   map[Behind]*Behind // as a breaker: by Kind and Name alone
}

// add adds a record.
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

// identify sets t.ids and t.tallies to those of steps.
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

// A moment orders records by completion, then by ref, so that the order in which they are
// added does not matter. The zero moment is before all others.
type moment struct {
	completed time.Time
	ref       string
}

// after reports whether m is after o.
func (m moment) after(o moment) bool {
	return o.ref == "" || cmp.Or(m.completed.Compare(o.completed), cmp.Compare(m.ref, o.ref)) > 0
}

// add adds the step of one build.
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

// blame charges the time of steps that cascaded to the breakers of the build. A record does
// not say because of which breaker a step ran. It is taken to be the nearest one above in
// the same stage and platform, else the nearest one above at all.
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

// sum returns the statistics of all that was added.
func (t *tally) sum(repository, name string) DefinitionStats {
	out := t.out
	out.Repository, out.Name = repository, name
	out.MeanSeconds = t.wall / float64(out.Builds)
	names := map[StepID]string{}
	for id, st := range t.steps {
		names[id] = st.stats.Name
	}
	for _, st := range t.ordered() {
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

// ordered returns the tallies of steps: those of newer builds first, and those that were last
// seen in the same build in its order.
func (t *tally) ordered() []*stepTally {
	return slices.SortedFunc(maps.Values(t.steps), func(a, b *stepTally) int {
		switch {
		case a.last.ref == b.last.ref:
			return cmp.Compare(a.position, b.position)
		case a.last.after(b.last):
			return -1
		default:
			return 1
		}
	})
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
