package ledger

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// An imported is a result of a key that a build brought from a cache elsewhere. The builder
// lists it with the record of its topmost layer, not of the operation that made it, and may
// not have fetched all its layers yet. Until it has, only builds that look into that cache
// take the result, and the builder may forget that it is the key's (BuildKit:
// solver.cacheManager.Records).
type imported struct {
	id string // by which the builder lists it, and never anything else
	// doubted reports that it was ever listed with layers missing: the builder may have
	// forgotten then that it is the key's.
	doubted bool
}

// An arrival is what is known of a build that looked into caches elsewhere, until the next
// list shows what it brought.
type arrival struct {
	offers  *cache.Offers
	fates   []cache.Fate
	perhaps map[cache.KeyID]int  // the keys it may have brought results of: see cache.Mirror.Learn
	claimed map[cache.KeyID]bool // those of perhaps that had a claim before the build
	began   time.Time            // when the first of its operations did
}

// offered returns the arrival of a build that is about to be learned, nil if it is not known
// what there was to bring. g is the build's graph, sealed.
func (l *Ledger) offered(g cache.Graph, b Build) *arrival {
	if b.Broken || b.Late || len(b.Elsewhere) == 0 || !l.listed || l.ids == nil {
		return nil
	}
	a := &arrival{offers: l.mirror.Offers(b.Elsewhere, b.Graph, g), fates: b.Fates, claimed: map[cache.KeyID]bool{}}
	for i, run := range b.Runs {
		if b.Fates[i] != cache.Untouched && (a.began.IsZero() || run.Started.Before(a.began)) {
			a.began = run.Started
		}
	}
	return a
}

// arrive finds out which of the listed results the last build brought, if it looked into
// caches elsewhere.
//
// The caches are read after the build. If one was replaced in between, a listed layer proves
// that there is a result, but not whose it is. So a result is taken for a key's only if it
// was not listed before the build, or was this key's already. Two cases remain in which this
// is wrong:
//
//   - During the build the cache was replaced by one that gives the key a layer that the
//     same build brought for another key.
//   - After the build brought the result, and before it fetched the layers, the builder
//     forgot that it is the key's, because another build or its garbage collection came
//     across it.
func (l *Ledger) arrive(held listing, m matching) {
	a := l.arrival
	if l.arrival = nil; a == nil {
		return
	}
	byID := held.byID()
	// here returns the ID of the result with that topmost layer if the build can have
	// brought it for the key, else "".
	here := func(key cache.KeyID, top *cache.Layer) string {
		h, ok := l.layer(held, byID, top)
		fresh := !l.ids[h.ID] || slices.ContainsFunc(l.imports[key], func(i imported) bool { return i.id == h.ID })
		if !ok || !fresh || !h.InUse && h.Used.Before(a.began.Add(-slack)) {
			return ""
		}
		return h.ID
	}
	for key, top := range a.offers.Brought(a.fates, a.perhaps, func(key cache.KeyID, top *cache.Layer) bool { return here(key, top) != "" }) {
		id := here(key, top)
		list := slices.DeleteFunc(slices.Clone(l.imports[key]), func(i imported) bool { return i.id == id })
		l.setImports(key, append(list, imported{id: id}))
		if !a.claimed[key] {
			l.setClaim(key, nil)
		}
	}
	for _, key := range a.offers.None(a.perhaps) {
		if !a.claimed[key] {
			l.setClaim(key, nil)
			m.lives[key] = better(m.lives[key], cache.Gone)
		}
	}
}

// layer returns the listed result whose topmost layer is top, if there is just one that can
// be it, lying on as many others as top does.
func (l *Ledger) layer(held listing, byID map[string]buildkit.Held, top *cache.Layer) (buildkit.Held, bool) {
	if top == nil {
		return buildkit.Held{}, false
	}
	var found []buildkit.Held
	for _, h := range held[l.sealed(top.Record)] {
		if top.Created.IsZero() || h.Created.Equal(top.Created) {
			found = append(found, h)
		}
	}
	if len(found) != 1 || found[0].ID == "" {
		return buildkit.Held{}, false
	}
	below := top.Below
	for id := found[0].Below; id != ""; id = byID[id].Below {
		if below == nil {
			return buildkit.Held{}, false
		}
		below = below.Below
	}
	return found[0], below == nil
}

// applyImports adds to m what the list says of imported results, and forgets those that are
// gone.
func (l *Ledger) applyImports(held listing, m matching) {
	byID := held.byID()
	for key, list := range l.imports {
		var left []imported
		life := cache.Gone
		for _, i := range list {
			h, listed := byID[i.id]
			if !listed {
				continue // it does not come back
			}
			switch i.doubted = i.doubted || !h.Whole; {
			case h.Lacking:
			case i.doubted:
				life = better(life, cache.Perhaps)
			default:
				life = cache.Live
			}
			left = append(left, i)
		}
		m.lives[key] = better(m.lives[key], life)
		l.setImports(key, left)
	}
}

// noteIDs notes what was there before the next build. recheck says that this build has
// ended already.
func (l *Ledger) noteIDs(held []buildkit.Held, recheck bool) {
	if recheck && l.listed {
		return // the list before was from before the build
	}
	if l.ids = nil; recheck {
		return // no list is
	}
	l.ids = make(map[string]bool, len(held))
	for _, h := range held {
		l.ids[h.ID] = true
	}
}

// byID returns what is listed, by ID.
func (l listing) byID() map[string]buildkit.Held {
	all := map[string]buildkit.Held{}
	for _, list := range l {
		for _, h := range list {
			if h.ID != "" {
				all[h.ID] = h
			}
		}
	}
	return all
}

// setImports replaces the imported results of a key.
func (l *Ledger) setImports(key cache.KeyID, list []imported) {
	was := l.imports[key]
	if slices.Equal(was, list) {
		return
	}
	if len(list) == 0 {
		delete(l.imports, key)
		l.change(brought, string(key), nil)
		return
	}
	l.imports[key] = list
	var b []byte
	for _, i := range list {
		doubted := uint64(0)
		if i.doubted {
			doubted = 1
		}
		b = binary.AppendUvarint(appendText(b, i.id), doubted)
	}
	l.change(brought, string(key), b)
}

// decodeImports reads what setImports wrote.
func decodeImports(d *decoder) []imported {
	var list []imported
	for len(d.b) > 0 {
		list = append(list, imported{id: d.text(), doubted: d.number() != 0})
	}
	return list
}
