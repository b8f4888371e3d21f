package cache

import (
	"iter"
	"slices"
)

// A Fact is one thing that a [Mirror] says. A mirror is made up of its facts,
// which may be kept and put together again in any order.
type Fact struct {
	Kind FactKind
	// Link is that of Leads and MayLead, and To are where it leads, sorted.
	Link Link
	To   []KeyID
	// Key is that of Lives.
	Key  KeyID
	Life Life
	// Dropped reports, among [Mirror.News], that the mirror says this no more;
	// To and Life are empty then.
	Dropped bool
}

// A FactKind says what a fact is about.
type FactKind byte

// The kinds of facts. They are stored: never renumber them.
const (
	Leads   FactKind = 1 // a link that exists
	MayLead FactKind = 2 // a link that perhaps exists
	Lives   FactKind = 3 // whether a result is held
)

// news are the keys of what changed.
type news struct {
	links, guesses map[Link]bool
	results        map[KeyID]bool
}

func note[K comparable](set *map[K]bool, key K) {
	if *set == nil {
		*set = map[K]bool{}
	}
	(*set)[key] = true
}

// connect makes a link lead to a key.
func (m *Mirror) connect(link Link, to KeyID) {
	m.noteMade(link, to)
	if at, have := slices.BinarySearch(m.links[link], to); !have {
		m.links[link] = slices.Insert(slices.Clone(m.links[link]), at, to)
		note(&m.news.links, link)
	}
}

// noteMade notes that the operand of a link led to a key, from there or elsewhere.
func (m *Mirror) noteMade(link Link, to KeyID) {
	op := operand{digest: link.Digest, output: link.Output, input: link.Input}
	if at, have := slices.BinarySearch(m.made[op], to); !have {
		m.made[op] = slices.Insert(slices.Clone(m.made[op]), at, to)
	}
}

// suppose is connect for a link that perhaps exists.
func (m *Mirror) suppose(link Link, to KeyID) {
	m.noteMade(link, to)
	if at, have := slices.BinarySearch(m.guesses[link], to); !have {
		m.guesses[link] = slices.Insert(slices.Clone(m.guesses[link]), at, to)
		note(&m.news.guesses, link)
	}
}

// disconnect makes of a link that leads to a key one that perhaps does.
func (m *Mirror) disconnect(link Link, to KeyID) {
	m.suppose(link, to)
	left := slices.DeleteFunc(slices.Clone(m.links[link]), func(k KeyID) bool { return k == to })
	if m.links[link] = left; len(left) == 0 {
		delete(m.links, link)
	}
	note(&m.news.links, link)
}

// mark says whether a result is held.
func (m *Mirror) mark(key KeyID, life Life) {
	if was, known := m.results[key]; known && was == life {
		return
	}
	m.results[key] = life
	note(&m.news.results, key)
}

// News yields the facts of m that the mirror from which it was made lacked, or had
// otherwise.
func (m *Mirror) News() iter.Seq[Fact] {
	return func(yield func(Fact) bool) {
		if m == nil {
			return
		}
		for link := range m.news.links {
			if to := m.links[link]; !yield(Fact{Kind: Leads, Link: link, To: to, Dropped: len(to) == 0}) {
				return
			}
		}
		for link := range m.news.guesses {
			if to := m.guesses[link]; !yield(Fact{Kind: MayLead, Link: link, To: to, Dropped: len(to) == 0}) {
				return
			}
		}
		for key := range m.news.results {
			if life, known := m.results[key]; !yield(Fact{Kind: Lives, Key: key, Life: life, Dropped: !known}) {
				return
			}
		}
	}
}

// MirrorOf puts facts together.
func MirrorOf(facts iter.Seq[Fact]) *Mirror {
	var none *Mirror
	m := none.clone()
	for f := range facts {
		switch f.Kind {
		case Leads:
			for _, to := range f.To {
				m.connect(f.Link, to)
			}
		case MayLead:
			for _, to := range f.To {
				m.suppose(f.Link, to)
			}
		case Lives:
			m.results[f.Key] = f.Life
		}
	}
	m.news = news{}
	return m
}

// Stale returns m for a moment at which results that it says are held may have
// gone: a prediction that rests on one is unknown.
func (m *Mirror) Stale() *Mirror {
	if m == nil {
		return nil
	}
	old := *m
	old.stale, old.news = true, news{}
	return &old
}

// Trusting returns m without its doubts, for somebody who sees results that
// nobody observed in another way: by what the builder lists. A key that nobody
// knows matters by a result that it leads to. That one is listed, unless it is
// known itself, and then what led to it was content of another stage.
func (m *Mirror) Trusting() *Mirror {
	if m == nil || len(m.doubted) == 0 {
		return m
	}
	next := *m
	next.doubted = map[string]bool{}
	return &next
}

// DeadEnds returns the keys without a result from which no link leads to one, in
// no order. A builder forgets them, too, but some time after their results went
// (BuildKit: cacheManager.ReleaseUnreferenced). Until then it looks at content that may
// lead to one of them, though it has found a result by another key (BuildKit:
// edge.recalcCurrentState).
func (m *Mirror) DeadEnds() []KeyID {
	if m == nil {
		return nil
	}
	before := map[KeyID][]KeyID{} // what leads to a key
	for _, links := range []map[Link][]KeyID{m.links, m.guesses} {
		for link, to := range links {
			for _, k := range to {
				before[k] = append(before[k], link.From)
			}
		}
	}
	useful := map[KeyID]bool{}
	var open []KeyID
	for k, life := range m.results {
		if life != Gone {
			open = append(open, k)
		}
	}
	for len(open) > 0 {
		k := open[len(open)-1]
		open = open[:len(open)-1]
		if !useful[k] {
			useful[k] = true
			open = append(open, before[k]...)
		}
	}
	dead := map[KeyID]bool{}
	for k := range before {
		dead[k] = true
	}
	for k := range m.results {
		dead[k] = true
	}
	var list []KeyID
	for k := range dead {
		if !useful[k] {
			list = append(list, k)
		}
	}
	return list
}

// Forget returns m without some of its [Mirror.DeadEnds], which the builder has
// forgotten: what is predicted is the same without them, but for the cause of a miss.
func (m *Mirror) Forget(keys []KeyID) *Mirror {
	next := m.clone()
	gone := make(map[KeyID]bool, len(keys))
	for _, k := range keys {
		gone[k] = true
		if _, known := next.results[k]; known {
			delete(next.results, k)
			note(&next.news.results, k)
		}
	}
	drop := func(links map[Link][]KeyID, changed *map[Link]bool) {
		for link, to := range links {
			left := slices.DeleteFunc(slices.Clone(to), func(k KeyID) bool { return gone[k] })
			switch {
			case gone[link.From] || len(left) == 0:
				delete(links, link)
			case len(left) < len(to):
				links[link] = left
			default:
				continue
			}
			note(changed, link)
		}
	}
	drop(next.links, &next.news.links)
	drop(next.guesses, &next.news.guesses)
	for op, made := range next.made {
		left := slices.DeleteFunc(slices.Clone(made), func(k KeyID) bool { return gone[k] })
		if len(left) == 0 {
			delete(next.made, op)
		} else {
			next.made[op] = left
		}
	}
	return next
}
