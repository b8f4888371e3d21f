// Package watcher reports which paths below a directory changed. It knows nothing
// about Docker, and is the only importer of fsnotify.
//
// A [Watcher] keeps a kernel watch on every directory that matters, and delivers
// debounced batches of changed paths. A [Batch] is a hint where to look: the
// consumer reads the paths again and trusts only what it finds on disk.
//
// # Guarantees
//
//   - Every change below the root that was complete before a call of
//     [Watcher.Flush] is covered by that call's batch or by an earlier one.
//   - A path covers more than itself: see [Batch]. A directory that is new, or
//     was moved here, is listed once, for itself and everything below it.
//   - If events were lost or cannot be interpreted, the batch says Overflow.
//     Changes are never dropped silently.
//   - Symlinks below the root are reported, but never followed.
//   - No memory is kept per file, and no timer runs while nothing happens, unless
//     directories are polled or the root is missing.
//
// # Implementation
//
// One goroutine drains fsnotify's events into a queue, so that the kernel's own
// queue (fs.inotify.max_queued_events) does not fill up while a large new tree is
// being walked. A second goroutine, the loop, owns everything else: the table of
// directories, the pending paths, the timers. It always lags behind the disk. The
// table becomes right all the same: where a step saw a disk that was newer than
// its event, the event for the newer change is still to come, and will be handled
// too (see loop.addDir).
//
// A directory that the kernel refuses to watch, because a limit is reached, is
// polled, and [Watcher.Status] names the setting to raise.
//
// On Linux all events of an inotify instance are in one queue, which makes Flush
// cheap: it creates a file in a directory that the same instance watches, and
// waits for that file's event. Other systems do not order events between
// directories, and there Flush always answers Overflow. On macOS and the BSDs,
// kqueue opens every file of a watched directory, so large trees need a higher
// limit on open files.
package watcher
