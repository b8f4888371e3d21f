package image

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
)

// Difference says how image B differs from image A, as containers see them.
type Difference struct {
	Added, Removed Size         // files that only B has, and that only A has
	Changed        Size         // files that differ; Bytes is by how much B's are larger
	Files          []FileChange // the largest file first
	Shared         Size         // layers with equal content: Files is their number, Bytes their unpacked size
	Config         []ConfigChange
}

// Size is a number of files and their bytes.
type Size struct {
	Files int
	Bytes int64
}

// FileChange is one path that differs.
type FileChange struct {
	Path   string
	Change string   // added, removed, changed
	What   []string // if changed: type, content, mode, owner
	Kind   string   // as Kind.String returns it, in B, or in A if B has no such path
	A, B   int64    // sizes in bytes; 0 if the image has no such path
}

// ConfigChange is one field of the configuration that differs. It has no values of environment variables.
type ConfigChange struct {
	Field string // user, entrypoint, cmd, workingDir, exposed, volumes, env, label, stopSignal, healthcheck, platform
	Name  string // of an environment variable or label
	A, B  string // values, "" if not set; of env, A is "set", and B is "set" or "changed"
}

// Diff compares images a and b. It returns an error if one was analysed without [Options.Contents].
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

// files compares the files. It walks both trees side by side, so that names are only made of paths that differ.
func (d *Difference) files(a, b *Analysis) {
	type pair struct{ a, b int32 } // one path in each image, -1 if it is not there
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

// weight returns the size of the larger file, by which changes are sorted.
func (f FileChange) weight() int64 { return max(f.A, f.B) }

// kids returns the paths in a directory at or below which anything is visible.
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

// shows returns the visible entry at a path, nil if there is none. A directory that no layer has an entry for has none.
func (a *Analysis) shows(at int32) *entry {
	if at < 0 || a.stack.live[at] == none {
		return nil
	}
	return a.stack.entry(a.stack.live[at])
}

// compare compares the paths na of a and nb of b, which are the same one or -1.
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

// add adds a change, which makes the image larger by some bytes, and counts it in sum. Directories that are added or
// removed are left out, because the files in them tell of them.
func (d *Difference) add(f FileChange, sum *Size, bytes int64) {
	if f.Kind == Dir.String() && f.Change != "changed" {
		return
	}
	sum.Files++
	sum.Bytes += bytes
	d.Files = append(d.Files, f)
}

// sizeAt returns the size of the file at a path. If a file has several names, it is 0 for all but the one that holds the
// content, as long as that is visible.
func (a *Analysis) sizeAt(at int32) int64 {
	r := a.stack.live[at]
	owner := a.stack.owner(r)
	e := a.stack.entry(owner)
	if owner != r && a.stack.live[e.node] == owner {
		return 0
	}
	return e.size
}

// contentAt returns the content of the file at a path, its kind and its size. Hard links are resolved.
func (a *Analysis) contentAt(at int32) (content, Kind, int64) {
	owner := a.stack.owner(a.stack.live[at])
	return a.stack.layers[owner.layer].contents[owner.at], a.stack.entry(owner).kind, a.stack.entry(owner).size
}

// layers counts the layers that both images have, at any place.
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

// config compares the configurations and the platforms.
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

// pairs compares the values by name of one field. show returns what may be shown in place of a value.
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

// quoted writes a command in the exec form of a Dockerfile.
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
