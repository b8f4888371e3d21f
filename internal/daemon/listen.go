package daemon

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stokerd/stoker/cache/buildkit"
)

// listen records the builds of one node until ctx ends: those that its history remembers,
// and those to come. Reading a finished build takes a while, so builds are read from
// queues: no event waits for that, and builds of now do not wait for those of the past.
func (d *Daemon) listen(ctx context.Context, node *buildkit.Builder) error {
	d.list(ctx, node)
	history, err := node.History(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	l := &listener{
		daemon: d, node: node, known: d.account(node), missed: d.catchUp(ctx, node, history),
		running: map[string]runningBuild{}, follow: group.Go,
	}
	l.lasted(ctx, history)
	defer l.close()
	group.Go(func() error { return l.known.missed.run(ctx) })
	group.Go(func() error { return l.known.builds.run(ctx) })
	group.Go(func() error {
		return node.Watch(ctx, func(ev buildkit.Event) error {
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
// that ends it. It is not safe for concurrent use.
type listener struct {
	daemon  *Daemon
	node    *buildkit.Builder
	known   account
	missed  map[string]int32        // by ref, see generations: of the builds that were there before
	running map[string]runningBuild // by ref
	follow  func(func() error)      // runs one that reads of a build
	before  map[string]bool         // by ref: the builds that ran when the history was read, and run
	lasting []func()                // to be called when none of those runs any more
}

// A runningBuild is a build that has started and not ended.
type runningBuild struct {
	release func() // lets go on what waits for its end
	began   moment // nil if it had begun before the daemon listened
}

func (l *listener) started(ctx context.Context, ev buildkit.Event) {
	if _, running := l.running[ev.Ref]; running {
		return
	}
	resume := l.daemon.warmer.Hold()
	var anew *rerun
	if ev.IgnoresCache() {
		anew = l.rerun(ctx, ev)
	}
	ended := l.known.begins(anew)
	b := runningBuild{release: func() { resume(); ended() }}
	if _, missed := l.missed[ev.Ref]; !missed {
		b.began = l.daemon.moment(ctx)
	}
	l.running[ev.Ref] = b
}

// rerun returns what a build is told to run without the cache, from now on.
func (l *listener) rerun(ctx context.Context, ev buildkit.Event) *rerun {
	one := &rerun{other: l.node.Running(ev)}
	l.follow(func() error {
		if err := one.other.Follow(ctx); err != nil && ctx.Err() == nil {
			l.daemon.log.Warn("what a build does without the cache is not known", "error", err)
		}
		return nil
	})
	return one
}

// lasted notes the builds of a history that ignored the cache and have ended, if one that
// runs may keep what they made. They last until all that ran when it was read have ended.
func (l *listener) lasted(ctx context.Context, history []buildkit.Event) {
	l.before = map[string]bool{}
	for _, ev := range history {
		switch {
		case ev.Type == buildkit.Started:
			l.before[ev.Ref] = true
		case ev.IgnoresCache() && lasts(ev, history):
			l.lasting = append(l.lasting, l.known.anew.begin(l.rerun(ctx, ev)))
		}
	}
}

// lettingGo is how long after the time of its end a build may keep what it made.
const lettingGo = 10 * time.Second

// lasts reports whether what a build made that has ended may be kept by one that runs:
// by one that ran beside it, or beside one that did, and so on.
func lasts(ended buildkit.Event, history []buildkit.Event) bool {
	end := ended.Completed
	for more := true; more; {
		more = false
		for _, ev := range history {
			switch {
			case !ev.Created.Before(end.Add(lettingGo)):
			case ev.Type == buildkit.Started:
				return true
			case ev.Completed.After(end):
				end, more = ev.Completed, true
			}
		}
	}
	return false
}

func (l *listener) ended(ctx context.Context, ev buildkit.Event) {
	complete := ev.Type == buildkit.Complete
	b, running := l.running[ev.Ref]
	if generation, missed := l.missed[ev.Ref]; missed && complete && !running && generation == ev.Generation {
		return // catchUp records it
	}
	var during *span
	if b.began != nil && complete {
		during = &span{b.began, l.daemon.moment(ctx)}
	}
	queue := l.known.missed
	if running {
		queue = l.known.builds
	}
	if complete {
		queue.add(func() { l.daemon.record(ctx, l.node, ev, during) })
	}
	if running { // once it waits to be recorded: in between the builder would count as idle
		b.release()
		delete(l.running, ev.Ref)
	}
	delete(l.before, ev.Ref)
	if len(l.before) == 0 {
		l.letGo()
	}
}

func (l *listener) letGo() {
	for _, end := range l.lasting {
		end()
	}
	l.lasting = nil
}

// close lets go on what waits for builds whose end was not seen.
func (l *listener) close() {
	for _, b := range l.running {
		b.release()
	}
	l.letGo()
}

// generations returns the generations of the builds of a history, those that catchUp
// records. One that had not ended is none of them: its end may come before somebody
// listens, and it has the generation -1.
func generations(history []buildkit.Event) map[string]int32 {
	told := map[string]int32{}
	for _, ev := range history {
		if told[ev.Ref] = ev.Generation; ev.Type != buildkit.Complete {
			told[ev.Ref] = -1
		}
	}
	return told
}

// catchUp enters the builds that ended while nobody looked, in that order, and
// returns the generations of all that the builder told of. Until that is done,
// nothing is known of the files that the builder has, and no build that ends now is
// entered: those before it would count as entered, too (Ledger.Saw).
func (d *Daemon) catchUp(ctx context.Context, node *buildkit.Builder, history []buildkit.Event) map[string]int32 {
	known := d.account(node)
	known.missed.add(func() { // whose builds they are is known by what is watched
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
		d.list(ctx, node) // which also keeps that
		if ctx.Err() == nil {
			known.copies.Behind(false)
			known.caught.open()
			d.board.changed()
		}
	})
	known.builds.add(func() { known.caught.wait(ctx) })
	return generations(history)
}
