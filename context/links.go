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

// repeats reports whether path is a further name of a file of the context, and
// sent as a link to the first one.
func (h *hardLinks) repeats(e *entry, path string) bool {
	if !e.mode.IsRegular() {
		return false
	}
	g := h.groups[e.inode]
	return g != nil && g.names[0] != path && g.repeated(e)
}

// repeated reports whether e is sent as a link to the group's first name. Either
// name's count will do: no event tells that the other's changed.
func (g *linkGroup) repeated(e *entry) bool { return e.links > 1 || g.links > 1 }

// concerns reports whether a change of e, which may be nil, may be one of the
// names that a file has.
func (h *hardLinks) concerns(e *entry) bool {
	return e != nil && e.mode.IsRegular() && (e.links > 1 || h.groups[e.inode] != nil)
}

// newHardLinks looks through the context.
func newHardLinks(l *Local) *hardLinks {
	h := &hardLinks{groups: map[uint64]*linkGroup{}}
	if l.top.linked == 0 {
		return h
	}
	l.walk(func(s *summary) bool { return s.linked > 0 }, func(_ string, it item, _ outcome) bool {
		if it.links > 1 && it.mode.IsRegular() && it.inode != 0 {
			h.groups[it.inode] = &linkGroup{}
		}
		return true
	})
	sent := map[uint64]uint32{} // links of the first name that is sent
	l.walk(nil, func(dir string, it item, o outcome) bool {
		g := h.groups[it.inode]
		if g == nil || !it.mode.IsRegular() {
			return true
		}
		g.names = append(g.names, dir+it.name)
		switch {
		case len(g.names) == 1:
			g.links = it.links
		case g.repeated(it.entry):
			h.context += o.bytes(it.entry)
		}
		if o.sent {
			switch links, seen := sent[it.inode]; {
			case !seen:
				sent[it.inode] = it.links
			case it.links > 1 || links > 1:
				h.sent += o.bytes(it.entry)
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
