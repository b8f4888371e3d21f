package image

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
)

// Difference is what two images have not in common, as their containers see them.
type Difference struct {
	Added, Removed, Changed Size
	Files                   []FileChange // the largest difference first
	Shared                  Size         // layers with equal content: their number in Files, their unpacked bytes in Bytes
	Config                  []ConfigChange
}

// Size is a number of files and their bytes.
type Size struct {
	Files int
	Bytes int64
}

// FileChange is one path that differs. Modes and owners are of B, or of A where it is removed.
type FileChange struct {
	Path   string
	Change string   // added, removed, changed
	What   []string // of a change: type, content, mode, owner
	Kind   string
	A, B   int64 // sizes; 0 where it is not
}

// ConfigChange is one field of the configuration that differs. Of environment variables it has no value.
type ConfigChange struct {
	Field string // user, entrypoint, cmd, workingDir, exposed, volumes, env, label, stopSignal, healthcheck, platform
	Name  string // of the variable or label
	A, B  string // "" where it is not; of env "set" or "changed"
}

// Diff compares two images. Both must have been analysed with Contents.
func Diff(a, b *Analysis) (Difference, error) {
	var d Difference
	for _, x := range []*Analysis{a, b} {
		for _, l := range x.stack.layers {
			if len(l.contents) != len(l.entries) {
				return d, errors.New("compare images: they were analysed without the contents of files")
			}
		}
	}
	d.files(a, b)
	d.layers(a, b)
	d.config(a, b)
	return d, nil
}

// files walks both trees side by side, so that only paths of the one or the other are spelt out.
func (d *Difference) files(a, b *Analysis) {
	type pair struct{ a, b int32 } // -1 where it is not
	work := []pair{{root, root}}
	for len(work) > 0 {
		at := work[len(work)-1]
		work = work[:len(work)-1]
		d.compare(a, b, at.a, at.b)
		kids := map[string]int32{}
		for _, k := range b.kids(at.b) {
			kids[b.paths.nodes[k].name] = k
		}
		for _, k := range a.kids(at.a) {
			name := a.paths.nodes[k].name
			if other, ok := kids[name]; ok {
				work = append(work, pair{k, other})
				delete(kids, name)
			} else {
				work = append(work, pair{k, -1})
			}
		}
		for _, k := range kids {
			work = append(work, pair{-1, k})
		}
	}
	slices.SortFunc(d.Files, func(x, y FileChange) int {
		return cmp.Or(larger(x.weight(), y.weight(), x.Path, y.Path), strings.Compare(x.Change, y.Change))
	})
}

// weight orders changes: how much larger or smaller the image gets, and else how much is moved.
func (f FileChange) weight() int64 { return max(f.A, f.B) }

// kids returns what shows in a folder.
func (a *Analysis) kids(at int32) []int32 {
	if at < 0 {
		return nil
	}
	var out []int32
	for k := a.paths.nodes[at].child; k != 0; k = a.paths.nodes[k].beside {
		if a.stack.below[k] > 0 {
			out = append(out, k)
		}
	}
	return out
}

// shows returns the entry at a path; nil for none, or a folder that no layer says anything of.
func (a *Analysis) shows(at int32) *entry {
	if at < 0 || a.stack.live[at] == none {
		return nil
	}
	return a.stack.entry(a.stack.live[at])
}

