package buildctx

import (
	"iter"
	"path/filepath"
)

// hardLinks are the files that an effective context holds under several names. Only
// the first name of a walk adds bytes (fsutil: setUnixOpt). A summary of a single
// directory cannot know which name is the first, so it counts all of them in full;
// context and sent are what to subtract. It is immutable.
type hardLinks struct {
	groups map[uint64]*linkGroup // by inode
	// Bytes that the summaries count too much, in the context and in the sent set.
	context, sent int64
}

// A linkGroup is a file with several names in the context.
type linkGroup struct {
	linked bool     // stat.linked of the first name
	names  []string // in the order of a walk
}

// repeats reports whether the file at path, with stat st, is sent as a hard link to
// another name of it that came before.
func (h *hardLinks) repeats(st *stat, path string) bool {
	if !st.mode.IsRegular() {
		return false
	}
	g := h.groups[st.inode]
	return g != nil && g.names[0] != path && g.repeated(st)
}

// repeated reports whether a later name with stat st is sent as a link to the first.
// It is enough if either of the two was seen to have several names: when a name is
// added under one path, no event refreshes the stat of the other.
func (g *linkGroup) repeated(st *stat) bool { return st.linked || g.linked }

// concerns reports whether adding, removing or changing the item may change which
// files have several names, or which names they have.
func (h *hardLinks) concerns(it item) bool {
	return it.entry != nil && it.mode.IsRegular() && (it.linked || h.groups[it.inode] != nil)
}

// Up to these limits [Local.Moved] checks every file that is sent, which takes some
// milliseconds.
const (
	maxSweptSent    = 1000   // files that are sent
	maxSweptContext = 20_000 // files in the context, all of which may have to be passed over
)

// Moved yields the paths of files that differ on disk from what l has, although no event
// may have told of it. It checks the files with several names, since a change through one
// name raises no event for the others. If few files are sent it checks all of those, too:
// a write through a memory mapping raises no event (inotify(7)), nor does a write by
// another machine that shares the folder.
func (l *Local) Moved() iter.Seq[string] {
	sweeps := l.Sent.Files <= maxSweptSent && l.Context.Files <= maxSweptContext
	into := func(s *summary) bool { return s.linked > 0 || sweeps && s.sentFiles > 0 }
	return func(yield func(string) bool) {
		l.walk(into, func(dir string, it item, o outcome) bool {
			if !it.linked && !(sweeps && o.sent && it.mode.IsRegular()) {
				return true
			}
			now, _, err := lstat(filepath.Join(l.Root, filepath.FromSlash(dir+it.name)))
			return err == nil && now.stamp() == it.stamp() || yield(dir+it.name)
		})
	}
}

// newHardLinks finds the files with several names in l's context.
func newHardLinks(l *Local) *hardLinks {
	h := &hardLinks{groups: map[uint64]*linkGroup{}}
	if l.top.linked == 0 {
		return h
	}
	l.walk(func(s *summary) bool { return s.linked > 0 }, func(_ string, it item, _ outcome) bool {
		if it.linked && it.mode.IsRegular() && it.inode != 0 {
			h.groups[it.inode] = &linkGroup{}
		}
		return true
	})
	sent := map[uint64]bool{} // by inode: stat.linked of the first name that is sent
	l.walk(nil, func(dir string, it item, o outcome) bool {
		g := h.groups[it.inode]
		if g == nil || !it.mode.IsRegular() {
			return true
		}
		g.names = append(g.names, dir+it.name)
		switch {
		case len(g.names) == 1:
			g.linked = it.linked
		case g.repeated(&it.stat):
			h.context += o.bytes(&it.stat)
		}
		if o.sent {
			switch linked, seen := sent[it.inode]; {
			case !seen:
				sent[it.inode] = it.linked
			case it.linked || linked:
				h.sent += o.bytes(&it.stat)
			}
		}
		return true
	})
	for inode, g := range h.groups {
		if len(g.names) < 2 {
			delete(h.groups, inode)
		}
	}
	return h
}

// names returns the names of all files that have several.
func (h *hardLinks) names() []string {
	var list []string
	for _, g := range h.groups {
		list = append(list, g.names...)
	}
	return list
}
