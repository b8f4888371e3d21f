// Package watcher tells which paths below a folder changed. It knows nothing
// of Docker, and is the only importer of fsnotify.
//
// A [Watcher] keeps one kernel watch per directory that matters and hands out
// a debounced [Batch] of changed paths. A batch is a hint; the disk is the
// truth: the consumer reads each path again and believes what it finds.
//
// # What is certain
//
//   - Every change below the root that was finished before a call of
//     [Watcher.Flush] is covered by that call's batch or by an earlier one.
//   - A path covers more than itself: see [Batch]. A directory that is new, or
//     was moved here, is named once, for itself and all below it.
//   - Where events were lost or their meaning is in doubt, the batch says
//     Overflow. Silence is never the answer.
//   - Symlinks below the root are reported, never followed.
//   - Nothing is kept per file, and no timer runs while nothing happens, unless
//     directories are polled or the root is gone.
//
// # How it works
//
// fsnotify's events are drained into a queue by one goroutine, so that the
// kernel's queue (fs.inotify.max_queued_events) does not fill while a large new
// tree is being walked. A second goroutine, the loop, owns everything else: the
// table of directories, the pending paths, the timers. It always works behind
// the disk, and the table comes right in spite of that: where a step saw a disk
// that was newer than its event, the event of the newer change is still to come,
// and is acted upon as well (see loop.addDir).
//
// A directory that the kernel refuses to watch (its limit is reached) is polled;
// [Watcher.Status] then names the setting to raise.
//
// On Linux one inotify instance is one queue, which is what makes Flush cheap:
// it makes a file in a folder watched by the same instance and waits for that
// file's event. Other systems give no such order, and there Flush answers with
// Overflow. On macOS and the BSDs, kqueue opens every file of a watched
// directory; large trees need a higher limit of open files.
package watcher
