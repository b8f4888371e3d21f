package buildctx

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
	links uint32   // of the first name when it was looked at
	names []string // in the order of a walk
}

// bytes returns what a file of the context adds.
func (h *hardLinks) bytes(e *entry, path string) int64 {
	if !e.mode.IsRegular() {
		return 0
	}
	if g := h.groups[e.inode]; g != nil && g.names[0] != path && g.repeated(e) {
		return 0
	}
	return e.size
}

// repeated reports whether e is sent as a link to the group's first name. Either
// name's count will do: no event tells that the other's changed.
func (g *linkGroup) repeated(e *entry) bool { return e.links > 1 || g.links > 1 }

// concerns reports whether a change from one of the entries to the other may
// change which names a file has. Either is nil for a name that came or went.
func (h *hardLinks) concerns(a, b *entry) bool {
	for _, e := range []*entry{a, b} {
		if e != nil && e.mode.IsRegular() && (e.links > 1 || h.groups[e.inode] != nil) {
			return true
		}
	}
	return false
}

// newHardLinks looks through the context.
func newHardLinks(l *Local) *hardLinks {
	h := &hardLinks{groups: map[uint64]*linkGroup{}}
	if !l.top.linked {
		return h
	}
	l.walk(func(s *summary) bool { return s.linked }, func(_ string, e *entry, _ bool) bool {
		if e.links > 1 && e.mode.IsRegular() && e.inode != 0 {
			h.groups[e.inode] = &linkGroup{}
		}
		return true
	})
	sent := map[uint64]uint32{} // links of the first name that is sent
	l.walk(nil, func(dir string, e *entry, isSent bool) bool {
		g := h.groups[e.inode]
		if g == nil || !e.mode.IsRegular() {
			return true
		}
		g.names = append(g.names, dir+e.name)
		switch {
		case len(g.names) == 1:
			g.links = e.links
		case g.repeated(e):
			h.context += e.size
		}
		if isSent {
			switch links, seen := sent[e.inode]; {
			case !seen:
				sent[e.inode] = e.links
			case e.links > 1 || links > 1:
				h.sent += e.size
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
