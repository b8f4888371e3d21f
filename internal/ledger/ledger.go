// Package ledger keeps account of what one builder's cache holds, from the builds
// that were observed on it and from what it lists, and predicts from that what
// the next build executes.
//
// A [Ledger] that starts out empty knows nothing: what the builder held before is
// seen by what it is listed as, and makes predictions unknown rather than wrong.
// The same holds for one that was kept while nobody observed the builder. What it
// must not do is forget a key that leads to a result that it knows: see forget.
//
// It holds no digest of BuildKit's, which are plain hashes over values: what it is
// given it seals first, so that what is in memory is what may be kept.
package ledger

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// A Ledger is of one builder. It is safe for concurrent use.
type Ledger struct {
	seal    func(string) string
	maxKeys int // the constant, but for tests
	// lag is how long after a result went the builder may still have keys to it.
	lag time.Duration

	saving sync.Mutex // held while changes are kept, so that they are in order

	mu      sync.Mutex // guards the fields below
	mirror  *cache.Mirror
	entries map[cache.KeyID][]entry
	claims  map[cache.KeyID]claim
	reused  map[cache.KeyID]reuse // since the builder last listed what it holds
	imports map[cache.KeyID][]imported
	arrival *arrival              // of the build that was learned since, if it was only one
	ids     map[string]bool       // what was listed last; nil until something was
	mixed   []mixture             // as it was listed last
	mixing  listing               // of mixed, while the ledger is read
	last    listing               // what the builder listed last, since the start
	repeats []*repeat             // builds that succeeded, the latest last
	luck    map[string]cache.Luck // by operation
	foreign map[string]bool       // listed as these are results of which nothing is known
	seen    time.Time             // see Saw
	learned int                   // how many builds were, since the start
	listed  bool                  // the builder has said what it holds since the last build
	dead    map[cache.KeyID]bool  // keys that have led to no result since deadAt; nil while there is room
	deadAt  time.Time             // by the clock of this machine
	changes map[string][]byte     // that are not kept yet: see encode.go
	renewed bool                  // nothing that is kept holds any more, but for changes
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

// window is when a result of a run may have been made, up to and without end.
func window(run buildkit.Run) (start, end time.Time) {
	return run.Started.Add(-slack), run.Completed.Add(slack + 1)
}

// New returns a ledger of a builder of which nothing is known. seal turns a digest
// into what stands for it, short and always the same; nobody may be able to tell
// the digest from it.
func New(seal func(string) string) *Ledger {
	return &Ledger{
		seal: seal, maxKeys: maxKeys, lag: lag, entries: map[cache.KeyID][]entry{}, claims: map[cache.KeyID]claim{}, reused: map[cache.KeyID]reuse{},
		imports: map[cache.KeyID][]imported{},
		luck:    map[string]cache.Luck{}, foreign: map[string]bool{}, changes: map[string][]byte{},
	}
}

// sealed returns what stands for a digest, "" for none.
func (l *Ledger) sealed(digest string) string {
	if digest == "" {
		return ""
	}
	return l.seal(digest)
}

func (l *Ledger) sealedAll(digests []string) []string {
	list := make([]string, len(digests))
	for i, d := range digests {
		list[i] = l.sealed(d)
	}
	return list
}

func (l *Ledger) sealedGraph(g cache.Graph) cache.Graph {
	nodes := slices.Clone(g.Nodes)
	for i := range nodes {
		n := &nodes[i]
		n.Digests, n.Inputs = l.sealedAll(n.Digests), slices.Clone(n.Inputs)
		for j := range n.Inputs {
			in := &n.Inputs[j]
			in.Selector, in.Content = l.sealed(in.Selector), l.sealed(in.Content)
		}
	}
	return cache.Graph{Nodes: nodes, Targets: g.Targets}
}

// A Build is what is entered of a finished build, by node of its graph.
type Build struct {
	Graph   cache.Graph
	Fates   []cache.Fate
	Runs    []buildkit.Run // of what was executed or loaded
	Records []string       // what results are listed as: see dockerfile.Op.Record
	// Late reports that the builder could not be asked soon after the build what it
	// holds.
	Late bool
	// Broken reports that the build did not succeed: it says nothing of what it did not
	// come to.
	Broken bool
	// Whole reports that the build succeeded, Imports that it looked into a cache
	// elsewhere.
	Whole, Imports bool
	// Elsewhere is what these caches held, by BuildKit's own digests; nil if that is not
	// known of all of them.
	Elsewhere []*cache.RemoteCache
}

// reached returns what a broken build came to: what it executed or loaded, and what
// that is made of, without that of whose files it is not known what they were.
func (b Build) reached() Build {
	n := len(b.Graph.Nodes)
	keep, lost := make([]bool, n), make([]bool, n)
	for i, node := range b.Graph.Nodes { // inputs come first
		lost[i] = node.Unknown != "" || slices.ContainsFunc(node.Inputs, func(in cache.Input) bool { return lost[in.Node] })
	}
	for i := n - 1; i >= 0; i-- {
		keep[i] = !lost[i] && (keep[i] || b.Fates[i] != cache.Untouched)
		if !keep[i] {
			continue
		}
		for _, in := range b.Graph.Nodes[i].Inputs {
			keep[in.Node] = true
		}
	}
	var out Build
	place := make([]int, n)
	for i, node := range b.Graph.Nodes {
		if !keep[i] {
			continue
		}
		place[i] = len(out.Graph.Nodes)
		node.Inputs = slices.Clone(node.Inputs)
		for j := range node.Inputs {
			node.Inputs[j].Node = place[node.Inputs[j].Node]
		}
		out.Graph.Nodes = append(out.Graph.Nodes, node)
		out.Fates, out.Runs, out.Records = append(out.Fates, b.Fates[i]), append(out.Runs, b.Runs[i]), append(out.Records, b.Records[i])
	}
	out.Late, out.Imports = b.Late, b.Imports
	return out
}

// Learn enters a finished build. What the builder holds after it is not known
// before it is listed again.
func (l *Ledger) Learn(b Build) {
	if b.Broken {
		b = b.reached()
	}
	g, records := l.sealedGraph(b.Graph), l.sealedAll(b.Records)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrival = l.offered(g, b)
	l.doubt(g, records)
	mirror, stored, perhaps := l.mirror.Learn(g, b.Fates, b.Imports)
	l.become(mirror.Trusting())
	if l.arrival != nil {
		l.arrival.perhaps = perhaps
	}
	for key, i := range perhaps {
		if _, claimed := l.claims[key]; claimed && l.arrival != nil {
			l.arrival.claimed[key] = true
		}
		l.setClaim(key, &claim{record: records[i]})
	}
	var fresh []entry
	for i, keys := range stored {
		if records[i] == "" {
			continue
		}
		for _, key := range keys {
			switch b.Fates[i] {
			case cache.Made:
				if e := (entry{records[i], b.Runs[i]}); !slices.Contains(l.entries[key], e) {
					l.setEntries(key, append(slices.Clone(l.entries[key]), e))
					fresh = append(fresh, e)
				}
			case cache.Loaded:
				l.reuse(key, reuse{record: records[i], run: b.Runs[i], late: b.Late})
			}
		}
	}
	l.tellApart(fresh)
	for i, n := range g.Nodes {
		l.count(g, n, b.Fates, b.Fates[i])
	}
	if b.Whole && !b.Imports && !b.Late && !perBuild(g) {
		l.remember(g, records, b)
	}
	l.listed = false
	l.learned++
	l.forget()
}

// perBuild reports whether part of a graph works right on local files, as a stage does that
// starts from a named context: BuildKit gives these another key in each build, so that the
// part runs in each.
func perBuild(g cache.Graph) bool {
	return slices.ContainsFunc(g.Nodes, func(n cache.Node) bool {
		return slices.ContainsFunc(n.Inputs, func(in cache.Input) bool {
			source := g.Nodes[in.Node]
			return !in.ByContent && len(source.Inputs)+len(source.Digests) == 0
		})
	})
}

// count notes whether a step came out equal although a stage that it takes files
// of ran, where nothing else can be why.
func (l *Ledger) count(g cache.Graph, n cache.Node, fates []cache.Fate, fate cache.Fate) {
	ran, alone := false, false
	for _, in := range n.Inputs {
		switch made := fates[in.Node] == cache.Made; {
		case len(g.Nodes[in.Node].Inputs) == 0:
		case made && in.ByContent && in.Content == "":
			ran, alone = true, consumers(g, in.Node) == 1
		case made:
			return
		}
	}
	// Where what follows it is reused, too, its own result is not asked for; but if
	// it alone takes what ran, that ran for it.
	if !ran || fate == cache.Untouched && !alone || len(n.Digests) == 0 {
		return
	}
	luck := l.luck[n.Digests[0]]
	luck.Of++
	if fate != cache.Made {
		luck.Reused++
	}
	if luck.Of > 2*memory {
		luck = cache.Luck{Reused: luck.Reused / 2, Of: luck.Of / 2}
	}
	l.luck[n.Digests[0]] = luck
	l.change(lucky, n.Digests[0], encodeLuck(luck))
}

// consumers returns how many nodes take node in.
func consumers(g cache.Graph, node int) int {
	n := 0
	for _, other := range g.Nodes {
		if slices.ContainsFunc(other.Inputs, func(in cache.Input) bool { return in.Node == node }) {
			n++
		}
	}
	return n
}

// memory is about how many runs a cache.Luck looks back.
const memory = 20

// Asking is called before the builder is asked what it holds, and returns what enters
// the answer: as List does, but not where a build was learned meanwhile, whose results
// the builder may not have had yet.
func (l *Ledger) Asking() func([]buildkit.Held) {
	l.mu.Lock()
	defer l.mu.Unlock()
	learned := l.learned
	return func(held []buildkit.Held) { l.list(held, learned, false) }
}

// List enters what the builder holds now. What was known to be there and is not
// listed any more is gone; what is listed and was not observed is noted.
func (l *Ledger) List(held []buildkit.Held) { l.Asking()(held) }

// Recheck is List with what the builder holds after a build that is about to be learned:
// what had gone before it the build cannot have taken, and what is new in the list it may
// have brought from elsewhere.
func (l *Ledger) Recheck(held []buildkit.Held) {
	l.mu.Lock()
	learned := l.learned
	l.mu.Unlock()
	l.list(held, learned, true)
}

func (l *Ledger) list(held []buildkit.Held, learned int, again bool) {
	byRecord := listing{}
	for i := range held {
		h := held[i]
		h.Record = l.sealed(h.Record)
		byRecord[h.Record] = append(byRecord[h.Record], h)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.learned != learned {
		return
	}
	for _, mixed := range l.mixed {
		if mixed.lost(byRecord) {
			l.claimMixture(mixed)
		}
	}
	l.checkRepeats(byRecord)
	m := l.match(byRecord)
	l.arrive(byRecord, m)
	l.applyImports(byRecord, m)
	l.noteIDs(held, again)
	l.applyClaims(byRecord, m)
	l.setMixed(m.mixed)
	if !again {
		l.last = byRecord
	}
	l.foreign = m.foreign(byRecord)
	l.become(l.mirror.Mark(m.lives))
	l.listed = true
}

// Unlisted says that what the builder holds may no longer be what was listed.
func (l *Ledger) Unlisted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listed = false
	for key, r := range l.reused {
		r.late = true
		l.reused[key] = r
	}
}

// Predict says what a build of g would execute now. records are what the results
// of its nodes are listed as, elsewhere the caches that it looks into, too.
func (l *Ledger) Predict(g cache.Graph, records []string, elsewhere ...*cache.RemoteCache) []cache.Prediction {
	plain := g
	g, records = l.sealedGraph(g), l.sealedAll(records)
	l.mu.Lock()
	if l.listed && !perBuild(g) && l.isRepeat(g) {
		l.mu.Unlock()
		return slices.Repeat([]cache.Prediction{{Forecast: cache.WillHit}}, len(g.Nodes))
	}
	mirror, listed := l.mirror, l.listed
	for i := range g.Nodes {
		g.Nodes[i].Doubted = g.Nodes[i].Doubted || !listed
	}
	l.doubt(g, records)
	l.mu.Unlock()
	if !listed {
		mirror = mirror.Stale()
	}
	if len(elsewhere) > 0 {
		mirror = mirror.With(elsewhere, plain, g)
	}
	return mirror.Predict(g)
}

// doubt marks what may have keys that nobody knows: what is listed as something that
// nobody observed, and what led to that.
func (l *Ledger) doubt(g cache.Graph, records []string) {
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		if g.Nodes[i].Doubted = g.Nodes[i].Doubted || l.foreign[records[i]]; !g.Nodes[i].Doubted {
			continue
		}
		for _, in := range g.Nodes[i].Inputs {
			g.Nodes[in.Node].Doubted = true
		}
	}
}

