package watcher

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// listChunk is how many entries of a directory are held in memory at a time.
const listChunk = 1024

// addTree adds the directory rel and those below it to the table, with watches. It
// goes breadth first: if the kernel's limit is reached, the deepest directories are
// polled, which are the cheapest to read.
func (l *loop) addTree(rel string) {
	next := []string{rel}
	for len(next) > 0 && !l.closed() {
		rel, next = next[0], next[1:]
		next = append(next, l.addDir(rel)...)
	}
}

// addDir adds one directory to the table, and returns the directories in it, which
// may have to be added too. It adds the watch before it lists the directory, so that
// every entry is in the listing or raises an event.
//
// For a directory that is in the table already there is nothing to do, with one
// exception. The kernel identifies a watch by inode. Since the loop lags behind the
// disk, a watch that is added under a directory's new name may turn out to be the
// one that exists under its old name, and is removed when the loop gets to the
// rename (see revive).
func (l *loop) addDir(rel string) []string {
	old, hidden := l.table.find(rel)
	if hidden {
		return nil
	}
	if rel != "" && l.prune(rel) {
		if old == nil || old.mode != pruned {
			l.drop(rel)
			l.table.put(rel, &dir{name: base(rel), mode: pruned})
		}
		return nil
	}
	abs := l.abs(rel)
	f, ino, err := openDir(abs)
	if skippable(err) {
		l.drop(rel)
		return nil
	}
	if err == nil {
		defer f.Close()
	}
	if old != nil && old.mode != pruned && ino != 0 && old.ino == ino && l.killed[ino] <= old.epoch {
		return nil
	}
	l.drop(rel)
	// The name shares the memory of abs, which fsnotify keeps.
	d := &dir{name: abs[len(abs)-len(base(rel)):], ino: ino, epoch: l.epoch}
	if !l.table.put(rel, d) {
		return nil
	}
	if err == nil {
		err = l.w.kernel.Add(abs)
	}
	if err != nil {
		d.mode = polled
		l.polled[rel], l.stale = 0, true
		l.refuse(rel, err)
		return l.read(rel, f)
	}
	l.watched++
	var below []string
	err = list(f, func(e fs.DirEntry) {
		if e.IsDir() {
			below = append(below, join(rel, e.Name()))
		}
	})
	if err != nil {
		l.log.Debug("read directory", "path", abs, "err", err)
	}
	return below
}

// drop removes the directory rel and everything below it from the table, with their
// watches.
func (l *loop) drop(rel string) {
	d := l.table.cut(rel)
	if d == nil {
		return
	}
	d.each(rel, func(rel string, d *dir) {
		switch d.mode {
		case watched:
			l.watched--
			l.epoch++
			l.killed[d.ino] = l.epoch
			// An error means that the kernel removed the watch already.
			_ = l.w.kernel.Remove(l.abs(rel))
		case polled:
			l.unpoll(rel)
		case pruned:
		}
	})
}

// revive adds the watches again that were lost because another path of the same inode
// was dropped. Changes in these directories may have been missed, so they are marked
// with everything below. (With bind mounts two paths share an inode for good; only
// one of them is watched.)
func (l *loop) revive() {
	for len(l.killed) > 0 && l.table.root != nil {
		var all []string
		for dead := l.dead(); len(dead) > 0; dead = l.dead() {
			for _, rel := range dead {
				l.drop(rel) // which may take further watches away
			}
			all = append(all, dead...)
		}
		clear(l.killed)
		for _, rel := range all {
			l.addTree(rel)
			l.markTree(rel)
		}
	}
	clear(l.killed)
}

// dead returns the directories that lost their watch when another path of the same
// inode was dropped.
func (l *loop) dead() []string {
	var dead []string
	l.table.root.each("", func(rel string, d *dir) {
		if d.mode == watched && l.killed[d.ino] > d.epoch {
			dead = append(dead, rel)
		}
	})
	return dead
}

// reset rebuilds the table from the disk, and makes the next batch an overflow.
func (l *loop) reset() {
	l.drop("")
	l.absent = !isDir(l.root)
	if !l.absent {
		l.addTree("")
	}
	l.doubt()
}

// loseRoot drops all watches, after the root was removed or moved away.
func (l *loop) loseRoot() {
	l.drop("")
	l.absent = true
}

// checkRoot checks whether the root's path still leads to the directory that is
// watched. It is called for every barrier and batch, because there is no event when a
// directory above the root is moved.
func (l *loop) checkRoot() {
	f, ino, err := openDir(l.root)
	if err != nil && !skippable(err) {
		return // such as too many open files, which says nothing about the root
	}
	ok := err == nil
	if ok {
		f.Close()
	}
	switch {
	case !ok && !l.absent:
		l.log.Info("the watched folder is gone", "root", l.root)
		l.loseRoot()
		l.markTree("")
	case ok && (l.absent || l.table.root == nil || l.table.root.ino != ino):
		l.log.Info("the watched folder is another one", "root", l.root)
		l.loseRoot()
		l.absent = false
		l.addTree("")
		l.markTree("")
	}
}

// setPrune replaces the prune function, and adds and removes watches accordingly.
func (l *loop) setPrune(prune func(rel string) bool) {
	if prune == nil {
		prune = func(string) bool { return false }
	}
	l.prune = prune
	if l.table.root == nil {
		return
	}
	var opened, shut []string
	l.table.root.each("", func(rel string, d *dir) {
		if rel == "" {
			return
		}
		switch is := prune(rel); {
		case is && d.mode != pruned:
			shut = append(shut, rel)
		case !is && d.mode == pruned:
			opened = append(opened, rel)
		}
	})
	for _, rel := range shut {
		if d, _ := l.table.find(rel); d != nil {
			l.addTree(rel)
		}
	}
	for _, rel := range opened {
		if d, _ := l.table.find(rel); d != nil {
			l.addTree(rel)
			l.markTree(rel)
		}
	}
}

// list calls fn for each entry of the open directory f, in no particular order.
func list(f *os.File, fn func(fs.DirEntry)) error {
	for {
		entries, err := f.ReadDir(listChunk)
		for _, e := range entries {
			fn(e)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// skippable reports whether an error of openDir means that there is nothing to watch:
// there is no such directory, or it may not be read. If that changes, the directory
// above reports it.
func skippable(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) ||
		errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// isDir reports whether path is a directory, and not a symlink to one.
func isDir(path string) bool {
	fi, err := os.Lstat(path)
	return err == nil && fi.IsDir()
}

// base returns the last component of rel.
func base(rel string) string {
	if up := parent(rel); up != "" {
		return rel[len(up)+1:]
	}
	return rel
}
