package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/ledger"
)

// took is a build at a minute that took all that the last step needs from the
// cache.
func took(minute int, command, files string) ledger.Build {
	b, _ := ran(minute, command, files)
	for i := range 5 {
		b.Fates[i] = cache.Untouched
		if i >= 2 {
			b.Fates[i] = cache.Loaded
		}
	}
	return b
}

// used has the builder note that what it holds was used at a minute.
func used(held []buildkit.Held, minute int) []buildkit.Held {
	held = slices.Clone(held)
	for i := range held {
		held[i].Used = noon.Add(time.Duration(minute) * time.Minute).Add(10 * time.Second)
	}
	return held
}

// Nobody saw two builds without cache that ran the same steps. What a third took
// is one of two that are listed alike: it is there for as long as they both are.
func TestReuseOfOneOfSeveral(t *testing.T) {
	_, first := ran(1, "run", "a")
	_, second := ran(2, "run", "a")
	all := used(slices.Concat(first, second), 3)
	// The keys of results that went may have been forgotten with them.
	const all3, none3, unknown3 = "hit hit hit", "miss miss miss", "unknown unknown unknown"
	_, fresh := ran(5, "run", "a")
	_, old := ran(0, "run", "a")
	tests := map[string]struct {
		first, then []buildkit.Held // what the builder lists after the build, and later
		late        bool            // it could not be asked in between
		want        string
	}{
		"all are there":                  {all, all, false, all3},
		"one more was made since":        {all, append(slices.Clone(all), fresh...), false, all3},
		"one of each went":               {all, all[:3], false, unknown3},
		"all went":                       {all, nil, false, none3},
		"all went, and others came":      {all, fresh, false, unknown3},
		"only one was used by the build": {append(slices.Clone(all[:3]), second...), used(first, 3), false, all3},
		"that one went":                  {append(slices.Clone(all[:3]), second...), second, false, unknown3},
		"another has been in use":        {inUse(append(slices.Clone(all[:3]), second...)), used(first, 3), false, unknown3},
		"none was used":                  {append(slices.Clone(old), first...), append(slices.Clone(old), first...), false, unknown3},
		"all were made after it":         {used(slices.Concat(fresh, first), 0), used(slices.Concat(fresh, first), 9), false, unknown3},
		"the builder could not be asked": {all, all, true, unknown3},
		"it is listed as something else": {nil, nil, false, unknown3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l, on := ledger.New(seal), ledger.Disk{}
			l.Learn(took(3, "run", "a"))
			if tt.late {
				l.Unlisted()
			}
			l.List(tt.first)
			l.List(tt.then)
			if err := l.Save(on.Put); err != nil {
				t.Fatal(err)
			}
			kept := reload(t, on)
			for range 2 {
				kept.List(tt.then)
			}
			for what, l := range map[string]*ledger.Ledger{"before": l, "after": kept} {
				if got := forecasts(l, "run", "a"); got != tt.want {
					t.Errorf("%s a restart: %s, want %s", what, got, tt.want)
				}
			}
		})
	}
}

// inUse lists results while a build has them: by when they were done.
func inUse(held []buildkit.Held) []buildkit.Held {
	held = slices.Clone(held)
	for i := range held {
		held[i].InUse, held[i].Created = true, held[i].Created.Add(600*time.Millisecond)
	}
	return held
}

// A miss stays in doubt while there is a result that may be of another key, and a
// hit does not.
func TestClaimExplainsNothing(t *testing.T) {
	_, first := ran(1, "run", "a")
	_, second := ran(2, "run", "a")
	all := used(slices.Concat(first, second), 3)
	l := ledger.New(seal)
	l.Learn(took(3, "run", "a"))
	l.List(all)
	if got := forecasts(l, "run", "a"); got != "hit hit hit" {
		t.Errorf("what was taken: %s, want hit hit hit", got)
	}
	if got := forecasts(l, "run", "b"); got != "hit unknown unknown" {
		t.Errorf("what may have been made by a build that nobody saw: %s, want hit unknown unknown", got)
	}
}

