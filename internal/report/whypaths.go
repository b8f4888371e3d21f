package report

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/effects"
)

// whyPaths reports the paths that differ, those first that explain most: manifests of
// dependencies before other files, content before modes, and then paths with fewer folders.
// A directory that was added or removed is left out if it has files, since they are listed.
func whyPaths(differences []content.Difference) []api.WhyPath {
	list := make([]api.WhyPath, 0, len(differences))
	for i, d := range differences {
		whole := d.Changes[0] == content.Added || d.Changes[0] == content.Removed
		if whole && (d.Before.Dir != nil || d.After.Dir != nil) && i+1 < len(differences) && strings.HasPrefix(differences[i+1].Path, d.Path+"/") {
			continue
		}
		list = append(list, whyPath(d))
	}
	type rank struct{ manifest, change, depth int }
	ranks := make(map[string]rank, len(list))
	for _, p := range list {
		r := rank{manifest: 1, change: slices.Index(tellingOrder, p.Change), depth: strings.Count(p.Path, "/")}
		if effects.Manifest(path.Base(p.Path)) {
			r.manifest = 0
		}
		ranks[p.Path] = r
	}
	slices.SortStableFunc(list, func(a, b api.WhyPath) int {
		x, y := ranks[a.Path], ranks[b.Path]
		return cmp.Or(cmp.Compare(x.manifest, y.manifest), cmp.Compare(x.change, y.change), cmp.Compare(x.depth, y.depth))
	})
	return list
}

// Telling returns the paths that differ in the order of [Why].
func Telling(differences []content.Difference) []string {
	var names []string
	for _, p := range whyPaths(differences) {
		if p.PathBytes != nil {
			p.Path = string(p.PathBytes)
		}
		names = append(names, p.Path)
	}
	return names
}

// tellingOrder has the kinds of changes, those first that explain most.
var tellingOrder = []string{"content", "link", "type", "device", "added", "removed", "mode", "xattr"}

func whyPath(d content.Difference) api.WhyPath {
	p := api.WhyPath{Path: readable(d.Path), PathBytes: rawName(d.Path), Change: string(d.Changes[0])}
	for _, c := range d.Changes {
		if len(d.Changes) > 1 {
			p.Changes = append(p.Changes, string(c))
		}
		switch c {
		case content.Mode:
			p.Before, p.After = modeText(d.Before.Mode), modeText(d.After.Mode)
		case content.Link:
			p.Before, p.After = readable(d.Before.Link), readable(d.After.Link)
		case content.Type:
			p.Before, p.After = typeText(d.Before.Mode), typeText(d.After.Mode)
		}
	}
	return p
}

// modeText returns a mode in the octal notation of chmod.
func modeText(m fs.FileMode) string {
	bits := uint32(m.Perm())
	for _, special := range []struct {
		mode fs.FileMode
		bit  uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&special.mode != 0 {
			bits |= special.bit
		}
	}
	return fmt.Sprintf("%03o", bits)
}

func typeText(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m&fs.ModeDevice != 0:
		return "device"
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	}
	return "file"
}

// filesText sums up the paths that differ in one line.
func filesText(c api.WhyCause) string {
	of := ""
	if c.Name != "" {
		of = " of context " + c.Name
	}
	switch len(c.Paths) {
	case 0:
		return "what it takes of the build context" + of + " differs"
	case 1:
		if only := c.Paths[0]; only.Change == "mode" && umask(only) {
			return PathText(only) + of + asUmask
		}
		return PathText(c.Paths[0]) + of
	}
	counts := map[string]int{}
	for _, p := range c.Paths {
		counts[p.Change]++
	}
	if counts["mode"] == len(c.Paths) && !slices.ContainsFunc(c.Paths, func(p api.WhyPath) bool { return !umask(p) }) {
		return fmt.Sprintf("the mode of %d paths%s%s", len(c.Paths), of, asUmask)
	}
	var parts []string
	for _, change := range tellingOrder {
		if n := counts[change]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, change))
		}
	}
	return fmt.Sprintf("%d paths%s: %s", len(c.Paths), of, strings.Join(parts, ", "))
}

// PathText returns a path with what differs about it.
func PathText(p api.WhyPath) string {
	if slices.Contains(p.Changes, "mode") {
		return p.Path + ": " + strings.Join(p.Changes[:len(p.Changes)-1], ", ") + ", mode " + p.Before + " → " + p.After
	}
	switch p.Change {
	case "mode":
		return p.Path + ": mode " + p.Before + " → " + p.After
	case "link", "type":
		return p.Path + ": " + p.Change + " " + p.Before + " → " + p.After
	}
	return p.Path + ": " + p.Change
}

// asUmask is the likely reason if only the write permissions of group and others differ.
const asUmask = ", as another umask gives"

// umask reports whether a mode differs only in the write permissions of group and others,
// as it does if the same files are written with another umask.
func umask(p api.WhyPath) bool {
	var before, after uint32
	_, err := fmt.Sscanf(p.Before+" "+p.After, "%o %o", &before, &after)
	return err == nil && before != after && (before^after)&^0o022 == 0
}
