package image

import (
	"slices"
	"strings"
)

// biggest is how many of the largest files are listed.
const biggest = 100

// Permission bits beyond 0777 (chmod(2)).
const (
	setUID = 0o4000
	setGID = 0o2000
)

// collect sets what is known by looking at each file that a container sees: their number, the biggest ones, those with
// setuid or setgid, and leftovers.
func (a *Analysis) collect() {
	var top topFiles
	var setID []int32
	var left leftovers
	left.init(a.paths)
	a.stack.each(func(node int32, r ref, e *entry) {
		if e.kind == Dir {
			return
		}
		a.Files++
		owner := a.stack.owner(r)
		if owner == r && e.kind == File {
			top.offer(node, e.size)
		}
		if content := a.stack.entry(owner); content.kind == File && e.mode&(setUID|setGID) != 0 && e.mode&0o111 != 0 {
			setID = append(setID, node)
		}
		left.see(node, r.layer, e)
	})
	for _, node := range top.sorted(a.paths) {
		a.Biggest = append(a.Biggest, a.file(node))
	}
	for _, node := range setID {
		a.SetID = append(a.SetID, a.file(node))
	}
	slices.SortFunc(a.SetID, func(x, y FileInfo) int { return strings.Compare(x.Path, y.Path) })
	a.Leftovers = left.list(a.paths)
}

// file describes the visible file at a path.
func (a *Analysis) file(node int32) FileInfo {
	r := a.stack.live[node]
	e := a.stack.entry(r)
	size := a.stack.entry(a.stack.owner(r)).size
	return FileInfo{Path: a.paths.name(node), Size: size, Mode: e.mode, UID: int(e.uid), GID: int(e.gid), Layer: int(r.layer) + 1}
}

// topFiles collects the largest files. It collects more than are wanted, and drops the smaller ones now and then.
type topFiles struct {
	list  []sized
	least int64 // smaller files are not among the largest
}

type sized struct {
	node int32
	size int64
}

// offer adds a file, unless it is empty or certainly not among the largest.
func (t *topFiles) offer(node int32, size int64) {
	if size == 0 || size < t.least {
		return
	}
	t.list = append(t.list, sized{node, size})
	if len(t.list) >= 16*biggest {
		slices.SortFunc(t.list, func(x, y sized) int { return larger(x.size, y.size, "", "") })
		// Keep files that are as large as the last one, because sorted decides among them by name; but not without a
		// limit.
		cut := biggest
		for cut < len(t.list) && cut < 8*biggest && t.list[cut].size == t.list[biggest-1].size {
			cut++
		}
		t.list = t.list[:cut]
		t.least = t.list[biggest-1].size
	}
}

// sorted returns the paths of the largest files, the largest first.
func (t *topFiles) sorted(p *paths) []int32 {
	slices.SortStableFunc(t.list, func(x, y sized) int {
		if x.size != y.size {
			return larger(x.size, y.size, "", "")
		}
		return strings.Compare(p.name(x.node), p.name(y.node))
	})
	var nodes []int32
	for _, s := range t.list[:min(len(t.list), biggest)] {
		nodes = append(nodes, s.node)
	}
	return nodes
}
