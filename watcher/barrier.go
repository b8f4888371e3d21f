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

// barrierWait is how long a cookie's event may take before events count as in
// doubt. It is never reached while the kernel and the loop work.
const barrierWait = 5 * time.Second

// flushRequest is a call of Flush. reply is unbuffered: a batch that nobody
// receives any more stays with the loop.
type flushRequest struct {
	reply chan Batch
	gone  <-chan struct{}
}

// barrier is the state of the cookie round trips. One cookie is under way at a
// time. A call that comes meanwhile waits for the next one, because that cookie
// may be older than the writes that the caller asks about.
type barrier struct {
	folder  string
	watched bool
	count   int
	cookie  string // path of the one under way, or ""
	waiting []flushRequest
	next    []flushRequest
	timeout *time.Timer
}

func newBarrier(folder string) barrier {
	t := time.NewTimer(barrierWait)
	t.Stop()
	return barrier{folder: folder, timeout: t}
}

// openBarrier makes the folder and has it watched. What a killed process left in
// it goes away.
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

// closeBarrier is for a folder that is gone, or may be another one.
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

// sendCookie starts a round trip for all who wait.
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

// makeCookie creates the next cookie, with its folder if need be.
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
	return fmt.Errorf("write barrier cookie: %s keeps going away", b.folder)
}

// isCookie handles the events of the barrier's folder.
func (l *loop) isCookie(e rawEvent) bool {
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

// repeatBarrier sends a new cookie in place of one whose event may not come.
func (l *loop) repeatBarrier() {
	if l.barrier.cookie == "" {
		return
	}
	l.dropCookie()
	l.sendCookie()
}

func (l *loop) dropCookie() {
	if l.barrier.cookie != "" {
		_ = os.Remove(l.barrier.cookie)
		l.barrier.cookie = ""
	}
	l.barrier.timeout.Stop()
}

// passBarrier answers all who wait for the cookie under way: every event from
// before it has been handled. What no event tells is looked up.
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