// Of two results that were reused, and two that are listed, nobody knows which is
// whose. Once the one is told by a build that is seen, nothing is told of the other.
func TestReuseIsNotToldByWhatIsLeft(t *testing.T) {
	_, first := ran(1, "run", "a")
	_, second := ran(2, "run", "a")
	all := used(slices.Concat(first, second), 3)
	l := ledger.New(seal)
	l.Learn(took(3, "run", "a"))
	l.List(all)
	l.List(all[:3]) // one of two went: which one?
	if got := forecasts(l, "run", "a"); got != "unknown unknown unknown" {
		t.Errorf("after one of two went: %s, want unknown unknown unknown", got)
	}
	// A build finds it, so that it is there: now it is the only one.
	l.Learn(took(4, "run", "a"))
	l.List(used(all[:3], 4))
	if got := forecasts(l, "run", "a"); got != "hit hit hit" {
		t.Errorf("after it was reused again: %s, want hit hit hit", got)
	}
	l.List(nil)
	if got := forecasts(l, "run", "a"); got != "miss miss miss" {
		t.Errorf("after all went: %s, want miss miss miss", got)
	}
}

// What was made while somebody looked, went, and was made anew while nobody did is
// there again once it is reused.
func TestReuseOfWhatWasMadeAnew(t *testing.T) {
	b, held := ran(0, "run", "a")
	l := ledger.New(seal)
	l.Learn(b)
	l.List(held)
	l.List(nil)
	_, anew := ran(1, "run", "a")
	_, again := ran(2, "run", "a")
	l.Learn(took(3, "run", "a"))
	l.List(used(slices.Concat(anew, again), 3))
	if got := forecasts(l, "run", "a"); got != "hit hit hit" {
		t.Errorf("predicted %s, want hit hit hit", got)
	}
}

// TestReuseBesideAnothers: the one result that nobody saw being made may have been what
// another key took, though that has one that is known, too.
func TestReuseBesideAnothers(t *testing.T) {
	const first, second, third = 2, 3, 5 // nodes of one RUN upon three files
	b, held := twins(time.Second / 10)
	b.Graph.Nodes = append(b.Graph.Nodes, cache.Node{Digests: []string{"sha256:two"}},
		cache.Node{Digests: []string{"sha256:run"}, Inputs: []cache.Input{{Node: 4}}, Steps: []int{2}})
	b.Graph.Targets = append(b.Graph.Targets, third)
	b.Fates = append(b.Fates, cache.Untouched, cache.Made)
	b.Records = append(b.Records, "", "the run")
	later := noon.Add(time.Minute)
	b.Runs = append(b.Runs, buildkit.Run{}, buildkit.Run{Started: later, Completed: later.Add(time.Second)})
	ofFirst, ofThird := held[0], buildkit.Held{Record: "the run", Created: later}
	l := ledger.New(seal)
	l.Learn(b)
	l.List(append(held, ofThird))

	// Of the twins one went, and a build without cache that nobody saw ran the third
	// anew: that is the one that a build takes then, beside what is left of the twins.
	anew := buildkit.Held{Record: "the run", Created: noon.Add(5 * time.Minute)}
	l.List([]buildkit.Held{ofFirst, ofThird, anew})
	again := b
	again.Fates, again.Runs = make([]cache.Fate, 6), make([]buildkit.Run, 6)
	at := noon.Add(6 * time.Minute)
	for _, n := range []int{first, third} {
		again.Fates[n], again.Runs[n] = cache.Loaded, buildkit.Run{Started: at, Completed: at}
	}
	l.Learn(again)
	ofFirst.Used, anew.Used = at, at
	l.List([]buildkit.Held{ofFirst, ofThird, anew})
	forecast := func(node int) cache.Forecast { return l.Predict(b.Graph, b.Records)[node].Forecast }
	for _, node := range []int{first, third} {
		if got := forecast(node); got != cache.WillHit {
			t.Errorf("after it was reused, node %d is predicted %q, want %q", node, got, cache.WillHit)
		}
	}
	l.List([]buildkit.Held{ofThird, anew})
	if got := forecast(first); got == cache.WillHit {
		t.Error("what is gone is predicted to hit")
	}
	l.List([]buildkit.Held{anew})
	for _, node := range []int{first, second, third} {
		if got := forecast(node); got != cache.Unknown {
			t.Errorf("with one left of which nobody knows whose it is, node %d is predicted %q, want %q", node, got, cache.Unknown)
		}
	}
}

