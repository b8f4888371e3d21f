package watcher

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/fsnotify/fsnotify"
)

// barrierWait is how long the event for a cookie may take before the barrier gives
// up and answers Overflow. It is never reached while kernel and loop are working.
const barrierWait = 5 * time.Second

// A flushRequest is a call of [Watcher.Flush].
type flushRequest struct {
	reply chan Batch      // unbuffered, so that the loop keeps a batch nobody receives
	gone  <-chan struct{} // closed when the caller has given up
}

// barrier is the state of the round trips to the kernel. Each consists of creating
// a cookie, a file in a watched folder, and waiting for its event. There is one at
// a time. A call of Flush during a round trip waits for the next one, since the
// cookie may be older than the writes that the caller asks about.
type barrier struct {
	folder  string // "" if there is no barrier
	watched bool   // the kernel watches folder
	count   int    // cookies so far
	cookie  string // path of the current one, or ""
	waiting []flushRequest
	next    []flushRequest // wait for the next round trip
	timeout *time.Timer
}

func newBarrier(folder string) barrier {
	t := time.NewTimer(barrierWait)
	t.Stop()
	return barrier{folder: folder, timeout: t}
}

// openBarrier creates the folder, removes the cookies that a killed process left in
// it, and has it watched. Without a folder the error is errors.ErrUnsupported.
func (l *loop) openBarrier() error {
	b := &l.barrier
	if b.folder == "" {
		return errors.ErrUnsupported
	}
	if err := os.MkdirAll(b.folder, 0o700); err != nil {
		return fmt.Errorf("make folder for barrier cookies: %w", err)
	}
	if old, err := filepath.Glob(filepath.Join(b.folder, "cookie-*")); err == nil {
		for _, name := range old {
			_ = os.Remove(name)
		}
	}
	if err := l.w.kernel.Add(b.folder); err != nil {
		return fmt.Errorf("watch folder for barrier cookies: %w", err)
	}
	b.watched = true
	return nil
}

// closeBarrier stops watching the folder, after it was removed or replaced.
func (l *loop) closeBarrier() {
	l.barrier.watched = false
	_ = l.w.kernel.Remove(l.barrier.folder)
}

// flush serves a call of Flush.
func (l *loop) flush(req flushRequest) {
	l.barrier.next = append(l.barrier.next, req)
	if l.barrier.cookie == "" {
		l.sendCookie()
	}
}

// sendCookie starts a round trip for all requests that wait, if there are any. If it
// cannot, it answers them at once, with Overflow where events may be missing.
func (l *loop) sendCookie() {
	b := &l.barrier
	b.waiting, b.next = append(b.waiting, b.next...), nil
	if len(b.waiting) == 0 {
		return
	}
	err := errors.ErrUnsupported
	if oneQueue {
		err = l.makeCookie()
	}
	if err != nil {
		if len(l.polled) == 0 || l.watched > 0 {
			l.log.Debug("no barrier", "err", err)
			l.pending.doubt()
		}
		l.passBarrier()
		return
	}
	b.timeout.Reset(barrierWait)
}

// makeCookie creates the next cookie, and its folder if that is missing.
func (l *loop) makeCookie() error {
	b := &l.barrier
	for range 2 {
		if !b.watched {
			if err := l.openBarrier(); err != nil {
				return err
			}
		}
		b.count++
		name := filepath.Join(b.folder, "cookie-"+strconv.Itoa(b.count))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			b.cookie = name
			return f.Close()
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("write barrier cookie: %w", err)
		}
		l.closeBarrier()
	}
	return fmt.Errorf("write barrier cookie: somebody keeps removing %s", b.folder)
}

// handleCookie handles e if it is an event of the barrier's folder, and reports
// whether it is.
func (l *loop) handleCookie(e rawEvent) bool {
	b := &l.barrier
	switch {
	case e.name == b.folder:
		if e.op.Has(fsnotify.Remove) || e.op.Has(fsnotify.Rename) {
			l.closeBarrier()
			l.repeatBarrier()
		}
	case e.name == b.cookie && e.op.Has(fsnotify.Create):
		l.passBarrier()
	default:
		return filepath.Dir(e.name) == b.folder
	}
	return true
}

// repeatBarrier replaces a cookie whose event may never come by a new one.
func (l *loop) repeatBarrier() {
	if l.barrier.cookie == "" {
		return
	}
	l.dropCookie()
	l.sendCookie()
}

// dropCookie ends the current round trip without answering.
func (l *loop) dropCookie() {
	if l.barrier.cookie != "" {
		_ = os.Remove(l.barrier.cookie)
		l.barrier.cookie = ""
	}
	l.barrier.timeout.Stop()
}

// passBarrier answers all requests that wait for the current cookie: every event
// that came before it has been handled. It also checks what no event reports: dead
// watches, the root itself, and polled directories.
func (l *loop) passBarrier() {
	l.dropCookie()
	l.revive()
	l.checkRoot()
	if len(l.polled) > 0 {
		l.pollAll()
	}
	if l.ready != nil {
		l.pending.putBack(*l.ready)
		l.ready = nil
	}
	batch := l.pending.take()
	waiting := l.barrier.waiting
	l.barrier.waiting = nil
	l.publish() // before the caller can look at it
	for _, req := range waiting {
		select {
		case req.reply <- batch:
			batch = Batch{}
		case <-req.gone:
		case <-l.w.closing:
		}
	}
	l.due = false
	l.debounce.stop()
	if !batch.Empty() {
		l.pending.putBack(batch)
		l.debounce.touch()
	}
	l.sendCookie()
}
