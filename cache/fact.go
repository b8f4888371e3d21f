package cache

import (
	"iter"
	"slices"
)

// A Fact is one thing that a [Mirror] says. A mirror is the sum of its facts: they may
// be kept one by one and put together again in any order ([MirrorOf]).
type Fact struct {
	Kind FactKind
	// Of Leads and MayLead: a link, and the set of keys to which it leads.
	Link Link
	To   []KeyID
	// Of Lives: a key, and whether its result is held.
	Key  KeyID
	Life Life
	// Dropped reports, among [Mirror.News], that the mirror no longer says anything of
	// Link or Key. To and Life have no meaning then.
	Dropped bool
}

// A FactKind says which fields of a [Fact] count.
type FactKind byte

// The kinds of facts. They are stored: never renumber them.
const (
	Leads   FactKind = 1 // a link that exists
	MayLead FactKind = 2 // a guess: a link that perhaps exists
	Lives   FactKind = 3 // whether a result is held
)

// news says which entries of a mirror's maps changed.
type news struct {
	links, guesses map[Link]bool
	results        map[KeyID]bool
}

// note adds key to set, which it makes if there is none.
func note[K comparable](set *map[K]bool, key K) {
	if *set == nil {
		*set = map[K]bool{}
	}
	(*set)[key] = true
}

// connect makes a link lead to a key.
func (m *Mirror) connect(link Link, to KeyID) {
	m.noteOperand(link, to)
	if at, have := slices.BinarySearch(m.links[link], to); !have {
		m.links[link] = slices.Insert(slices.Clone(m.links[link]), at, to)
		note(&m.news.links, link)
	}
}

// noteOperand notes that the operand of a link leads to a key from some state.
func (m *Mirror) noteOperand(link Link, to KeyID) {
	op := operand{digest: link.Digest, output: link.Output, input: link.Input}
	if at, have := slices.BinarySearch(m.byOperand[op], to); !have {
		m.byOperand[op] = slices.Insert(slices.Clone(m.byOperand[op]), at, to)
	}
}

// suppose is connect for a guess.
func (m *Mirror) suppose(link Link, to KeyID) {
	m.noteOperand(link, to)
	if at, have := slices.BinarySearch(m.guesses[link], to); !have {
		m.guesses[link] = slices.Insert(slices.Clone(m.guesses[link]), at, to)
		note(&m.news.guesses, link)
	}
}

// disconnect turns the link to a key into a guess.
func (m *Mirror) disconnect(link Link, to KeyID) {
	m.suppose(link, to)
	left := slices.DeleteFunc(slices.Clone(m.links[link]), func(k KeyID) bool { return k == to })
	if m.links[link] = left; len(left) == 0 {
		delete(m.links, link)
	}
	note(&m.news.links, link)
}

// mark notes whether the result of a key is held.
func (m *Mirror) mark(key KeyID, life Life) {
	if was, known := m.results[key]; known && was == life {
		return
	}
	m.results[key] = life
	note(&m.news.results, key)
}

// News yields the facts of m that are new or different in comparison with the mirror
// from which m was made, and those that m has dropped. The order is random.
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

// MirrorOf returns the mirror that is the sum of facts. It has no news.
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

// Stale returns m for a moment at which the builder may have dropped any of the results
// that m says it holds: what is predicted because of one is unknown.
func (m *Mirror) Stale() *Mirror {
	if m == nil {
		return nil
	}
	old := *m
	old.stale, old.news = true, news{}
	return &old
}

// Trusting returns m without its doubts about operations that have keys nobody knows.
// It is for a caller who learns of unobserved results in another way, from what the
// builder lists, and marks nodes as [Node.Doubted] by that. It is safe because a key
// matters only by a result that it leads to. Such a result is listed; either nobody
// observed it, so that the caller sees it, or it is known, and then what led to it from
// the unknown key was the content of another stage, which is never taken for sure.
func (m *Mirror) Trusting() *Mirror {
	if m == nil || len(m.doubted) == 0 {
		return m
	}
	next := *m
	next.doubted = map[string]bool{}
	return &next
}
