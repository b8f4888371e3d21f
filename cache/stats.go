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
	Remote       RemoteStats
	// Steps are in the order of the newest build that has them, those of newer builds first.
	Steps    []StepStats
	Breakers []Breaker // costliest first
}

// RemoteStats has what caches elsewhere cost and saved the builds that used one. A cache that
// one build writes saves time in others, so that only the sums compare.
type RemoteStats struct {
	Builds                int     // those that wrote a cache or tried to read one
	Export, Import, Fetch float64 // seconds in sum, as in [RemoteUse]
	// Imported counts the steps that were [Imported], and Hits those that may have been: a hit
	// in a build that could read a cache comes from there or is the builder's own. BuildKit
	// tells them apart only where it fetched the layers for just that step.
	Imported, Hits int
	// SecondsSaved is the median of a step's own executions for each time it was imported.
	// SecondsSavedAtMost has Hits as well.
	SecondsSaved, SecondsSavedAtMost float64
	// Unknown says how many of Imported and Hits are of steps that were never seen to run.
	// They add to neither number of seconds.
	Unknown int
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
	tallies []*stepTally
	lanes   []int  // by step: the same number for those of the same stage and platform
	newest  moment // of the records with these steps since there was another one

	breakings []breaking // of the last record
	nearest   []int      // by lane: the index in breakings of the nearest breaker above, -1 for none

	blames func(Record) []Blame
}

// A stepTally adds up what builds did with one step.
type stepTally struct {
	last     moment // the newest build that has it
	position int    // of the step in that build
	stats    StepStats
	times    []float64 // seconds of the executions that succeeded
	imported int       // as RemoteStats.Imported
	maybe    int       // as RemoteStats.Hits
	broke    Breaker
	costs    map[*stepTally]float64 // as a breaker: seconds of each step that ran because of it
	behind   map[Behind]*Behind     // as a breaker: by Kind and Name alone
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
	if at := (moment{r.Completed, r.Ref}); at.after(t.newest) {
		t.newest = at
	}
	for i := range r.Steps {
		t.tallies[i].add(&r.Steps[i])
	}
	t.blame(r)
	if r.Remote != (RemoteUse{}) {
		t.remote(r)
	}
}

// remote adds a record of a build that used a cache elsewhere.
func (t *tally) remote(r Record) {
	sum := &t.out.Remote
	sum.Builds++
	sum.Export += r.Remote.Export
	sum.Import += r.Remote.Import
	sum.Fetch += r.Remote.Fetch
	for i := range r.Steps {
		switch o := r.Steps[i].Outcome; {
		case o == Imported:
			t.tallies[i].imported++
		case o == Hit && r.Remote.Read:
			t.tallies[i].maybe++
		}
	}
}

// identify sets t.tallies and t.lanes to those of steps.
func (t *tally) identify(steps []Step) {
	if t.sameShape(steps) {
		return
	}
	t.settle()
	t.shape, t.tallies, t.lanes = slices.Clone(steps), make([]*stepTally, len(steps)), make([]int, len(steps))
	lanes := map[[2]string]int{}
	for i, id := range Identify(steps) {
		st := t.steps[id]
		if st == nil {
			st = &stepTally{}
			st.stats.ID, st.broke.ID = id, id
			t.steps[id] = st
		}
		t.tallies[i] = st
		own := [2]string{id.Platform, id.Stage}
		if _, ok := lanes[own]; !ok {
			lanes[own] = len(lanes)
		}
		t.lanes[i] = lanes[own]
	}
	t.nearest = make([]int, len(lanes))
}

// settle has the steps know of t.newest, and forgets it.
func (t *tally) settle() {
	for i, st := range t.tallies {
		if t.newest.after(st.last) {
			st.last, st.position, st.stats.Name = t.newest, i, t.shape[i].Name
		}
	}
	t.newest = moment{}
}

// sameShape reports whether steps are those of the last record, by all that identifies them.
func (t *tally) sameShape(steps []Step) bool {
	if len(steps) != len(t.shape) {
		return false
	}
	for i := range steps {
		if a, b := &steps[i], &t.shape[i]; a.Name != b.Name || a.Stage != b.Stage || a.Platform != b.Platform {
			return false
		}
	}
	return true
}

// A moment orders records by completion, then by ref, so that the order in which they are
// added does not matter. The zero moment is before all others.
type moment struct {
	completed time.Time
	ref       string
}

// after reports whether m is after o.
func (m moment) after(o moment) bool {
	if c := m.completed.Compare(o.completed); c != 0 || o.ref == "" {
		return c > 0 || o.ref == ""
	}
	return m.ref > o.ref
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
	t.breakings = t.breakings[:0]
	for i := range t.nearest {
		t.nearest[i] = -1
	}
	for i := range r.Steps {
		s, lane := &r.Steps[i], t.lanes[i]
		switch s.Outcome {
		case Executed:
			t.nearest[lane] = len(t.breakings)
			t.breakings = append(t.breakings, breaking{step: i})
		case Cascaded, Failed:
			if t.nearest[lane] < 0 {
				t.nearest[lane] = len(t.breakings) - 1
			}
		default:
			continue
		}
		if n := t.nearest[lane]; n >= 0 && s.Seconds != 0 {
			t.breakings[n].lost += s.Seconds
			t.tallies[t.breakings[n].step].cost(t.tallies[i], s.Seconds)
		}
	}
	if len(t.breakings) == 0 {
		return
	}
	blames := t.blames(r)
	for _, b := range t.breakings {
		t.tallies[b.step].charge(b, blames)
	}
}

// sum returns the statistics of all that was added.
func (t *tally) sum(repository, name string) DefinitionStats {
	t.settle()
	out := t.out
	out.Repository, out.Name = repository, name
	out.MeanSeconds = t.wall / float64(out.Builds)
	for _, st := range t.ordered() {
		s := st.stats
		s.MedianSeconds = median(st.times)
		s.SecondsSaved = s.MedianSeconds * float64(s.Hits)
		out.SecondsSaved += s.SecondsSaved
		out.SecondsLost += s.SecondsLost
		out.Remote.add(st, s.MedianSeconds)
		out.Steps = append(out.Steps, s)
		if st.broke.Times > 0 {
			out.Breakers = append(out.Breakers, st.breaker())
		}
	}
	slices.SortStableFunc(out.Breakers, func(a, b Breaker) int {
		return cmp.Or(cmp.Compare(b.SecondsLost, a.SecondsLost), cmp.Compare(b.Times, a.Times))
	})
	return out
}

// add adds a step, of whose executions the median is given.
func (s *RemoteStats) add(st *stepTally, median float64) {
	s.Imported += st.imported
	s.Hits += st.maybe
	if len(st.times) == 0 {
		s.Unknown += st.imported + st.maybe
		return
	}
	s.SecondsSaved += median * float64(st.imported)
	s.SecondsSavedAtMost += median * float64(st.imported+st.maybe)
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
