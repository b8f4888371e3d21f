package ledger

import (
	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// A Result is what the builder lists the result of an execution as, sealed, and
// when that ran.
type Result struct {
	Record string
	Run    buildkit.Run
}

// Lists reports whether h, sealed, is the result.
func (r Result) Lists(h buildkit.Held) bool {
	start, end := window(r.Run)
	return r.Record == h.Record && !h.Created.Before(start) && h.Created.Before(end)
}

// Results returns the results that the next build of g may take, as far as they
// are known.
func (l *Ledger) Results(g cache.Graph) []Result {
	g = l.sealedGraph(g)
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []Result
	for _, keys := range l.mirror.Keys(g) {
		for _, key := range keys {
			for _, e := range l.entries[key] {
				list = append(list, Result{e.record, e.run})
			}
			for _, at := range l.claims[key].created {
				list = append(list, Result{l.claims[key].record, buildkit.Run{Started: at, Completed: at}})
			}
		}
	}
	return list
}
