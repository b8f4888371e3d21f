package watcher

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"
)

const (
	// pollInterval is how often polled directories are read, and a missing root is
	// looked for, at most.
	pollInterval = 2 * time.Second
	// pollShare bounds the cost of polling: the pause after a pass is at least so
	// many times as long as the pass.
	pollShare = 20
	// maxSample is how many polled directories the status lists.
	maxSample = 10
)

// A snapshot is a digest of the names and metadata of a polled directory's entries.
// It is zero before the directory was read.
type snapshot uint64

// A poller times the passes over the polled directories, during which a missing root
// is looked for as well.
type poller struct {
	timer *time.Timer
	armed bool          // timer is running
	took  time.Duration // duration of the last pass
	full  bool          // during a pass: the kernel refused another watch
}

func newPoller() poller {
	t := time.NewTimer(pollInterval)
	t.Stop()
	return poller{timer: t}
}

// arm starts the timer if it is needed and not running, and stops it if it is not
// needed.
func (p *poller) arm(needed bool) {
	switch {
	case needed && !p.armed:
		p.timer.Reset(max(pollInterval, pollShare*p.took))
	case !needed && p.armed:
		p.timer.Stop()
	}
	p.armed = needed
}

// pollAll checks the root and reads all polled directories.
func (l *loop) pollAll() {
	began := time.Now()
	l.poll.armed, l.poll.full = false, false
	l.checkRoot()
	for _, rel := range slices.Sorted(maps.Keys(l.polled)) {
		if l.closed() {
			return
		}
		if _, ok := l.polled[rel]; !ok {
			continue // dropped when another directory was read
		}
		l.pollDir(rel)
	}
	l.poll.took = time.Since(began)
}

// pollDir reads one polled directory and marks it if it changed. It also tries to
// have it watched from now on.
func (l *loop) pollDir(rel string) {
	f, ino, err := openDir(l.abs(rel))
	if skippable(err) {
		l.drop(rel)
		l.markTree(rel)
		return
	}
	if err != nil {
		l.markTree(rel) // it cannot be read now, so anything in it may have changed
		return
	}
	defer f.Close()
	d, _ := l.table.find(rel)
	if d.ino != ino {
		l.addTree(rel)
		l.markTree(rel)
		return
	}
	before := l.polled[rel]
	nowWatched := l.tryWatch(rel, d)
	below := l.read(rel, f)
	if l.polled[rel] != before {
		l.setDirs(rel, d, below)
		l.markTree(rel)
	}
	if nowWatched {
		l.unpoll(rel)
	}
}

// tryWatch asks the kernel to watch a polled directory, unless it has refused one in
// this pass. It reports whether the directory is watched now.
func (l *loop) tryWatch(rel string, d *dir) bool {
	if l.poll.full {
		return false
	}
	if err := l.w.kernel.Add(l.abs(rel)); err != nil {
		l.poll.full = true
		l.refuse(rel, err)
		return false
	}
	d.mode, d.epoch = watched, l.epoch
	l.watched++
	return true
}

// setDirs makes the table have just the directories below, which are sorted, in the
// directory d, whose path is rel.
func (l *loop) setDirs(rel string, d *dir, below []string) {
	for _, k := range slices.Clone(d.below()) {
		if _, ok := slices.BinarySearch(below, join(rel, k.name)); !ok {
			l.drop(join(rel, k.name))
		}
	}
	for _, b := range below {
		l.addTree(b)
	}
}

// unpoll stops polling a directory.
func (l *loop) unpoll(rel string) {
	delete(l.polled, rel)
	l.stale = true
}

// read stores a snapshot of the open directory f, whose path is rel, and returns the
// paths of the directories in it, sorted. If f is nil it does nothing.
func (l *loop) read(rel string, f *os.File) []string {
	if f == nil {
		return nil
	}
	var below []string
	var sum uint64
	err := list(f, func(e fs.DirEntry) {
		if e.IsDir() {
			below = append(below, join(rel, e.Name()))
		}
		if fi, err := e.Info(); err == nil {
			sum += digest(fi) // a sum, since listings have no order
		}
	})
	if err != nil {
		l.log.Debug("read polled directory", "path", l.abs(rel), "err", err)
	}
	l.polled[rel] = snapshot(cmp.Or(sum, 1))
	slices.Sort(below)
	return below
}

// digest returns a hash over an entry's name and metadata. The times of a directory
// are left out: they change with its entries, which are polled by themselves.
func digest(fi fs.FileInfo) uint64 {
	h := fnv.New64a()
	h.Write([]byte(fi.Name()))
	b := binary.LittleEndian.AppendUint64(nil, uint64(fi.Mode()))
	b = binary.LittleEndian.AppendUint64(b, inode(fi))
	if !fi.IsDir() {
		b = binary.LittleEndian.AppendUint64(b, uint64(fi.Size()))
		b = binary.LittleEndian.AppendUint64(b, uint64(fi.ModTime().UnixNano()))
		b = binary.LittleEndian.AppendUint64(b, uint64(changed(fi)))
	}
	h.Write(b)
	return h.Sum64()
}

// refuse records that the kernel refused to watch a directory. Only the first
// refusal is logged.
func (l *loop) refuse(rel string, err error) {
	if l.advice == "" {
		l.advice = limitAdvice(err)
		l.log.Warn("directories are polled", "first", l.abs(rel), "err", err, "advice", l.advice)
	}
}

// problem returns Status.Problem.
func (l *loop) problem() string {
	switch n := len(l.polled); {
	case l.absent:
		return fmt.Sprintf("%s is gone; it is watched again when it is back", l.root)
	case n > 0:
		return fmt.Sprintf("%d of %d directories are polled every %v or more, as the kernel refuses to watch them: %s",
			n, n+l.watched, pollInterval, l.advice)
	}
	return ""
}

// somePolled returns Status.PolledDirs.
func (l *loop) somePolled() []string {
	if len(l.polled) == 0 {
		return nil
	}
	some := slices.Sorted(maps.Keys(l.polled))
	some = slices.Clone(some[:min(len(some), maxSample)])
	if some[0] == "" {
		some[0] = "."
	}
	return some
}
