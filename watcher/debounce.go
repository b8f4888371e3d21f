package watcher

import "time"

// debouncer decides when what gathered is handed out: after a quiet time, or at
// a multiple of it if it never gets quiet. It is used by one goroutine.
type debouncer struct {
	quiet time.Duration
	limit time.Duration
	first time.Time // of the touches since the last stop; zero if none
	timer *time.Timer
}

// maxDelays is how many quiet times the first change may have to wait: where
// something is written all the time, nobody should see an old picture for long.
const maxDelays = 3

func newDebouncer(quiet time.Duration) *debouncer {
	t := time.NewTimer(quiet)
	t.Stop()
	return &debouncer{quiet: quiet, limit: maxDelays * quiet, timer: t}
}

// C fires when it is time to hand out.
func (d *debouncer) C() <-chan time.Time { return d.timer.C }

// touch records a change.
func (d *debouncer) touch() {
	now := time.Now()
	if d.first.IsZero() {
		d.first = now
	}
	d.timer.Reset(min(d.quiet, d.first.Add(d.limit).Sub(now)))
}

// stop forgets the changes, because they were handed out.
func (d *debouncer) stop() {
	d.first = time.Time{}
	d.timer.Stop()
}
