package image

import (
	"slices"
	"strings"
)

// biggest is how many of the largest files are kept.
const biggest = 100

// Permission bits beyond 0777 (chmod(2)).
const (
	setUID = 0o4000
	setGID = 0o2000
)

// collect goes once through what a container sees.
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

// file describes what shows at a path.
func (a *Analysis) file(node int32) FileInfo {
	r := a.stack.live[node]
	e := a.stack.entry(r)
	size := a.stack.entry(a.stack.owner(r)).size
	return FileInfo{Path: a.paths.name(node), Size: size, Mode: e.mode, UID: int(e.uid), GID: int(e.gid), Layer: int(r.layer) + 1}
}

// topFiles keeps the largest files: at most twice as many as are wanted, cut now and then.
type topFiles struct {
	list  []sized
	least int64
}

type sized struct {
	node int32
	size int64
}

func (t *topFiles) offer(node int32, size int64) {
	if size == 0 || size < t.least {
		return
	}
	t.list = append(t.list, sized{node, size})
	if len(t.list) >= 16*biggest {
		slices.SortFunc(t.list, func(x, y sized) int { return larger(x.size, y.size, "", "") })
		// Those of equal size are kept, so that names decide among them in the end; but not without end.
		cut := biggest
		for cut < len(t.list) && cut < 8*biggest && t.list[cut].size == t.list[biggest-1].size {
			cut++
		}
		t.list = t.list[:cut]
		t.least = t.list[biggest-1].size
	}
}

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
