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

// A Batch lists what changed since the batch before it. It is never edited once
// it was delivered.
//
// The consumer reads the paths again in their order, without following symlinks: a
// path behind a symlink counts as missing. If a path does not exist, neither does
// anything below it. If it is a directory, everything below it has to be read
// again. Otherwise the path stands for itself.
type Batch struct {
	// Paths are relative to the root, slash-separated, sorted, and without
	// duplicates; none lies below a new directory that is also listed. "." is the
	// root itself. Names are the file system's bytes, unchanged.
	Paths []string
	// Overflow means that events were lost or are in doubt, and that everything
	// below the root has to be read again. Paths is then empty.
	Overflow bool
}

// Empty reports whether the batch lists nothing.
func (b Batch) Empty() bool { return !b.Overflow && len(b.Paths) == 0 }

// A Status describes a [Watcher] at one moment.
type Status struct {
	Directories int      // directories that the kernel watches
	Polled      int      // directories that the kernel refuses to watch
	PolledDirs  []string // up to 10 of those, relative to the root
	Pending     bool     // events were seen that no batch has delivered yet
	// Problem is a sentence for the user that says what is wrong and how to fix it,
	// or empty.
	Problem string
}

// Options configure [New]. The zero value is valid, but gives a watcher without a
// barrier (see CookieDir).
type Options struct {
	// Debounce is how long it must be quiet before a batch is delivered; 0 means
	// 100ms. During a steady stream of events a batch is delivered every three
	// times that.
	Debounce time.Duration
	// Prune reports whether nothing below a directory (relative to the root,
	// slash-separated) matters. Such a directory is not watched, but it is still
	// reported when it is created or removed itself. Prune is called from New and
	// from the watcher's goroutine. nil prunes nothing.
	Prune func(rel string) bool
	// CookieDir is a directory for this watcher alone, outside the root. It is
	// created if missing (0700), and again if somebody deletes it. Without it there
	// is no barrier, and Flush always answers Overflow.
	CookieDir string
	// Log receives a line per lifecycle change, and one per event at level Debug;
	// nil discards them.
	Log *slog.Logger
}

// A Watcher watches one root until it is closed. Make one with [New]. Its methods
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

// kernel is what the loop uses of an [fsnotify.Watcher], apart from its channels.
type kernel interface {
	Add(name string) error
	Remove(name string) error
	Close() error
}

// A source is a kernel with the channels on which it reports.
type source struct {
	kernel
	events <-chan fsnotify.Event
	errors <-chan error
}

// New watches root, a directory or a symlink to one, which is resolved once. All
// watches are in place when it returns: whatever a scan that starts then misses, a
// later batch reports. The caller must Close the Watcher.
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

// refusing is the kernel used when fsnotify cannot be started: it refuses every
// watch, so that all directories are polled.
type refusing struct{ err error }

func (r refusing) Add(string) error  { return r.err }
func (refusing) Remove(string) error { return nil }
func (refusing) Close() error        { return nil }

// start is [New] with the source of events as a parameter. It does not close src
// if it fails.
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

	// Drain first: on some systems Add itself sends events.
	w.running.Go(func() { w.drain(src.events, src.errors, l.log) })
	if err := l.begin(); err != nil {
		close(w.closing)
		w.running.Wait()
		return nil, fmt.Errorf("watch %s: %w", given, err)
	}
	w.running.Go(l.run)
	return w, nil
}

// cookieFolder creates dir and returns its resolved path. Events carry the path
// that was passed to the kernel, and are compared with it.
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

// drain moves the kernel's events into the queue until the watcher is closed.
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

// Batches returns the channel of debounced batches. It is meant for one consumer:
// while that is busy, changes accumulate for the next batch. [Watcher.Close] closes
// the channel.
func (w *Watcher) Batches() <-chan Batch { return w.batches }

// Flush is a barrier: when it returns, every change below the root that was
// complete before the call is in the returned batch or in an earlier one. It does
// not wait for the debounce. The goroutine that receives from Batches may call it,
// and need not receive meanwhile.
//
// Concurrent calls share one round trip to the kernel. One of them gets the batch,
// the others an empty one. If ctx ends first, its error is returned, and the next
// batch has what this one would have had. Flush does not hang: if the kernel does
// not answer within some seconds, the batch says Overflow. A closed Watcher returns
// [ErrClosed].
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

// SetPrune replaces Options.Prune, and returns when watches were added and removed
// accordingly. Directories that are newly watched are in the next batch, since
// changes in them went unseen before. A closed Watcher returns [ErrClosed].
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

// Status returns the current status. It does not block.
func (w *Watcher) Status() Status { return *w.status.Load() }

// Close stops watching, closes the channel of batches, and returns once the
// watcher's goroutines have ended. Calling it again does nothing.
func (w *Watcher) Close() error {
	var err error
	w.closeOnce.Do(func() {
		close(w.closing)
		err = w.kernel.Close()
		w.running.Wait()
	})
	return err
}
