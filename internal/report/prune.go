package report

import (
	"cmp"
	"slices"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/api"
)

// A Holding is a record in a builder's cache, with what is known about it.
type Holding struct {
	buildkit.Usage
	Owner    *api.PruneOwner // the step that made it; nil if no observed build did
	Needed   bool            // the next build of a watched definition will use it
	Eligible bool            // the request allows to remove it
}

// Holdings returns the holdings in the form on which [cache.Cold] decides.
func Holdings(list []Holding) []cache.Holding {
	out := make([]cache.Holding, len(list))
	for i, h := range list {
		out[i] = cache.Holding{
			ID: h.ID, Parents: h.Parents, Bytes: h.Bytes, LastUsed: h.LastUsed,
			InUse: h.InUse || !h.Eligible, Shared: h.Shared, Known: h.Owner != nil, Needed: h.Needed,
		}
	}
	return out
}

// Prune reports the records of a builder's cache, and which of them a policy removes. Those
// that it removes come first, and larger ones before smaller ones.
func Prune(builder string, list []Holding, p cache.Policy) api.Prune {
	out := api.Prune{Schema: api.PruneSchema, Builder: builder, Others: []api.PruneKind{}, Records: []api.PruneRecord{}}
	model := Holdings(list)
	goes := make([]bool, len(list))
	for _, i := range cache.Cold(model, p) {
		goes[i] = true
	}
	needed := cache.Closure(model)
	others := map[buildkit.Kind]*api.PruneSum{}
	for i, h := range list {
		r := api.PruneRecord{
			ID: h.ID, Kind: string(h.Kind), Bytes: h.Bytes, LastUsed: h.LastUsed, Uses: h.Uses, Owner: h.Owner,
			Needed: needed[h.ID], InUse: h.InUse, Shared: h.Shared, Remove: goes[i],
		}
		tally(&out.Held, h.Bytes)
		if r.Needed {
			tally(&out.Needed, h.Bytes)
		}
		if r.Remove {
			tally(&out.Remove, h.Bytes)
		}
		if r.Shared {
			tally(&out.Shared, h.Bytes)
		}
		if r.Owner == nil {
			if others[h.Kind] == nil {
				others[h.Kind] = &api.PruneSum{}
			}
			tally(others[h.Kind], h.Bytes)
		}
		out.Records = append(out.Records, r)
	}
	for kind, sum := range others {
		out.Others = append(out.Others, api.PruneKind{Kind: string(kind), Records: sum.Records, Bytes: sum.Bytes})
	}
	slices.SortFunc(out.Others, func(a, b api.PruneKind) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Kind, b.Kind))
	})
	slices.SortFunc(out.Records, func(a, b api.PruneRecord) int {
		if a.Remove != b.Remove {
			if a.Remove {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// tally adds a record to a sum.
func tally(sum *api.PruneSum, bytes int64) {
	sum.Records++
	sum.Bytes += bytes
}
