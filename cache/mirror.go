package cache

import (
	"maps"
	"strconv"
)

// A KeyID names a cache key: one state of an operation and of all that it was made
// from. It is the digest and output of what has no inputs (see rootKey), and else a
// name of the mirror's own, as BuildKit's names are made up for each builder.
type KeyID string

// A Link leads from a key of an operation's input to keys of the operation (BuildKit:
// solver.CacheInfoLink).
type Link struct {
	From     KeyID  // of the input
	Input    int    // which input of the operation
	Output   int    // which of the operation's results
	Digest   string // the operation's own: see Node.Digests
	Selector string // see Input.Selector; "" where From is of content
}

// A Mirror is what is known of the cache of one builder: its keys, how they follow
// from each other, and which have results that it still holds. It is a graph of links
// as BuildKit's cache is (BuildKit: solver.cacheManager), and complete as far as every
// build was learned. The package comment has an example.
//
// A Mirror is immutable: methods such as [Mirror.Learn] return the next one. Nil is the
// mirror of a builder of which nothing is known.
type Mirror struct {
	links map[Link][]KeyID // sets of keys
	// guesses are links that perhaps exist: a build reused one of several results, and
	// nothing tells which; or the builder may have dropped the link.
	guesses map[Link][]KeyID
	// byOperand are all keys to which an input of an operation ever led, by a link or a
	// guess: those that a state of the input that is not known may lead to.
	byOperand map[operand][]KeyID
	// results has the keys that have, or had, a result.
	results map[KeyID]Life
	// doubted are the digests of operations that have keys nobody knows.
	doubted map[string]bool
	// elsewhere has the keys that are of a cache elsewhere, with the name of that cache,
	// and offers the topmost layers of the results that these caches have: see With.
	elsewhere map[KeyID]string
	offers    map[KeyID][]*Layer
	// stale reports that the results may have gone since: see Stale.
	stale bool
	// news are the changes since the mirror that this one was made from: see News.
	news news
}

// An operand is one input of an operation, whatever is taken in there.
type operand struct {
	digest        string
	output, input int
}

// Life says whether the builder holds the result of a key.
type Life int8

// The lives of a result.
const (
	Gone    Life = iota // it was never made, or it was dropped
	Live                // the builder holds it
	Perhaps             // nothing tells whether the builder holds it
)

// rootKey is the key of an operation that takes nothing in.
func rootKey(digest string, output int) KeyID { return KeyID(digest + "@" + strconv.Itoa(output)) }

// contentKey is the key of content (BuildKit: edge.processDepSlowCacheReq).
func contentKey(digest string) KeyID { return rootKey(digest, -1) }

// follow returns the keys to which links lead from the keys from of input i of n, with
// duplicates.
func (m *Mirror) follow(from []KeyID, n Node, i int, selector string) []KeyID {
	var found []KeyID
	for _, k := range from {
		found = append(found, m.links[n.link(i, k, selector)]...)
	}
	return found
}

// guess is follow along guesses.
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

// fromAny returns the keys of n's operation to which any state of its input i led.
func (m *Mirror) fromAny(n Node, i int) []KeyID {
	return m.byOperand[operand{digest: n.Digests[0], output: n.Output, input: i}]
}

// KeysOf returns the keys of n's operation, whatever it was made from, perhaps with duplicates.
func (m *Mirror) KeysOf(n Node) (keys []KeyID) {
	if m == nil || len(n.Digests) == 0 {
		return nil
	}
	for i := range n.Inputs {
		keys = append(keys, m.fromAny(n, i)...)
	}
	return keys
}

// life returns the best that is known of the results of any of keys.
func (m *Mirror) life(keys []KeyID) Life {
	best := Gone
	for _, k := range keys {
		switch life := m.results[k]; {
		case life == Live && !m.stale:
			return Live
		case life != Gone:
			best = Perhaps
		}
	}
	return best
}

// clone returns a mirror like m that can be changed: without news, and not stale. The
// sets of keys in it are shared and must be replaced, not changed.
func (m *Mirror) clone() *Mirror {
	if m == nil {
		return &Mirror{
			links:     map[Link][]KeyID{},
			guesses:   map[Link][]KeyID{},
			byOperand: map[operand][]KeyID{},
			results:   map[KeyID]Life{},
			doubted:   map[string]bool{},
		}
	}
	return &Mirror{
		links:     maps.Clone(m.links),
		guesses:   maps.Clone(m.guesses),
		byOperand: maps.Clone(m.byOperand),
		results:   maps.Clone(m.results),
		doubted:   maps.Clone(m.doubted),
		elsewhere: maps.Clone(m.elsewhere),
		offers:    maps.Clone(m.offers),
	}
}

// Size returns how many keys have, or had, a result.
func (m *Mirror) Size() int {
	if m == nil {
		return 0
	}
	return len(m.results)
}
