package watcher

import (
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// A loop owns a watcher's state. Only one goroutine uses it: first the one that
// runs New, then the one that runs run. Paths are relative to the root, which is "".
type loop struct {
	w     *Watcher
	root  string // absolute, links resolved
	log   *slog.Logger
	prune func(rel string) bool

	table   table
	watched int                 // directories in the table that the kernel watches
	polled  map[string]snapshot // directories that it refuses to watch, see poll.go
	stale   bool                // polled changed since the status was published
	advice  string              // what the user can do about the first refusal
	epoch   uint32              // number of watches removed so far
	killed  map[uint64]uint32   // inode -> epoch at which a watch on it was removed, until revive
	absent  bool                // the root does not exist

	pending  *pending
	ready    *Batch // waits to be received; nil for none
	debounce *debouncer
	due      bool // the debounce ended while a batch was ready
	barrier  barrier
	poll     poller
}

// pruneRequest asks the loop to use another prune function.
type pruneRequest struct {
	prune func(rel string) bool
	done  chan struct{}
}

func newLoop(w *Watcher, root, cookies string, o Options) *loop {
	l := &loop{
		w:        w,
		root:     root,
		log:      o.Log,
		prune:    o.Prune,
		polled:   make(map[string]snapshot),
		killed:   make(map[uint64]uint32),
		pending:  newPending(maxPending),
		debounce: newDebouncer(o.Debounce),
		barrier:  newBarrier(cookies),
		poll:     newPoller(),
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.prune == nil {
		l.prune = func(string) bool { return false }
	}
	return l
}

// begin adds the first watches. The barrier's comes first, since those below the
// root may use up what the kernel allows.
func (l *loop) begin() error {
	if err := l.openBarrier(); err != nil && l.barrier.folder != "" {
		l.log.Warn("folder for barrier cookies is not watched", "err", err)
	}
	f, _, err := openDir(l.root)
	if err != nil {
		return err
	}
	f.Close()
	l.addTree("")
	l.publish()
	return nil
}

// run handles events, requests and timers until the watcher is closed.
func (l *loop) run() {
	defer close(l.w.batches)
	defer l.stopTimers()
	for {
		l.poll.arm(l.absent || len(l.polled) > 0)
		l.publish()
		var out chan<- Batch
		var next Batch
		if l.ready != nil {
			out, next = l.w.batches, *l.ready
		}
		select {
		case <-l.w.closing:
			return
		case <-l.w.queue.wake:
			l.work()
		case out <- next:
			l.ready = nil
			if l.due {
				l.freeze()
			}
		case <-l.debounce.C():
			l.freeze()
		case req := <-l.w.flushes:
			l.flush(req)
		case <-l.barrier.timeout.C:
			l.log.Warn("the kernel did not answer a barrier")
			l.pending.doubt()
			l.passBarrier()
		case req := <-l.w.prunes:
			l.setPrune(req.prune)
			l.publish() // before the caller can look at it
			close(req.done)
		case <-l.poll.timer.C:
			l.pollAll()
		}
	}
}

func (l *loop) stopTimers() {
	l.debounce.stop()
	l.barrier.timeout.Stop()
	l.poll.timer.Stop()
}

func (l *loop) closed() bool {
	select {
	case <-l.w.closing:
		return true
	default:
		return false
	}
}

// freeze turns the pending changes into the batch that is delivered next. If one is
// waiting already, that is left for when it has been received.
func (l *loop) freeze() {
	if l.ready != nil {
		l.due = true
		return
	}
	l.due = false
	l.checkRoot()
	l.debounce.stop()
	if b := l.pending.take(); !b.Empty() {
		l.ready = &b
	}
}

// mark adds a path to the pending changes.
func (l *loop) mark(rel string) {
	l.pending.mark(rel)
	l.debounce.touch()
}

// markTree adds a directory and everything below it to the pending changes.
func (l *loop) markTree(rel string) {
	l.pending.markTree(rel)
	l.debounce.touch()
}

// doubt makes the next batch an overflow.
func (l *loop) doubt() {
	l.pending.doubt()
	l.debounce.touch()
}

// work handles the queued events.
func (l *loop) work() {
	items, lost := l.w.queue.take()
	if lost {
		l.log.Info("events lost, watching anew", "root", l.root)
		l.reset()
		l.repeatBarrier() // the event of the cookie may be lost, too
	}
	for _, e := range items {
		if l.closed() {
			return
		}
		l.log.Debug("event", "path", e.name, "op", e.op)
		if l.handleCookie(e) {
			continue
		}
		if rel, ok := l.rel(e.name); ok {
			l.handle(rel, e.op)
		}
	}
	l.revive()
}

// rel returns the path of an event relative to the root, and false if it is not
// below the root.
func (l *loop) rel(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, l.root)
	if !ok {
		return "", false
	}
	rest = filepath.ToSlash(rest)
	trimmed := strings.TrimLeft(rest, "/")
	return trimmed, rest != trimmed || rest == "" || l.root == string(filepath.Separator)
}

// abs is the inverse of rel.
func (l *loop) abs(rel string) string {
	if rel == "" {
		return l.root
	}
	return strings.TrimSuffix(l.root, string(filepath.Separator)) + string(filepath.Separator) + filepath.FromSlash(rel)
}

// handle handles one event at or below the root.
func (l *loop) handle(rel string, op fsnotify.Op) {
	if rel == "" {
		if op.Has(fsnotify.Remove) || op.Has(fsnotify.Rename) {
			l.loseRoot()
		}
		l.checkRoot()
		l.mark("")
		return
	}
	d, hidden := l.table.find(rel)
	if hidden {
		return // the event was queued before the directory was pruned
	}
	switch {
	case op.Has(fsnotify.Remove), op.Has(fsnotify.Rename):
		l.removed(rel, d, op)
	case op.Has(fsnotify.Create):
		l.appeared(rel)
	case op.Has(fsnotify.Chmod):
		if d == nil && isDir(l.abs(rel)) {
			l.appeared(rel) // a directory that may have become readable
		} else {
			l.mark(rel)
		}
	default:
		// kqueue and Windows report a write to a directory when its entries
		// change, in addition to the entries themselves.
		if d == nil || d.mode == pruned {
			l.mark(rel)
		}
	}
}

// appeared updates the table for what is at rel now, and marks that.
func (l *loop) appeared(rel string) {
	if isDir(l.abs(rel)) {
		l.addTree(rel)
		l.markTree(rel)
	} else {
		l.drop(rel)
		l.mark(rel)
	}
}

// removed handles the removal of the path rel, whose entry in the table is d or nil.
// Something may be there again by now. It may also be that rel was never removed: if
// a parent was moved, the events of a directory below carry its old path until the
// watch is removed, and something else may have that path now.
func (l *loop) removed(rel string, d *dir, op fsnotify.Op) {
	if d != nil && op.Has(fsnotify.Rename) && len(l.polled) > 0 {
		// If the old or the new parent is polled, the order of the kernel's events
		// does not tell under which path the watch is now.
		l.reset()
		return
	}
	l.drop(rel)
	l.appeared(rel)
}

// publish replaces the status if it changed.
func (l *loop) publish() {
	s := Status{
		Directories: l.watched,
		Polled:      len(l.polled),
		Pending:     l.ready != nil || !l.pending.empty(),
	}
	s.Problem = l.problem()
	old := l.w.status.Load()
	if old != nil && !l.stale && old.Directories == s.Directories && old.Polled == s.Polled &&
		old.Pending == s.Pending && old.Problem == s.Problem {
		return
	}
	if l.stale {
		s.PolledDirs, l.stale = l.somePolled(), false
	} else if old != nil {
		s.PolledDirs = old.PolledDirs
	}
	l.w.status.Store(&s)
}
