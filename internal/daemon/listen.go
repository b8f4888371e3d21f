package daemon

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stokerd/stoker/cache/buildkit"
)

// listen records the builds of one node until ctx ends or the connection breaks: those in
// the builder's history, and those to come. Reading a finished build takes a while, so
// events only put builds into queues: account.missed for those that had ended before
// listen was called, account.builds for the others.
//
// All goroutines are of one group, which listen waits for. They end with its context.
func (d *Daemon) listen(ctx context.Context, node *buildkit.Builder) error {
	d.list(ctx, node)
	history, err := node.History(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	l := &listener{
		daemon: d, node: node, known: d.account(node), missed: d.catchUp(ctx, node, history),
		running: map[string]runningBuild{}, spawn: group.Go,
	}
	l.trackPast(ctx, history)
	defer l.close()
	group.Go(func() error { return l.known.missed.run(ctx) })
	group.Go(func() error { return l.known.builds.run(ctx) })
	group.Go(func() error { return l.known.backlog.drain(ctx, func() { d.storeBacklog(ctx, node) }) })
	group.Go(func() error {
		return node.Watch(ctx, func(ev buildkit.Event) error {
			l.hear(ev)
			switch ev.Type {
			case buildkit.Started:
				l.started(ctx, ev)
			case buildkit.Complete, buildkit.Deleted:
				l.ended(ctx, ev)
			}
			return nil
		})
	})
	return group.Wait()
}

// A listener follows the builds of one node from the event that starts each to the one
// that ends it. It is not safe for concurrent use: node.Watch calls it from one goroutine.
type listener struct {
	daemon  *Daemon
	node    *buildkit.Builder
	known   account
	missed  map[string]int32        // generations of the builds in the history, by ref: see generations
	running map[string]runningBuild // by ref
	clock   farClock                // of the builder
	spawn   func(func() error)      // starts a goroutine that listen waits for

	// Reruns that had ended before the daemon listened, and may still share operations.
	older    map[string]bool // refs of the builds that ran when the history was read, until they end
	endOlder []func()        // ends these reruns; called when older is empty
}

// A runningBuild is a build that has started and not ended.
type runningBuild struct {
	end   func()    // has the warmer go on, and notes in the account that the build ended
	began moment    // nil if it had begun before the daemon listened
	since time.Time // when it began, or somewhat earlier, by the clock of this machine
}

// since returns when a build began that the builder has just told of, by the clock of this
// machine, or somewhat earlier.
func (l *listener) since(ev buildkit.Event) time.Time {
	if sameClock(l.node.Info().Address) {
		return ev.Created
	}
	return l.clock.here(ev.Created)
}

// hear sets the clock by an event that the builder has just sent.
func (l *listener) hear(ev buildkit.Event) {
	if _, missed := l.missed[ev.Ref]; missed {
		return // it may be told long after
	}
	switch ev.Type {
	case buildkit.Started:
		l.clock.hear(time.Now(), ev.Created)
	case buildkit.Complete:
		l.clock.hear(time.Now(), ev.Completed)
	}
}

// A farClock tells what a builder's clock says from what that of this machine does. Nothing
// is heard before it happens, so the clocks differ by no more than the least that was ever
// between the two. It is not safe for concurrent use.
type farClock struct {
	least time.Duration
	heard bool
}

// mostDelay is how long it takes at most to hear of what a builder tells, or of some earlier
// event of the same connection.
const mostDelay = 500 * time.Millisecond

// hear notes that of what happened at far, by the builder's clock, was heard now.
func (c *farClock) hear(now, far time.Time) {
	if d := now.Sub(far); !c.heard || d < c.least {
		c.least, c.heard = d, true
	}
}

// here returns what the clock of this machine said at far, which was heard of, or somewhat
// less than that.
func (c *farClock) here(far time.Time) time.Time { return far.Add(c.least - mostDelay) }

// started notes that a build has started, and has warming wait until it ends.
func (l *listener) started(ctx context.Context, ev buildkit.Event) {
	if _, running := l.running[ev.Ref]; running {
		return
	}
	resume := l.daemon.warmer.Hold()
	var one *rerun
	if ev.IgnoresCache() {
		one = l.rerun(ctx, ev)
	}
	ended := l.known.begin(one)
	b := runningBuild{end: func() { resume(); ended() }}
	if _, missed := l.missed[ev.Ref]; !missed {
		b.began, b.since = l.daemon.moment(ctx), l.since(ev)
	}
	l.running[ev.Ref] = b
}

// rerun returns the rerun of a build that ignores the cache. A goroutine adds to it what
// the builder tells of the build, until the build or ctx ends.
func (l *listener) rerun(ctx context.Context, ev buildkit.Event) *rerun {
	one := &rerun{other: l.node.Running(ev)}
	l.spawn(func() error {
		if err := one.other.Follow(ctx); err != nil && ctx.Err() == nil {
			l.daemon.log.Warn("what a build does without the cache is not known", "error", err)
		}
		return nil
	})
	return one
}

// trackPast tracks the builds in history that ignored the cache and have ended, where a
// build that still runs may hold their operations. They are tracked until all builds have
// ended that ran when the history was read.
func (l *listener) trackPast(ctx context.Context, history []buildkit.Event) {
	l.older = map[string]bool{}
	for _, ev := range history {
		switch {
		case ev.Type == buildkit.Started:
			l.older[ev.Ref] = true
		case ev.IgnoresCache() && mayBeHeld(ev, history):
			l.endOlder = append(l.endOlder, l.known.reruns.begin(l.rerun(ctx, ev)))
		}
	}
}

// discardDelay bounds how long after the recorded end of a build BuildKit may take to let
// go of its operations.
const discardDelay = 10 * time.Second

// mayBeHeld reports whether a build that runs may hold operations of one that has ended:
// because it ran together with that one, or with another that may have held them, and so
// on. history has the builds that run, and the ones in between.
func mayBeHeld(ended buildkit.Event, history []buildkit.Event) bool {
	end := ended.Completed // of the last build known to run that may have held them
	for more := true; more; {
		more = false
		for _, ev := range history {
			switch {
			case !ev.Created.Before(end.Add(discardDelay)): // it began too late
			case ev.Type == buildkit.Started:
				return true
			case ev.Completed.After(end):
				end, more = ev.Completed, true
			}
		}
	}
	return false
}

// ended has a build recorded that has ended. ev may also be of type Deleted: then the build
// has no record that could be read, and counts as ended.
func (l *listener) ended(ctx context.Context, ev buildkit.Event) {
	complete := ev.Type == buildkit.Complete
	b, running := l.running[ev.Ref]
	if generation, missed := l.missed[ev.Ref]; missed && complete && !running && generation == ev.Generation {
		return // catchUp has queued it
	}
	var during *span
	if b.began != nil && complete {
		during = l.daemon.span(ctx, b.began, b.since)
	}
	queue := l.known.missed
	if running {
		queue = l.known.builds
	}
	if complete {
		queue.add(func() { l.daemon.record(ctx, l.node, ev, during) })
	}
	if running {
		// Not before it is queued, or the account would be idle in between.
		b.end()
		delete(l.running, ev.Ref)
	}
	delete(l.older, ev.Ref)
	if len(l.older) == 0 {
		l.untrackPast()
	}
}

// untrackPast undoes trackPast.
func (l *listener) untrackPast() {
	for _, end := range l.endOlder {
		end()
	}
	l.endOlder = nil
}

// close takes builds for ended whose end was not seen, so that nothing waits for them.
func (l *listener) close() {
	for _, b := range l.running {
		b.end()
	}
	l.untrackPast()
}

// generations returns, by ref, the generation of each build in history that catchUp
// records, and -1 for those that had not ended: their ends are recorded as events tell of
// them.
func generations(history []buildkit.Event) map[string]int32 {
	byRef := map[string]int32{}
	for _, ev := range history {
		byRef[ev.Ref] = ev.Generation
		if ev.Type != buildkit.Complete {
			byRef[ev.Ref] = -1
		}
	}
	return byRef
}

// catchUp queues the finished builds of history in account.missed, in their order, and
// returns the generations of all builds in history. When the queue has entered them it
// opens account.caughtUp. Until then nothing is known of the files that the builder has,
// and account.builds waits: to enter a build is to say that all earlier ones are entered
// (see Ledger.Saw).
func (d *Daemon) catchUp(ctx context.Context, node *buildkit.Builder, history []buildkit.Event) map[string]int32 {
	known := d.account(node)
	known.missed.add(func() { // builds are assigned to the repositories that are watched
		if d.awaitResumed(ctx) == nil {
			d.moment(ctx)
		}
	})
	for _, ev := range history {
		if ev.Type == buildkit.Complete {
			known.unread.Add(1)
			known.missed.add(func() {
				defer known.unread.Add(-1)
				d.record(ctx, node, ev, nil)
			})
		}
	}
	known.missed.add(func() {
		if ctx.Err() == nil {
			known.CaughtUp()
		}
		d.list(ctx, node) // also stores the account
		if ctx.Err() == nil {
			known.copies.Behind(false)
			known.caughtUp.open()
			d.board.changed()
		}
	})
	known.builds.add(func() { known.caughtUp.wait(ctx) })
	return generations(history)
}
