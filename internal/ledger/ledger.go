// Package ledger keeps account of what one builder's cache holds, from the builds
// that were observed on it and from what it lists, and predicts from that what
// the next build executes.
//
// A [Ledger] starts out knowing nothing: what the builder held before is seen by
// what it is listed as, and makes predictions unknown rather than wrong.
package ledger

import (
	"slices"
	"sync"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// A Ledger is of one builder. It is safe for concurrent use.
type Ledger struct {
	mu      sync.Mutex // guards the fields below
	mirror  *cache.Mirror
	entries map[cache.KeyID][]entry
	found   map[cache.KeyID]string // keys of results that nobody saw being made → what they are listed as
	foreign map[string]bool        // listed as these are results of which nothing is known
	listed  bool                   // the builder has said what it holds
}

// An entry is an execution that made the result of a key: the builder lists it
// as record, made within the run.
type entry struct {
	record string
	run    buildkit.Run
}

// slack is how far the builder's time of a result may lie outside of the run of
// its operation: the snapshot is taken before the run is reported, and committed
// after it.
const slack = 250 * time.Millisecond

func (e entry) lists(h buildkit.Held) bool {
	return e.record == h.Record && !h.Created.Before(e.run.Started.Add(-slack)) && !h.Created.After(e.run.Completed.Add(slack))
}

// New returns a ledger of a builder of which nothing is known.
func New() *Ledger {
	return &Ledger{entries: map[cache.KeyID][]entry{}, found: map[cache.KeyID]string{}, foreign: map[string]bool{}}
}

// A Build is what is entered of a finished build, by node of its graph.
type Build struct {
	Graph   cache.Graph
	Fates   []cache.Fate
	Runs    []buildkit.Run
	Records []string // what results are listed as: see dockerfile.Op.Record
}

// Learn enters a finished build. Nodes of which it is not known what files they
// took are noted as such.
func (l *Ledger) Learn(b Build) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var stored []cache.KeyID
	l.mirror, stored = l.mirror.Learn(b.Graph, b.Fates)
	for i, key := range stored {
		switch {
		case key == "" || b.Records[i] == "":
		case b.Fates[i] == cache.Made:
			l.entries[key] = append(l.entries[key], entry{b.Records[i], b.Runs[i]})
			delete(l.found, key)
		case l.entries[key] == nil:
			l.found[key] = b.Records[i]
		}
	}
}

// List enters what the builder holds now. What was known to be there and is not
// listed any more is gone; what is listed and was not observed is noted.
func (l *Ledger) List(held []buildkit.Held) {
	l.mu.Lock()
	defer l.mu.Unlock()
	byRecord := map[string][]buildkit.Held{}
	for _, h := range held {
		byRecord[h.Record] = append(byRecord[h.Record], h)
	}
	explained := map[buildkit.Held]bool{}
	lives := map[cache.KeyID]cache.Life{}
	for key, entries := range l.entries {
		lives[key] = cache.Gone
		for _, e := range entries {
			for _, h := range byRecord[e.record] {
				if e.lists(h) {
					explained[h], lives[key] = true, cache.Live
				}
			}
		}
	}
	l.adopt(byRecord, explained, lives)
	clear(l.foreign)
	for _, h := range held {
		if !explained[h] {
			l.foreign[h.Record] = true
		}
	}
	l.mirror, l.listed = l.mirror.Mark(lives), true
}

// adopt finds the results that were reused and that nobody saw being made: such
// a one is known where it is the only one that is listed like it.
func (l *Ledger) adopt(byRecord map[string][]buildkit.Held, explained map[buildkit.Held]bool, lives map[cache.KeyID]cache.Life) {
	claims := map[string]int{}
	for _, record := range l.found {
		claims[record]++
	}
	for key, record := range l.found {
		open := slices.DeleteFunc(slices.Clone(byRecord[record]), func(h buildkit.Held) bool { return explained[h] })
		if len(open) != 1 || claims[record] != 1 {
			lives[key] = cache.Perhaps
			continue
		}
		explained[open[0]], lives[key] = true, cache.Live
		l.entries[key] = []entry{{record, buildkit.Run{Started: open[0].Created, Completed: open[0].Created}}}
		delete(l.found, key)
	}
}

// Predict says what a build of g would execute now. records are what the results
// of its nodes are listed as.
func (l *Ledger) Predict(g cache.Graph, records []string) []cache.Prediction {
	l.mu.Lock()
	defer l.mu.Unlock()
	nodes := slices.Clone(g.Nodes)
	for i := len(nodes) - 1; i >= 0; i-- {
		n := &nodes[i]
		if n.Doubted = n.Doubted || !l.listed || l.foreign[records[i]]; !n.Doubted {
			continue
		}
		// What led to a result that nobody observed has keys that nobody knows.
		for _, in := range n.Inputs {
			nodes[in.Node].Doubted = true
		}
	}
	return l.mirror.Predict(cache.Graph{Nodes: nodes, Targets: g.Targets})
}
