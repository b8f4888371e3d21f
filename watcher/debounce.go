package watcher

import "time"

// A debouncer decides when changes are delivered: once none has come for some time,
// or at the latest a multiple of that time after the first. It is not safe for
// concurrent use.
type debouncer struct {
	quiet time.Duration
	limit time.Duration
	first time.Time // first touch since the last stop; zero if there was none
	timer *time.Timer
}

// maxDelays is how many times the quiet time the first change may have to wait. It
// bounds how old the consumer's picture is where something writes all the time.
const maxDelays = 3

func newDebouncer(quiet time.Duration) *debouncer {
	t := time.NewTimer(quiet)
	t.Stop()
	return &debouncer{quiet: quiet, limit: maxDelays * quiet, timer: t}
}

// C returns a channel that fires when it is time to deliver.
func (d *debouncer) C() <-chan time.Time { return d.timer.C }

// touch records a change.
func (d *debouncer) touch() {
	now := time.Now()
	if d.first.IsZero() {
		d.first = now
	}
	d.timer.Reset(min(d.quiet, d.first.Add(d.limit).Sub(now)))
}

// stop forgets the changes: they were delivered.
func (d *debouncer) stop() {
	d.first = time.Time{}
	d.timer.Stop()
}
