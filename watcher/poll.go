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

// snapshot is what is remembered of a polled directory: a digest of its entries'
// names and metadata. The zero value equals no digest that was computed.
type snapshot uint64

// maxSample is how many polled directories the status names.
const maxSample = 10

// pollShare bounds what polling costs: a pause is this many times longer than
// the pass before it.
const pollShare = 20

// poller times the passes over the polled directories, and the looking for an
// absent root.
type poller struct {
	timer *time.Timer
	armed bool
	took  time.Duration // by the newest pass
}

func newPoller() poller {
	t := time.NewTimer(lookAgain)
	t.Stop()
	return poller{timer: t}
}

// arm starts the timer if it is needed and not running, and stops it if not.
func (p *poller) arm(needed bool) {
	switch {
	case needed && !p.armed:
		p.timer.Reset(max(lookAgain, pollShare*p.took))
	case !needed && p.armed:
		p.timer.Stop()
	}
	p.armed = needed
}

// pollAll looks for an absent root and reads all polled directories.
func (l *loop) pollAll() {
	began := time.Now()
	l.poll.armed = false
	l.checkRoot()
	full := false
	for _, rel := range slices.Sorted(maps.Keys(l.polled)) {
		if l.closed() {
			return
		}
		if _, ok := l.polled[rel]; !ok {
			continue // dropped by a step before this one
		}
		full = l.pollDir(rel, full)
	}
	l.poll.took = time.Since(began)
}

// pollDir reads one polled directory, and tries to have it watched unless the
// kernel is known to be full. It reports whether the kernel is.
func (l *loop) pollDir(rel string, full bool) bool {
	f, ino, err := openDir(l.abs(rel))
	if skippable(err) {
		l.drop(rel)
		l.mark(rel, true)
		return full
	}
	if err != nil {
		l.mark(rel, true) // it cannot be read now: what is in it is in doubt
		return full
	}
	defer f.Close()
	d, _ := l.table.find(rel)
	if d.ino != ino {
		l.addTree(rel)
		l.mark(rel, true)
		return full
	}
	before := l.polled[rel]
	if !full {
		if err := l.w.kernel.Add(l.abs(rel)); err != nil {
			full = true
			l.refuse(rel, err)
		} else {
			d.how, d.epoch = watched, l.epoch
			l.watched++
			defer l.unpoll(rel)
		}
	}
	below := l.read(rel, f)
	if l.polled[rel] == before {
		return full
	}
	for _, k := range slices.Clone(d.below()) {
		if _, ok := slices.BinarySearch(below, join(rel, k.name)); !ok {
			l.drop(join(rel, k.name))
		}
	}
	for _, b := range below {
		l.addTree(b)
	}
	l.mark(rel, true)
	return full
}

func (l *loop) unpoll(rel string) {
	delete(l.polled, rel)
	l.stale = true
}

// read remembers a snapshot of the open directory f, which is rel, and returns
// the directories in it, sorted. A nil f gives nothing.
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

// digest is a hash over an entry's name and metadata. Of a directory the times
// are left out: they tell of its own entries, which are polled on their own.
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

// refuse records why a directory is polled.
func (l *loop) refuse(rel string, err error) {
	if l.mend == "" {
		l.mend = limitAdvice(err)
		l.log.Warn("directories are polled", "first", l.abs(rel), "err", err, "mend", l.mend)
	}
}

// problem is Status.Problem.
func (l *loop) problem() string {
	switch n := len(l.polled); {
	case l.absent:
		return fmt.Sprintf("%s is gone; it is watched again when it is back", l.root)
	case n > 0:
		return fmt.Sprintf("%d of %d directories are polled every %v or more, as the kernel refuses to watch them: %s",
			n, n+l.watched, lookAgain, l.mend)
	}
	return ""
}

// somePolled is Status.PolledDirs.
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