// Luck returns how often each node of g was reused although a stage that it takes
// files of ran: the zero value where that was never so.
func (l *Ledger) Luck(g cache.Graph) []cache.Luck {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]cache.Luck, len(g.Nodes))
	for i, n := range g.Nodes {
		if len(n.Digests) > 0 {
			list[i] = l.luck[l.seal(n.Digests[0])]
		}
	}
	return list
}

// maxKeys is how many keys a ledger keeps: those of some thousand builds, in about
// 10 MB.
const maxKeys = 20_000

// lag is that of BuildKit: it looks for keys without a result as soon as it has pruned,
// when it starts, and five minutes after it collected garbage, which takes a while
// (BuildKit: control.Controller, throttledReleaseUnreferenced).
const lag = 10 * time.Minute

// forget keeps a ledger within about its size. Keys that lead to no result go, the
// oldest first, once the builder has surely forgotten them: predictions do without them
// from then on. Any other is needed for as long as its result is counted as known, and
// so are those on the way to it: where too many lead somewhere, the ledger starts anew,
// and what the builder holds is nobody's again.
func (l *Ledger) forget() {
	size := l.mirror.Size()
	if size <= l.maxKeys && len(l.luck) <= l.maxKeys {
		return
	}
	dead := l.mirror.DeadEnds()
	if size-len(dead) > l.maxKeys || size > 2*l.maxKeys || len(l.luck) > l.maxKeys {
		fresh := New(l.seal)
		l.mirror, l.entries, l.claims, l.reused = fresh.mirror, fresh.entries, fresh.claims, fresh.reused
		l.luck, l.foreign, l.mixed, l.last, l.repeats, l.dead = fresh.luck, fresh.foreign, nil, nil, nil, nil
		l.imports, l.arrival, l.ids = fresh.imports, nil, nil
		l.changes, l.renewed = fresh.changes, true
		l.noteSeen()
		return
	}
	if l.dead == nil {
		l.deadAt = time.Now()
	} else { // without those that lead somewhere again
		dead = slices.DeleteFunc(dead, func(key cache.KeyID) bool { return !l.dead[key] })
	}
	if time.Since(l.deadAt) < l.lag {
		l.dead = make(map[cache.KeyID]bool, len(dead))
		for _, key := range dead {
			l.dead[key] = true
		}
		return
	}
	last := func(key cache.KeyID) (at time.Time) {
		for _, e := range l.entries[key] {
			if e.run.Completed.After(at) {
				at = e.run.Completed
			}
		}
		return at
	}
	slices.SortFunc(dead, func(a, b cache.KeyID) int {
		if older := last(a).Compare(last(b)); older != 0 {
			return older
		}
		return strings.Compare(string(a), string(b))
	})
	dead = dead[:max(0, min(len(dead), size-l.maxKeys*3/4))]
	l.become(l.mirror.Forget(dead))
	for _, key := range dead {
		l.setEntries(key, nil)
		l.setClaim(key, nil)
		l.setImports(key, nil)
	}
	l.dead = nil
}
