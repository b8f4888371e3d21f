package ledger

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
)

// An import is a result of a key that a build brought from a cache elsewhere. A builder
// lists it by its topmost layer and not by the operation that made it, and may have to
// fetch its layers still: then no build that does not look into that cache takes it, and the
// builder may forget that it is the key's (BuildKit: solver.cacheManager.Records).
type imported struct {
	id string // what the builder lists it as: no other ever has it
	// doubted reports that it was listed while layers were missing, since it was brought.
	doubted bool
}

// An arrival is what is known of a build that looked into caches elsewhere, until the
// builder lists what it holds.
type arrival struct {
	offers  *cache.Offers
	fates   []cache.Fate
	perhaps map[cache.KeyID]int  // see cache.Mirror.Learn
	claimed map[cache.KeyID]bool // of these: something else was known of the result before
	began   time.Time            // when its first operation did
}

// offered returns what there was to bring for a build that is about to be learned, nil if
// that is not known. g is its graph, sealed.
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

// arrive finds out which of what is listed the last build brought, if it looked into
// caches elsewhere.
//
// What the caches hold is read after the build. Should one have been replaced since, a
// layer that is listed is proof only of a result, and not of the key: so no result is
// taken for a key's but one that was not listed before the build, or that was this key's
// already. Two cases remain that look the same and are not: a cache that was replaced during
// the build by one that gives the key a layer which the same build brought for another key,
// and a builder that forgot the key between the moment at which the build brought its result
// and that at which it fetched the layers, because another build or its garbage collection
// came across it.
func (l *Ledger) arrive(held listing, m matching) {
	a := l.arrival
	if l.arrival = nil; a == nil {
		return
	}
	byID := held.byID()
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

// layer returns what top is listed as, if only one can be it.
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

// applyImports adds to m what is known of results that were brought from elsewhere.
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

// noteIDs notes what is listed, for the build that comes next. again says that this has
// run already.
func (l *Ledger) noteIDs(held []buildkit.Held, again bool) {
	if again && l.listed {
		return
	}
	if l.ids = nil; again {
		return // what was there before it is not known
	}
	l.ids = make(map[string]bool, len(held))
	for _, h := range held {
		l.ids[h.ID] = true
	}
}

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

// setImports notes what was brought as results of a key.
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

func decodeImports(d *decoder) []imported {
	var list []imported
	for len(d.b) > 0 {
		list = append(list, imported{id: d.text(), doubted: d.number() != 0})
	}
	return list
}
