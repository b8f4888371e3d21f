package buildctx

import (
	"iter"
	"path/filepath"
)

// hardLinks are the files that an effective context holds under several names:
// all but the first one add no bytes (fsutil: setUnixOpt). Which one is first is
// no matter of one directory, so that summaries leave it out; this corrects them.
// It is immutable.
type hardLinks struct {
	groups map[uint64]*linkGroup // by inode
	// What the summaries count too much.
	context, sent int64
}

// A linkGroup is a file with several names.
type linkGroup struct {
	linked bool     // so said the first name when it was looked at
	names  []string // in the order of a walk
}

// repeats reports whether path is a further name of a file of the context, and
// sent as a link to the first one.
func (h *hardLinks) repeats(st *stat, path string) bool {
	if !st.mode.IsRegular() {
		return false
	}
	g := h.groups[st.inode]
	return g != nil && g.names[0] != path && g.repeated(st)
}

// repeated reports whether a name is sent as a link to the group's first one.
// Either one's word that there are several will do: no event tells of a change to
// the other's.
func (g *linkGroup) repeated(st *stat) bool { return st.linked || g.linked }

// concerns reports whether a change of it may be one of the names that a file has.
func (h *hardLinks) concerns(it item) bool {
	return it.entry != nil && it.mode.IsRegular() && (it.linked || h.groups[it.inode] != nil)
}

// Up to so many files that are sent, of so many in the context, are all looked at each
// time: that takes some milliseconds.
const (
	mostSwept  = 1000
	mostAround = 20_000
)

// Moved yields the paths of files that are not on the disk as l has them though no event
// of theirs tells of it: those with several names, where a change was made by another
// one, and, where few files are sent, any of these. Who writes to a file that is mapped
// into memory raises no event (inotify(7)), nor does another machine that has the folder,
// too.
func (l *Local) Moved() iter.Seq[string] {
	sweeps := l.Sent.Files <= mostSwept && l.Context.Files <= mostAround
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

// newHardLinks looks through the context.
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
	sent := map[uint64]bool{} // linked of the first name that is sent
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

// names lists all names of files that have several.
func (h *hardLinks) names() []string {
	var list []string
	for _, g := range h.groups {
		list = append(list, g.names...)
	}
	return list
}