// TestLedByOneOfSeveral: what was made of one of several states of a stage, nobody
// knows of which, may be what the next state leads to.
func TestLedByOneOfSeveral(t *testing.T) {
	l := ledger.New(seal)
	first, held := ran(0, "run", "a")
	second, more := ran(1, "run", "b")
	second.Fates[2] = cache.Loaded
	l.Learn(first)
	l.Learn(second)
	held = append(held, more[1:]...)
	// Somebody edits the last step, and builds one of the states while nobody looks at the files.
	third, last := ran(2, "run", "")
	edit := func(g cache.Graph) {
		g.Nodes[1].Unknown, g.Nodes[3].Inputs[1].Content = cache.NotObserved, ""
		g.Nodes[4].Digests = []string{"sha256:edited"}
	}
	edit(third.Graph)
	third.Fates = []cache.Fate{cache.Untouched, cache.Untouched, cache.Untouched, cache.Loaded, cache.Made}
	third.Records[4] = "record of edited"
	last[2].Record = third.Records[4]
	l.Learn(third)
	l.List(append(held, last[2]))
	g, records := graph("run", "c")
	g.Nodes[4].Digests, records[4] = []string{"sha256:edited"}, third.Records[4]
	if got := l.Predict(g, records)[4]; got.Forecast != cache.Unknown {
		t.Errorf("the edited step is predicted %+v, want %q", got, cache.Unknown)
	}
}

// TestReuseOfWhatWentAtOnce: of two results that are listed alike, and that a build took, one
// goes before the builder is asked. What is left is known to be the other's.
func TestReuseOfWhatWentAtOnce(t *testing.T) {
	b, held := twins(time.Minute)
	l := ledger.New(seal)
	l.Learn(b)
	l.List(held)
	l.Learn(taken(b, 2, 3))
	held[0].Used = anHourOn
	l.List(held[:1])
	for node, want := range map[int]cache.Forecast{2: cache.WillHit, 3: cache.Unknown} {
		if got := l.Predict(b.Graph, b.Records)[node].Forecast; got != want {
			t.Errorf("of node %d predicted %v, want %v", node, got, want)
		}
	}
}

// TestReuseOfWhatAnotherReplaced: a build took one of two results that are listed alike and
// went before the next list. That has another one instead, which the same build made and used
// so soon after that its time could be that of either.
func TestReuseOfWhatAnotherReplaced(t *testing.T) {
	for name, recheck := range map[string]bool{"": false, ", and the next list is from after one more build": true} {
		l := ledger.New(seal)
		b, held := twins(time.Minute)
		l.Learn(b)
		l.List(held)
		again, _ := twins(time.Minute)
		again.Graph.Nodes[0].Digests = []string{"sha256:another base"}
		end := b.Runs[3].Completed
		again.Runs[2] = buildkit.Run{Started: end.Add(time.Second / 10), Completed: end.Add(time.Second / 5)}
		again.Runs[3] = buildkit.Run{Started: end.Add(time.Second), Completed: end.Add(time.Second)}
		again.Fates[3] = cache.Loaded
		l.Learn(again)
		fresh := buildkit.Held{Record: "the run", Created: again.Runs[2].Started, Used: end.Add(time.Second)}
		if recheck {
			l.Recheck([]buildkit.Held{held[0], fresh})
		}
		for n, left := range [][]buildkit.Held{{held[0], fresh}, {fresh}} {
			l.List(left)
			if got := l.Predict(b.Graph, b.Records)[3].Forecast; got != cache.Unknown {
				t.Errorf("list %d%s: predicted %s", n, name, got)
			}
		}
	}
}

