package watcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// ErrClosed is returned by the methods of a closed [Watcher].
var ErrClosed = errors.New("watcher is closed")

// Batch names what changed since the batch before it. It is never edited after
// it was handed out.
//
// The consumer looks at the paths in their order, without following a symlink
// anywhere in them: what lies behind a symlink is gone. One that is gone takes
// everything below it along. One that is a directory is to be read again with
// everything below it. Anything else stands for itself.
type Batch struct {
	// Paths are relative to the root, slash-separated, sorted, without
	// duplicates, and none lies below a new directory that is listed too. "."
	// is the root itself. Names are the file system's bytes, unchanged.
	Paths []string
	// Overflow means that events were lost or are in doubt, and that everything
	// below the root has to be read again. Paths is then empty.
	Overflow bool
}

// Empty reports whether the batch says nothing.
func (b Batch) Empty() bool { return !b.Overflow && len(b.Paths) == 0 }

// Status is a picture of a [Watcher] at one moment.
type Status struct {
	// Directories counts those that the kernel watches.
	Directories int
	// Polled counts those that it refuses to watch.
	Polled int
	// PolledDirs are some of the polled ones (at most 10), relative to the root.
	PolledDirs []string
	// Pending is true while events were seen that no batch has carried yet.
	Pending bool
	// Problem is a sentence for the user, with the mend, or empty.
	Problem string
}

// Options configure [New].
type Options struct {
	// Debounce is the quiet time before a batch is handed out; 0 means 100ms. A
	// steady stream of events yields a batch every three times that.
	Debounce time.Duration
	// Prune says of a directory (relative to the root, slash-separated) that
	// nothing below it matters. It is then not watched, while its own coming
	// and going is still reported. Called from the watcher's goroutine (from
	// New's, while New runs); nil prunes nothing.
	Prune func(rel string) bool
	// CookieDir is a folder of this watcher's own, outside the root. It is
	// made if missing (0700), and again if somebody deletes it. Without one
	// there is no barrier: Flush always answers Overflow.
	CookieDir string
	// Log gets a line per lifecycle change, and one per event at Debug.
	Log *slog.Logger
}

// Watcher watches one root until it is closed. Make one with [New]. Its methods
// may be called from any goroutine.
type Watcher struct {
	kernel  kernel
	queue   *eventQueue
	batches chan Batch
	flushes chan flushRequest
	prunes  chan pruneRequest
	status  atomic.Pointer[Status]

	closing   chan struct{}
	closeOnce sync.Once
	running   sync.WaitGroup
}

// kernel is what is used of an [fsnotify.Watcher], beside its channels.
type kernel interface {
	Add(name string) error
	Remove(name string) error
	Close() error
}

// source is a kernel with the channels on which it reports.
type source struct {
	kernel
	events <-chan fsnotify.Event
	errors <-chan error
}

// New watches root, a directory or a symlink to one, which is resolved once.
// When it returns all watches are in place: a scan that starts now misses
// nothing that a later batch does not name.
func New(root string, o Options) (*Watcher, error) {
	var src source
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		src.kernel = refusing{err}
	} else {
		src = source{fs, fs.Events, fs.Errors}
	}
	w, err := start(root, o, src)
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	return w, nil
}

// refusing stands in for a kernel that gives no watcher at all: every
// directory is then polled.
type refusing struct{ err error }

func (r refusing) Add(string) error  { return r.err }
func (refusing) Remove(string) error { return nil }
func (refusing) Close() error        { return nil }

// start is New with the source of events given.
func start(root string, o Options, src source) (*Watcher, error) {
	given := root
	root, err := filepath.Abs(root)
	if err == nil {
		root, err = filepath.EvalSymlinks(root)
	}
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", given, err)
	}
	cookies, err := cookieFolder(root, o.CookieDir)
	if err != nil {
		return nil, err
	}
	if o.Debounce <= 0 {
		o.Debounce = 100 * time.Millisecond
	}
	w := &Watcher{
		kernel:  src.kernel,
		queue:   newEventQueue(maxQueued),
		batches: make(chan Batch),
		flushes: make(chan flushRequest),
		prunes:  make(chan pruneRequest),
		closing: make(chan struct{}),
	}
	l := newLoop(w, root, cookies, o)

	// Draining comes first: on some systems Add itself sends events.
	w.running.Go(func() { w.drain(src.events, src.errors, l.log) })
	if err := l.begin(); err != nil {
		close(w.closing)
		w.running.Wait()
		return nil, fmt.Errorf("watch %s: %w", given, err)
	}
	w.running.Go(l.run)
	return w, nil
}

// cookieFolder makes dir and resolves it, since events carry the path that was
// given to the kernel and have to compare equal.
func cookieFolder(root, dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", fmt.Errorf("make folder for barrier cookies: %w", err)
	}
	if rel, err := filepath.Rel(root, dir); err == nil && filepath.IsLocal(rel) {
		return "", fmt.Errorf("folder for barrier cookies %s lies below the watched %s", dir, root)
	}
	return dir, nil
}

// drain moves the kernel's events into the queue until the watcher closes.
func (w *Watcher) drain(events <-chan fsnotify.Event, errs <-chan error, log *slog.Logger) {
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			w.queue.push(rawEvent{e.Name, e.Op})
		case err, ok := <-errs:
			if !ok {
				return
			}
			log.Warn("file events lost", "err", err)
			w.queue.lose()
		case <-w.closing:
			return
		}
	}
}

// Batches is the channel of debounced batches. It is closed by [Watcher.Close].
// There is one consumer; while it is busy, changes gather for the next batch.
func (w *Watcher) Batches() <-chan Batch { return w.batches }

// Flush is the barrier. It returns, without waiting for the debounce, what was
// not handed out yet; after it, every change below the root that was finished
// before the call has been named. The goroutine that receives from Batches
// calls it, applies the batch and then answers; it need not receive meanwhile.
//
// Calls at the same time share a round trip; exactly one of them gets the batch,
// the others get an empty one. If ctx ends first nothing is lost: the next batch
// carries it. Flush never hangs: without an answer from the kernel the batch
// comes with Overflow.
func (w *Watcher) Flush(ctx context.Context) (Batch, error) {
	req := flushRequest{reply: make(chan Batch), gone: ctx.Done()}
	select {
	case w.flushes <- req:
	case <-ctx.Done():
		return Batch{}, ctx.Err()
	case <-w.closing:
		return Batch{}, ErrClosed
	}
	select {
	case b := <-req.reply:
		return b, nil
	case <-ctx.Done():
		return Batch{}, ctx.Err()
	case <-w.closing:
		return Batch{}, ErrClosed
	}
}

// SetPrune replaces Options.Prune, and returns when watches were dropped and
// added accordingly. Directories that are watched from now on are in the next
// batch, since nothing is known of what happened in them before.
func (w *Watcher) SetPrune(prune func(rel string) bool) error {
	req := pruneRequest{prune: prune, done: make(chan struct{})}
	select {
	case w.prunes <- req:
	case <-w.closing:
		return ErrClosed
	}
	select {
	case <-req.done:
		return nil
	case <-w.closing:
		return ErrClosed
	}
}

// Status returns the newest picture, at once.
func (w *Watcher) Status() Status { return *w.status.Load() }

// Close ends the watching, closes the channel of batches, and returns when the
// watcher's goroutines have ended. Further calls do nothing.
func (w *Watcher) Close() error {
	var err error
	w.closeOnce.Do(func() {
		close(w.closing)
		err = w.kernel.Close()
		w.running.Wait()
	})
	return err
}
