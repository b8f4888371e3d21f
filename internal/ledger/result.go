package ledger

import (
	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// A Result is the result of an execution, as far as a list shows it.
type Result struct {
	// ID is that of the listed result, if it was brought from a cache elsewhere. Else it is
	// "", and the other fields say which results it may be.
	ID     string
	Record string       // what the builder lists it as, sealed
	Run    buildkit.Run // when it was made
}

// Lists reports whether h is the result. The Record of h must be sealed.
func (r Result) Lists(h buildkit.Held) bool {
	if r.ID != "" {
		return r.ID == h.ID
	}
	start, end := window(r.Run)
	return r.Record == h.Record && !h.Created.Before(start) && h.Created.Before(end)
}

// Results returns the results that the next build of g may take, as far as they are known:
// those of entries, of claims and of imports.
func (l *Ledger) Results(g cache.Graph) []Result {
	g = l.sealedGraph(g)
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []Result
	for _, keys := range l.mirror.Keys(g) {
		for _, key := range keys {
			for _, e := range l.entries[key] {
				list = append(list, Result{Record: e.record, Run: e.run})
			}
			for _, at := range l.claims[key].created {
				list = append(list, Result{Record: l.claims[key].record, Run: buildkit.Run{Started: at, Completed: at}})
			}
			for _, i := range l.imports[key] {
				list = append(list, Result{ID: i.id})
			}
		}
	}
	return list
}
