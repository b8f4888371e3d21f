package watcher

import (
	"sync"

	"github.com/fsnotify/fsnotify"
)

// maxQueued bounds the events that wait for the loop. With usual path lengths they
// take some 8 MB. Beyond that a rescan is cheaper than handling them.
const maxQueued = 1 << 16

// A rawEvent is an event as it came from fsnotify.
type rawEvent struct {
	name string
	op   fsnotify.Op
}

// An eventQueue carries events in order from the drain to the loop. It is safe for
// concurrent use.
type eventQueue struct {
	wake chan struct{} // has a token while there is something to take
	max  int

	mu    sync.Mutex // guards the fields that follow
	items []rawEvent
	lost  bool // events were lost since the last take; items is empty
}

func newEventQueue(limit int) *eventQueue {
	return &eventQueue{wake: make(chan struct{}, 1), max: limit}
}

// push appends e, unless it equals the newest event. Once events are lost, further
// ones are not kept: the loop will read the whole disk, at a later time than now.
func (q *eventQueue) push(e rawEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.items)
	switch {
	case q.lost, n > 0 && q.items[n-1] == e:
		return
	case n >= q.max:
		q.items, q.lost = nil, true
	default:
		q.items = append(q.items, e)
	}
	q.signal()
}

// lose records that the kernel dropped events.
func (q *eventQueue) lose() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items, q.lost = nil, true
	q.signal()
}

func (q *eventQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take empties the queue and returns what was in it. If lost is true, events are
// missing before the items.
func (q *eventQueue) take() (items []rawEvent, lost bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	items, lost = q.items, q.lost
	q.items, q.lost = nil, false
	return items, lost
}
