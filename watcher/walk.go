package watcher

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// listChunk bounds what is held of a huge directory's listing at a time.
const listChunk = 1024

// addTree puts the directory rel and what lies below it into the table, with
// watches. Breadth first: if the kernel's limit is reached, the deep ones, which
// cost the least to read again, are the ones to be polled.
func (l *loop) addTree(rel string) {
	next := []string{rel}
	for len(next) > 0 && !l.closed() {
		rel, next = next[0], next[1:]
		next = append(next, l.addDir(rel)...)
	}
}

// addDir puts one directory into the table, and returns those directly below it
// that may have to be put there too. The watch comes before the listing, so that
// an entry is in the listing or has an event.
//
// A directory that is in the table already has been through this, and needs
// nothing more, with one exception: the kernel knows a watch by the inode. If we
// work behind the disk, a watch added under a new name may be the one that
// exists under the old name, and die when we get to the rename (see revive).
func (l *loop) addDir(rel string) []string {
	old, hidden := l.table.find(rel)
	if hidden {
		return nil
	}
	if rel != "" && l.prune(rel) {
		if old == nil || old.how != pruned {
			l.drop(rel)
			l.table.put(rel, &dir{name: base(rel), how: pruned})
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
	if old != nil && old.how != pruned && ino != 0 && old.ino == ino && l.killed[ino] <= old.epoch {
		return nil
	}
	l.drop(rel)
	// The name shares the bytes of the path that fsnotify keeps.
	d := &dir{name: abs[len(abs)-len(base(rel)):], ino: ino, epoch: l.epoch}
	if !l.table.put(rel, d) {
		return nil
	}
	if err == nil {
		err = l.w.kernel.Add(abs)
	}
	if err != nil {
		d.how = polled
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

// drop takes the directory rel and all below it out of the table, with watches.
func (l *loop) drop(rel string) {
	d := l.table.cut(rel)
	if d == nil {
		return
	}
	d.each(rel, func(rel string, d *dir) {
		switch d.how {
		case watched:
			l.watched--
			l.epoch++
			l.killed[d.ino] = l.epoch
			// An error says that the kernel dropped it already.
			_ = l.w.kernel.Remove(l.abs(rel))
		case polled:
			l.unpoll(rel)
		case pruned:
		}
	})
}

// revive adds the watches again that died because they shared their inode with a
// directory that was dropped. What happened meanwhile is not known, hence whole.
// With bind mounts two names share an inode for good; only one of them is watched.
func (l *loop) revive() {
	for len(l.killed) > 0 && l.table.root != nil {
		var all []string
		for dead := l.dead(); len(dead) > 0; dead = l.dead() {
			for _, rel := range dead {
				l.drop(rel) // which may kill others
			}
			all = append(all, dead...)
		}
		clear(l.killed)
		for _, rel := range all {
			l.addTree(rel)
			l.mark(rel, true)
		}
	}
	clear(l.killed)
}

// dead lists the directories whose watches died with another name's.
func (l *loop) dead() []string {
	var dead []string
	l.table.root.each("", func(rel string, d *dir) {
		if d.how == watched && l.killed[d.ino] > d.epoch {
			dead = append(dead, rel)
		}
	})
	return dead
}

// reset forgets the table and makes it anew from the disk.
func (l *loop) reset() {
	l.drop("")
	l.absent = !isDir(l.root)
	if !l.absent {
		l.addTree("")
	}
	l.doubt()
}

// loseRoot drops all watches: the root was removed or moved away.
func (l *loop) loseRoot() {
	l.drop("")
	l.absent = true
}

// checkRoot finds out whether the root's path still leads to what is watched. It
// is called at every barrier and batch, because nobody reports that a directory
// above the root was moved.
func (l *loop) checkRoot() {
	f, ino, err := openDir(l.root)
	if err != nil && !skippable(err) {
		return // too many open files, say: that tells nothing
	}
	ok := err == nil
	if ok {
		f.Close()
	}
	switch {
	case !ok && !l.absent:
		l.log.Info("the watched folder is gone", "root", l.root)
		l.loseRoot()
		l.mark("", true)
	case ok && (l.absent || l.table.root == nil || l.table.root.ino != ino):
		l.log.Info("the watched folder is another one", "root", l.root)
		l.loseRoot()
		l.absent = false
		l.addTree("")
		l.mark("", true)
	}
}

// setPrune applies another prune function to the table.
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
		case is && d.how != pruned:
			shut = append(shut, rel)
		case !is && d.how == pruned:
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
			l.mark(rel, true)
		}
	}
}

// list calls fn for each entry of the open directory f, in no order.
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

// skippable says of an error of openDir that there is nothing to watch: no
// directory, or one that may not be read. An event of the directory above tells
// when that changes.
func skippable(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) ||
		errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// isDir reports whether path is a directory, and not a symlink to one.
func isDir(path string) bool {
	fi, err := os.Lstat(path)
	return err == nil && fi.IsDir()
}

// base is the last name in rel.
func base(rel string) string {
	if up := parent(rel); up != "" {
		return rel[len(up)+1:]
	}
	return rel
}
