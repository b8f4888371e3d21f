package daemon

import (
	"context"
	"sync"
	"time"
)

// A poked wakes the one goroutine that receives from it. Any number of pokes before it
// receives wake it once.
type poked chan struct{}

func newPoked() poked { return make(poked, 1) }

// poke wakes the receiver. It never blocks.
func (p poked) poke() {
	select {
	case p <- struct{}{}:
	default:
	}
}

// A queue runs tasks one after the other, in the order in which they were added, while some
// goroutine is in run. All methods but run are safe for concurrent use.
type queue struct {
	wake poked // a task was added

	mu    sync.Mutex // guards the fields below
	tasks []func()
	busy  bool // a task is running
}

func newQueue() *queue { return &queue{wake: newPoked()} }

// add adds a task, and returns without waiting for it.
func (q *queue) add(task func()) {
	q.mu.Lock()
	q.tasks = append(q.tasks, task)
	q.mu.Unlock()
	q.wake.poke()
}

// idle reports whether no task is queued or running.
func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.tasks) == 0 && !q.busy
}

// settle waits until the tasks that are queued now are done, but for no longer than most,
// nor beyond the end of ctx. If there are none it returns at once, even if nobody runs the
// queue.
func (q *queue) settle(ctx context.Context, most time.Duration) {
	if q.idle() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	done := make(chan struct{})
	q.add(func() { close(done) })
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// run runs tasks until ctx ends, and returns the error of ctx. Tasks that are left by then
// stay in the queue.
func (q *queue) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-q.wake:
		}
		for ctx.Err() == nil {
			task := q.next()
			if task == nil {
				break
			}
			task()
		}
		q.mu.Lock()
		q.busy = false
		q.mu.Unlock()
	}
}

// next removes the first task and returns it, nil if there is none.
func (q *queue) next() func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy = len(q.tasks) > 0
	if !q.busy {
		return nil
	}
	task := q.tasks[0]
	q.tasks = q.tasks[1:]
	return task
}

// A gate is something to wait for that can be shut and opened again and again. Its zero
// value is open. It is safe for concurrent use.
type gate struct {
	mu     sync.Mutex    // guards opened
	opened chan struct{} // nil while the gate is open; else closed when it opens
}

// shut shuts the gate, if it is open.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
}

// open opens the gate, if it is shut, and lets through all who wait.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
}

func (g *gate) isOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened == nil
}

// wait waits until the gate is open or ctx ends, and reports whether it opened.
func (g *gate) wait(ctx context.Context) bool {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	if opened == nil {
		return true
	}
	select {
	case <-opened:
		return true
	case <-ctx.Done():
		return false
	}
}
