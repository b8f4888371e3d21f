package cache

import (
	"maps"
	"slices"
	"strconv"
)

// A KeyID names a cache key: a state of an operation and all that it takes in.
type KeyID string

// A Link leads from the key of something that is taken in to the keys of what was
// made with it (BuildKit: solver.CacheInfoLink).
type Link struct {
	From     KeyID
	Input    int // which input of the operation
	Output   int
	Digest   string // the operation's own
	Selector string
}

// A Mirror is what is known of the cache of one builder: its keys, how they
// follow from each other, and which have results that it still holds. BuildKit's
// cache is a graph of links (BuildKit: solver.cacheManager), and so is this:
// what holds for that holds for this, as long as every build was learned.
//
// A Mirror is immutable: [Mirror.Learn] returns the next one.
type Mirror struct {
	links map[Link][]KeyID
	// guesses are links of which at least one exists: a build reused one of
	// several results, and nothing tells which.
	guesses map[Link][]KeyID
	// made are the keys that an input of an operation led to, whatever was taken
	// in: those that an unknown content may match.
	made    map[operand][]KeyID
	results map[KeyID]Life
	// doubted are the digests of operations that have keys nobody knows.
	doubted map[string]bool
	// elsewhere says which of the caches elsewhere a key is of: see With.
	elsewhere map[KeyID]string
	// offers are the results that caches elsewhere have of a key, as their topmost layers.
	offers map[KeyID][]*Layer
	// stale reports that results may have gone since: see Stale.
	stale bool
	// news are what was changed since the mirror that this one came of.
	news news
}

// An operand is an input of an operation.
type operand struct {
	digest        string
	output, input int
}

// Life says whether the builder holds the result of a key.
type Life int8

// The lives of a result.
const (
	Gone    Life = iota // it was never made, or pruned
	Live                // the builder holds it
	Perhaps             // not seen since the builder last listed what it holds
)

// rootKey is the key of an operation that takes nothing in.
func rootKey(digest string, output int) KeyID { return KeyID(digest + "@" + strconv.Itoa(output)) }

// contentKey is the key of content (BuildKit: edge.processDepSlowCacheReq).
func contentKey(digest string) KeyID { return rootKey(digest, -1) }

// follow returns the keys that a node with one of the keys from as its input i
// may have.
func (m *Mirror) follow(from []KeyID, n Node, i int, selector string) []KeyID {
	var found []KeyID
	for _, k := range from {
		found = append(found, m.links[n.link(i, k, selector)]...)
	}
	return found
}

// guess is follow for links that perhaps exist.
func (m *Mirror) guess(from []KeyID, n Node, i int, selector string) []KeyID {
	var found []KeyID
	for _, k := range from {
		found = append(found, m.guesses[n.link(i, k, selector)]...)
	}
	return found
}

// link returns the link that leads from a key of n's input i to one of n.
func (n Node) link(i int, key KeyID, selector string) Link {
	return Link{From: key, Input: i, Output: n.Output, Digest: n.Digests[0], Selector: selector}
}

// madeOf returns the keys of n's operation that a state of its input i led to.
func (m *Mirror) madeOf(n Node, i int) []KeyID {
	return m.made[operand{digest: n.Digests[0], output: n.Output, input: i}]
}

// A set of keys is sorted.
func intersect(a, b []KeyID) []KeyID {
	return slices.DeleteFunc(slices.Clone(a), func(k KeyID) bool { _, ok := slices.BinarySearch(b, k); return !ok })
}

func subtract(a, b []KeyID) []KeyID {
	return slices.DeleteFunc(slices.Clone(a), func(k KeyID) bool { _, ok := slices.BinarySearch(b, k); return ok })
}

func union(sets ...[]KeyID) []KeyID {
	all := slices.Concat(sets...)
	slices.Sort(all)
	return slices.Compact(all)
}

func (m *Mirror) clone() *Mirror {
	if m == nil {
		return &Mirror{links: map[Link][]KeyID{}, guesses: map[Link][]KeyID{}, made: map[operand][]KeyID{}, results: map[KeyID]Life{}, doubted: map[string]bool{}}
	}
	return &Mirror{links: maps.Clone(m.links), guesses: maps.Clone(m.guesses), made: maps.Clone(m.made), results: maps.Clone(m.results), doubted: maps.Clone(m.doubted), elsewhere: maps.Clone(m.elsewhere), offers: maps.Clone(m.offers)}
}

// Size returns how many keys have, or had, a result.
func (m *Mirror) Size() int {
	if m == nil {
		return 0
	}
	return len(m.results)
}