// TestReuseBeforeTheEnd: a build took results that nobody saw being made, and the ledger is
// read again before the builder was asked what it holds. They may have gone since.
func TestReuseBeforeTheEnd(t *testing.T) {
	l, on := ledger.New(seal), ledger.Disk{}
	l.Learn(took(3, "run", "a"))
	if err := l.Save(on.Put); err != nil {
		t.Fatal(err)
	}
	kept := reload(t, on)
	kept.List(nil)
	if got := forecasts(kept, "run", "a"); got != "unknown unknown unknown" {
		t.Errorf("predicted %s, want unknown unknown unknown", got)
	}
}

// TestReuseAboveTheUnseen: a build that nobody saw made another state of a stage, what takes
// files of it, and what lies on that. A build that takes the last of it does not show that
// the stage's files came out as they once did.
func TestReuseAboveTheUnseen(t *testing.T) {
	of := func(minute int, command, files string) (ledger.Build, []buildkit.Held) {
		b, held := ran(minute, command, "")
		b.Graph.Nodes[3] = cache.Node{Digests: []string{"sha256:take"}, Inputs: []cache.Input{
			{Node: 0}, {Node: 2, Selector: "sha256:selector", ByContent: true},
		}, Steps: []int{1}}
		b.Graph.Nodes[4] = cache.Node{Digests: []string{"sha256:last"}, Inputs: []cache.Input{
			{Node: 3}, {Node: 1, Selector: "sha256:selector", ByContent: true, Content: "sha256:" + files},
		}, Steps: []int{2}}
		return b, held
	}
	l := ledger.New(seal)
	var all []buildkit.Held
	for minute, files := range []string{"a", "b"} {
		b, held := of(minute, "one", files)
		l.Learn(b)
		all = append(all, held...)
	}
	l.List(all)
	_, unseen := of(2, "two", "a")
	all = used(append(all, unseen...), 2)
	l.List(all)
	third, _ := of(3, "two", "a")
	third.Fates = []cache.Fate{cache.Untouched, cache.Loaded, cache.Untouched, cache.Untouched, cache.Loaded}
	l.Learn(third)
	l.List(used(all, 3))
	next, _ := of(4, "two", "b")
	if got := l.Predict(next.Graph, next.Records)[4].Forecast; got != cache.Unknown {
		t.Errorf("of other files, the last step is predicted %q, want %q", got, cache.Unknown)
	}
}

// TestReuseOfOneOrTheOther: what a build took was made upon one stage or upon another, and
// nothing tells which. That it is there does not say that the result upon either is.
func TestReuseOfOneOrTheOther(t *testing.T) {
	const stage, files, copied, last = 1, 2, 3, 4 // nodes
	b := func(minute int, upon, end string, fates ...cache.Fate) ledger.Build {
		b := ledger.Build{
			Graph: cache.Graph{Nodes: []cache.Node{
				{Digests: []string{"sha256:base"}},
				stage:  {Digests: []string{"sha256:" + upon}, Inputs: []cache.Input{{Node: 0}}},
				files:  {Digests: []string{"sha256:files"}},
				copied: {Digests: []string{"sha256:copy"}, Inputs: []cache.Input{{Node: stage}, {Node: files, ByContent: true, Content: "sha256:same", Late: true}}},
				last:   {Digests: []string{"sha256:" + end}, Inputs: []cache.Input{{Node: copied}}},
			}, Targets: []int{last}},
			Fates:   fates,
			Runs:    make([]buildkit.Run, 5),
			Records: []string{"", upon, "", "the copy", end},
		}
		for i := range b.Runs {
			at := noon.Add(time.Duration(minute)*time.Minute + time.Duration(i)*5*time.Second)
			b.Runs[i] = buildkit.Run{Started: at, Completed: at.Add(time.Second)}
		}
		return b
	}
	made := func(minute int) buildkit.Held {
		at := noon.Add(time.Duration(minute)*time.Minute + copied*5*time.Second)
		return buildkit.Held{Record: "the copy", Created: at, Used: at.Add(time.Second)}
	}
	l := ledger.New(seal)
	first := b(0, "one", "end", cache.Untouched, cache.Made, cache.Loaded, cache.Made, cache.Made)
	l.Learn(first)
	// Somebody made another one at the same time, and one of the two goes.
	beside := made(0)
	beside.Created = beside.Created.Add(time.Second / 10)
	l.List([]buildkit.Held{made(0), beside})
	l.List([]buildkit.Held{beside})
	// Nobody sees how it is made upon another stage, only what is made of that.
	l.Learn(b(5, "two", "end", cache.Untouched, cache.Untouched, cache.Untouched, cache.Untouched, cache.Loaded))
	other := made(4)
	l.List([]buildkit.Held{beside, other})
	l.Learn(b(6, "two", "another end", cache.Untouched, cache.Untouched, cache.Loaded, cache.Loaded, cache.Made))
	other.Used = noon.Add(6*time.Minute + copied*5*time.Second)
	for range 2 {
		l.List([]buildkit.Held{beside, other})
		if got := l.Predict(first.Graph, first.Records)[copied].Forecast; got != cache.Unknown {
			t.Errorf("predicted %q, want %q", got, cache.Unknown)
		}
	}
}

