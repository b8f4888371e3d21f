package watcher

import (
	"sync"

	"github.com/fsnotify/fsnotify"
)

// maxQueued bounds the events between the kernel and the loop: some 8 MB with
// usual path lengths. Beyond it a rescan is cheaper than the events.
const maxQueued = 1 << 16

// rawEvent is an event as fsnotify gave it.
type rawEvent struct {
	name string
	op   fsnotify.Op
}

// eventQueue carries events, in order, from the drain to the loop. It is safe
// for use by several goroutines.
type eventQueue struct {
	wake chan struct{} // holds a token while there is something to take
	max  int

	mu    sync.Mutex // guards the fields that follow
	items []rawEvent
	lost  bool
}

func newEventQueue(limit int) *eventQueue {
	return &eventQueue{wake: make(chan struct{}, 1), max: limit}
}

// push appends e. An event equal to the newest one says nothing new. Once
// events are lost the loop will look at the whole disk, later than now, so that
// further ones are not worth keeping.
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

// take empties the queue. If lost is true the events that came before it are
// not among the items.
func (q *eventQueue) take() (items []rawEvent, lost bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	items, lost = q.items, q.lost
	q.items, q.lost = nil, false
	return items, lost
}