func (d *Difference) compare(a, b *Analysis, na, nb int32) {
	x, y := a.shows(na), b.shows(nb)
	switch {
	case x == nil && y == nil:
	case x == nil:
		f := FileChange{Path: b.paths.name(nb), Change: "added", Kind: y.kind.String(), B: b.sizeAt(nb)}
		d.add(f, &d.Added, f.B)
	case y == nil:
		f := FileChange{Path: a.paths.name(na), Change: "removed", Kind: x.kind.String(), A: a.sizeAt(na)}
		d.add(f, &d.Removed, f.A)
	default:
		f := FileChange{Path: a.paths.name(na), Change: "changed", Kind: y.kind.String(), A: a.sizeAt(na), B: b.sizeAt(nb)}
		ca, kindA, sizeA := a.contentAt(na)
		cb, kindB, sizeB := b.contentAt(nb)
		if kindA != kindB {
			f.What = append(f.What, "type")
		} else if ca != cb || sizeA != sizeB {
			f.What = append(f.What, "content")
		}
		if x.mode != y.mode && kindA == kindB && kindA != Symlink {
			f.What = append(f.What, "mode")
		}
		if x.uid != y.uid || x.gid != y.gid {
			f.What = append(f.What, "owner")
		}
		if len(f.What) > 0 {
			d.add(f, &d.Changed, f.B-f.A)
		}
	}
}

// add counts a change. Folders that come or go are told by what is in them, unless that is nothing.
func (d *Difference) add(f FileChange, sum *Size, bytes int64) {
	if f.Kind == Dir.String() && f.Change != "changed" {
		return
	}
	sum.Files++
	sum.Bytes += bytes
	d.Files = append(d.Files, f)
}

// sizeAt is the size at a path; of content with several names it is at the first one.
func (a *Analysis) sizeAt(at int32) int64 {
	r := a.stack.live[at]
	owner := a.stack.owner(r)
	e := a.stack.entry(owner)
	if owner != r && a.stack.live[e.node] == owner {
		return 0
	}
	return e.size
}

// contentAt returns the content that shows at a path, through hard links, what kind it is and how large.
func (a *Analysis) contentAt(at int32) (content, Kind, int64) {
	owner := a.stack.owner(a.stack.live[at])
	return a.stack.layers[owner.layer].contents[owner.at], a.stack.entry(owner).kind, a.stack.entry(owner).size
}

func (d *Difference) layers(a, b *Analysis) {
	have := map[string]int{}
	for _, l := range a.Layers {
		have[l.DiffID.String()]++
	}
	for _, l := range b.Layers {
		if id := l.DiffID.String(); have[id] > 0 {
			have[id]--
			d.Shared.Files++
			d.Shared.Bytes += l.Unpacked
		}
	}
}

func (d *Difference) config(a, b *Analysis) {
	x, y := a.Config, b.Config
	for _, f := range []struct{ field, a, b string }{
		{"platform", a.Platform, b.Platform}, {"user", x.User, y.User}, {"entrypoint", quoted(x.Entrypoint), quoted(y.Entrypoint)},
		{"cmd", quoted(x.Cmd), quoted(y.Cmd)}, {"workingDir", x.WorkingDir, y.WorkingDir},
		{"exposed", strings.Join(x.Exposed, " "), strings.Join(y.Exposed, " ")},
		{"volumes", strings.Join(x.Volumes, " "), strings.Join(y.Volumes, " ")},
		{"stopSignal", x.StopSignal, y.StopSignal}, {"healthcheck", x.Healthcheck, y.Healthcheck},
	} {
		if f.a != f.b {
			d.Config = append(d.Config, ConfigChange{Field: f.field, A: f.a, B: f.b})
		}
	}
	d.pairs("env", x.env, y.env, func(string) string { return "set" })
	d.pairs("label", x.Labels, y.Labels, func(value string) string { return value })
}

// pairs compares names and values; show says what of a value may be told.
func (d *Difference) pairs(field string, a, b map[string]string, show func(string) string) {
	names := slices.Collect(maps.Keys(a))
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		x, inA := a[name]
		y, inB := b[name]
		if inA == inB && x == y {
			continue
		}
		c := ConfigChange{Field: field, Name: name}
		if inA {
			c.A = show(x)
		}
		if inB {
			c.B = show(y)
		}
		if field == "env" && inA && inB {
			c.B = "changed"
		}
		d.Config = append(d.Config, c)
	}
}

// quoted spells a command as a Dockerfile's exec form does.
func quoted(list []string) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	for i, word := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(`"` + strings.ReplaceAll(word, `"`, `\"`) + `"`)
	}
	return "[" + b.String() + "]"
}