// TestClaimToAnythingStays: a key claims any result that is listed as its record, and its steps
// run once more while somebody else runs them, too. That all the results of the two runs go does
// not say that what it claims is gone.
func TestClaimToAnythingStays(t *testing.T) {
	l := ledger.New(seal)
	l.Learn(took(3, "run", "a"))
	l.Unlisted() // so that nobody knows what was taken
	_, old := ran(1, "run", "a")
	old = used(old, 3)
	l.List(old)
	b, held := ran(5, "run", "a")
	l.Learn(b)
	beside := slices.Clone(held)
	for i := range beside {
		beside[i].Created = beside[i].Created.Add(time.Second / 10)
	}
	for _, list := range [][]buildkit.Held{slices.Concat(old, held, beside), slices.Concat(old, beside), old} {
		l.List(list)
	}
	if got := forecasts(l, "run", "a"); got != "unknown unknown unknown" {
		t.Errorf("predicted %s, want unknown unknown unknown", got)
	}
}

// anHourOn is when a build takes the results of twins.
var anHourOn = noon.Add(time.Hour)

// taken returns a build of twins that takes the results of nodes, and none of the others.
func taken(twins ledger.Build, nodes ...int) ledger.Build {
	twins.Fates, twins.Runs = make([]cache.Fate, 4), make([]buildkit.Run, 4)
	for i := range twins.Fates {
		twins.Fates[i] = cache.Untouched
		if slices.Contains(nodes, i) {
			twins.Fates[i], twins.Runs[i] = cache.Loaded, buildkit.Run{Started: anHourOn, Completed: anHourOn}
		}
	}
	return twins
}

// TestReuseOfWhatWasNeverListed: of two results that are listed alike, one goes after another
// build took it and before either was listed. What is left may be either.
func TestReuseOfWhatWasNeverListed(t *testing.T) {
	b, held := twins(time.Second / 10)
	for what, tt := range map[string]struct {
		seen bool  // how they are made
		took []int // by the build
	}{
		"both are seen being made and then taken":      {true, []int{2, 3}},
		"both are taken, and nobody saw who made them": {false, []int{2, 3}},
		"both are seen being made, one is taken":       {true, []int{2}},
		"both are seen being made, the other is taken": {true, []int{3}},
	} {
		for left := range held {
			l := ledger.New(seal)
			l.List(nil)
			if tt.seen {
				l.Learn(b)
			}
			l.Learn(taken(b, tt.took...))
			one := held[left]
			one.Used = anHourOn // as well by the build as by one that nobody saw
			for range 2 {
				l.List([]buildkit.Held{one})
				for node := 2; node < 4; node++ {
					if got := l.Predict(b.Graph, b.Records)[node].Forecast; got != cache.Unknown {
						t.Errorf("%s: with result %d left, node %d is predicted %q, want %q", what, left, node, got, cache.Unknown)
					}
				}
			}
		}
	}
}
