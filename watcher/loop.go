package watcher

import (
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// loop owns a watcher's state. All of it is used by one goroutine: the one that
// runs New, and from then on the one that runs run.
type loop struct {
	w     *Watcher
	root  string // absolute, resolved
	log   *slog.Logger
	prune func(rel string) bool

	table   table
	watched int                 // directories in the table that the kernel watches
	polled  map[string]snapshot // those that it does not, see poll.go
	stale   bool                // the polled directories that the status names may have changed
	mend    string              // what the user can do about the kernel's refusal
	epoch   uint32              // counts removed watches
	killed  map[uint64]uint32   // inode -> epoch of a removed watch, until revive
	absent  bool                // the root is gone

	pending  *pending
	ready    *Batch // to be handed out
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

// begin adds the first watches. The barrier's comes first, since the root's may
// use up what the kernel allows.
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

// run works until the watcher closes.
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

// freeze turns what is pending into the batch that is handed out next.
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

// mark adds a path to what is pending.
func (l *loop) mark(rel string, whole bool) {
	l.pending.mark(rel, whole)
	l.debounce.touch()
}

// doubt makes the next batch an overflow.
func (l *loop) doubt() {
	l.pending.doubt()
	l.debounce.touch()
}

// work acts upon the queued events.
func (l *loop) work() {
	items, lost := l.w.queue.take()
	if lost {
		l.log.Info("events lost, watching anew", "root", l.root)
		l.reset()
		// The cookie's event may be among the lost ones.
		l.repeatBarrier()
	}
	for _, e := range items {
		if l.closed() {
			return
		}
		l.log.Debug("event", "path", e.name, "op", e.op)
		if l.isCookie(e) {
			continue
		}
		if rel, ok := l.rel(e.name); ok {
			l.handle(rel, e.op)
		}
	}
	l.revive()
}

// rel makes an event's path relative to the root.
func (l *loop) rel(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, l.root)
	if !ok {
		return "", false
	}
	rest = filepath.ToSlash(rest)
	trimmed := strings.TrimLeft(rest, "/")
	return trimmed, rest != trimmed || rest == "" || l.root == string(filepath.Separator)
}

func (l *loop) abs(rel string) string {
	if rel == "" {
		return l.root
	}
	return strings.TrimSuffix(l.root, string(filepath.Separator)) + string(filepath.Separator) + filepath.FromSlash(rel)
}

// handle acts upon one event below the root.
func (l *loop) handle(rel string, op fsnotify.Op) {
	if rel == "" {
		if op.Has(fsnotify.Remove) || op.Has(fsnotify.Rename) {
			l.loseRoot()
		}
		l.checkRoot()
		l.mark("", false)
		return
	}
	d, hidden := l.table.find(rel)
	if hidden {
		return // queued before it was pruned
	}
	switch {
	case op.Has(fsnotify.Remove), op.Has(fsnotify.Rename):
		l.removed(rel, d, op)
	case op.Has(fsnotify.Create):
		l.appeared(rel)
	case op.Has(fsnotify.Chmod):
		if d == nil && isDir(l.abs(rel)) {
			l.appeared(rel) // it may have become readable
		} else {
			l.mark(rel, false)
		}
	default:
		// kqueue and Windows report a directory as written when its entries
		// change, beside reporting the entries.
		if d == nil || d.how == pruned {
			l.mark(rel, false)
		}
	}
}

// appeared brings the table in line with what is at rel now.
func (l *loop) appeared(rel string) {
	whole := isDir(l.abs(rel))
	if whole {
		l.addTree(rel)
	} else {
		l.drop(rel)
	}
	l.mark(rel, whole)
}

// removed handles a path that is gone, or was so for a moment, or is not
// concerned: the events of a directory below one that was moved carry the old
// name until its watch is removed, and something else may have that name now.
func (l *loop) removed(rel string, d *dir, op fsnotify.Op) {
	if d != nil && op.Has(fsnotify.Rename) && len(l.polled) > 0 {
		// Where one of the two parents is polled, the order of the kernel's
		// events does not tell which name the watch has now.
		l.reset()
		return
	}
	l.drop(rel)
	l.appeared(rel)
}

// publish renews the status if it changed.
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

// lookAgain is how often the root is looked for, and polled directories are read.
const lookAgain = 2 * time.Second
