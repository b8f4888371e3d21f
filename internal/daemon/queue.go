package daemon

import (
	"context"
	"sync"
	"time"
)

// A poked wakes the goroutine that receives from it: once, however often it was poked
// in the meantime.
type poked chan struct{}

func newPoked() poked { return make(poked, 1) }

func (p poked) poke() {
	select {
	case p <- struct{}{}:
	default:
	}
}

// A queue does tasks one after the other, and keeps nobody who adds one waiting.
type queue struct {
	wake poked // there are tasks

	mu    sync.Mutex // guards the fields below
	tasks []func()
	busy  bool // one is being done
}

func newQueue() *queue { return &queue{wake: newPoked()} }

func (q *queue) add(task func()) {
	q.mu.Lock()
	q.tasks = append(q.tasks, task)
	q.mu.Unlock()
	q.wake.poke()
}

// idle reports whether there is nothing to do.
func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.tasks) == 0 && !q.busy
}

// settle returns when the tasks that are queued now are done, or the time is up: at
// once if there are none, whether anybody runs the queue or not.
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

// run does the tasks until ctx ends; those that are left then are not done.
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

// next takes the first task out, nil if there is none.
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

// A gate is open, or shut for a while. Its zero value is open.
type gate struct {
	mu     sync.Mutex
	opened chan struct{} // closed when it opens again; nil while it is open
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
}

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

// wait returns when the gate is open, or ctx ends; true if it is open.
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
