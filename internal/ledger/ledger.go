package ledger

import (
	"slices"
	"sync"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// A Ledger is the account of one builder's cache. It is made by [New], [Anew] or [Load],
// and safe for concurrent use.
type Ledger struct {
	seal    func(string) string
	maxKeys int           // the constant, except in tests
	lag     time.Duration // the constant, except in tests

	saving sync.Mutex // held by Save, so that changes are kept in order; taken before mu

	mu      sync.Mutex // guards the fields below
	mirror  *cache.Mirror
	entries map[cache.KeyID][]entry
	claims  map[cache.KeyID]claim
	imports map[cache.KeyID][]imported
	keyless map[string][]keyless  // by sealed record
	bygone  map[string]time.Time  // by sealed record: see bygone.go
	partial map[string]bool       // by ID: see partial.go
	repeats []*repeat             // the latest last
	luck    map[string]cache.Luck // by digest of the operation
	seen    time.Time             // see Saw
	learned int                   // counts the builds that were learned since the start

	// What the builder listed last.
	listed  bool                      // there is a list since the last build
	last    listing                   // that list, or the one before; nil until there is one
	blurred map[string]bool           // records of which a result made since could be taken for one in last
	fresh   map[string][]buildkit.Run // by record: the runs since then that made results
	ids     map[string]bool           // the IDs in it; nil if it is not from before the next build
	foreign map[string]bool           // records of which something is listed that nobody knows
	mixed   []mixture

	// What waits for the next list.
	reused  map[cache.KeyID]reuse
	arrival *arrival // of the last build, nil if several were learned since

	// What may be forgotten: see forget.
	dead   map[cache.KeyID]bool // keys that lead to no result, since deadAt; nil for none
	deadAt time.Time            // by the clock of this machine

	// What Save has to keep: see encode.go.
	changes map[string][]byte
	renewed bool // nothing that is kept holds any more, except for changes

	loading listing // while a ledger is loaded: the results of mixtures
}

// New returns a ledger of a builder of which nothing is known. seal turns a digest into a
// short text that stands for it: always the same one, from which nobody can tell the
// digest.
func New(seal func(string) string) *Ledger {
	return &Ledger{
		seal:    seal,
		maxKeys: maxKeys,
		lag:     lag,
		entries: map[cache.KeyID][]entry{},
		claims:  map[cache.KeyID]claim{},
		imports: map[cache.KeyID][]imported{},
		keyless: map[string][]keyless{},
		bygone:  map[string]time.Time{},
		partial: map[string]bool{},
		luck:    map[string]cache.Luck{},
		blurred: map[string]bool{},
		fresh:   map[string][]buildkit.Run{},
		foreign: map[string]bool{},
		reused:  map[cache.KeyID]reuse{},
		changes: map[string][]byte{},
	}
}

// sealed returns what stands for a digest, "" for none.
func (l *Ledger) sealed(digest string) string {
	if digest == "" {
		return ""
	}
	return l.seal(digest)
}

// sealedAll returns what stands for each of digests.
func (l *Ledger) sealedAll(digests []string) []string {
	list := make([]string, len(digests))
	for i, d := range digests {
		list[i] = l.sealed(d)
	}
	return list
}

// sealedGraph returns g with all digests sealed.
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

// Learn enters a finished build. What the builder holds after it is not known until it is
// listed again.
func (l *Ledger) Learn(b Build) {
	whole := b
	if b.Broken {
		b = b.reached()
	}
	g, records := l.sealedGraph(b.Graph), l.sealedAll(b.Records)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noteLost(whole)
	l.arrival = l.offered(g, b)
	if len(l.keyless) > 0 {
		doubted := l.keylessOperations()
		for i, n := range g.Nodes { // an input of what has no key may lack one as well
			_, is := doubted[operation(n)]
			_, listed := doubted[records[i]]
			g.Nodes[i].Doubted = g.Nodes[i].Doubted || (is || listed) && len(n.Inputs) > 0
		}
	}
	l.doubt(g, records)
	mirror, stored, perhaps := l.mirror.Learn(g, b.Fates, b.Imports)
	l.become(mirror.Trusting())
	l.claimBrought(perhaps, records)
	l.noteStrays(b, records, stored)
	l.tellApart(append(l.enter(b, records, stored), l.enterKeyless(g, b, records, stored)...))
	for i, n := range g.Nodes {
		l.count(g, n, b.Fates, b.Fates[i])
	}
	if b.Whole && !b.Imports && !b.Late && !perBuild(g) {
		l.remember(g, records, b, stored)
	}
	l.listed = false
	l.learned++
	l.forget()
}

// claimBrought notes that results may have come from caches elsewhere: perhaps are their
// keys, with the nodes.
func (l *Ledger) claimBrought(perhaps map[cache.KeyID]int, records []string) {
	if l.arrival != nil {
		l.arrival.perhaps = perhaps
	}
	for key, i := range perhaps {
		if _, claimed := l.claims[key]; claimed && l.arrival != nil {
			l.arrival.claimed[key] = true
		}
		l.setClaim(key, &claim{record: records[i]})
	}
}

// enter notes what a build made and what it loaded, given the keys under which that is
// stored by node, and returns the new entries.
func (l *Ledger) enter(b Build, records []string, stored [][]cache.KeyID) (fresh []entry) {
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
				l.reuse(key, reuse{record: records[i], run: b.Runs[i], late: b.Late, shared: len(keys) > 1})
			}
		}
	}
	return fresh
}

// Predict says for each node of g whether a build of g would execute it now. records are
// those of its nodes, "" where one has none; elsewhere are the caches into which the build
// looks, too.
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
	l.doubtKeyless(g, records)
	l.doubtBygone(g, records)
	l.mu.Unlock()
	if !listed {
		mirror = mirror.Stale()
	}
	if len(elsewhere) > 0 {
		mirror = mirror.With(elsewhere, plain, g)
	}
	return mirror.Predict(g)
}

// doubt marks the nodes of g that may have keys nobody knows: those whose records are
// foreign, and all that these are made from.
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
