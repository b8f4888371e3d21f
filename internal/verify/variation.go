package verify

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// A variation says what differs between builds of one Dockerfile without cache, and so
// must be left out when they are compared with builds of another one. nil varies nothing.
//
// If the content, mode or link target of a file varies, that aspect is left out at its
// path. A name may vary because each build makes up another one (mktemp, a time stamp in
// the name of a log). It is replaced by a [pattern], by which the file is found again
// under its other name, so that everything but the name is compared.
type variation struct {
	// varied has the aspects that vary, by path. Paths have patterns in place of
	// varying names.
	varied map[string]map[Aspect]bool
	// shapes has the patterns of varying names, by folder and by shape.
	shapes map[string]map[string]pattern
	// steady has the paths whose last name has the shape of varying ones, but which
	// both builds have.
	steady map[string]bool
	seen   []Difference // all that vary
}

// newVariation returns what differs between two builds of one Dockerfile.
func newVariation(before, after []File) *variation {
	v := &variation{varied: map[string]map[Aspect]bool{}, shapes: map[string]map[string]pattern{}, steady: map[string]bool{}}
	onlyA, onlyB, both := partition(paths(before), paths(after))
	v.learnNames("", onlyA, onlyB, both)
	c := comparison{variation: v}
	for _, d := range c.files(before, after) {
		v.learn(d)
	}
	return v
}

// merge returns what varies according to either of two variations.
func (v *variation) merge(other *variation) *variation {
	if v == nil || other == nil {
		return cmp.Or(v, other)
	}
	out := &variation{varied: map[string]map[Aspect]bool{}, shapes: maps.Clone(v.shapes), steady: union(v.steady, other.steady)}
	for folder, shapes := range other.shapes {
		merged := union(shapes, out.shapes[folder])
		for shape, p := range shapes {
			merged[shape] = p.widen(merged[shape])
		}
		out.shapes[folder] = merged
	}
	known := map[Difference]bool{}
	for _, d := range append(slices.Clone(v.seen), other.seen...) {
		if !known[d] {
			known[d] = true
			out.learn(d)
		}
	}
	return out
}

// learn adds a difference between two builds of the original.
func (v *variation) learn(d Difference) {
	v.varied[d.Path] = union(v.varied[d.Path], map[Aspect]bool{d.Aspect: true})
	v.seen = append(v.seen, d)
}

// filter returns the differences of list that are not between builds of the original,
// too. It reuses the memory of list.
func (v *variation) filter(list ...Difference) []Difference {
	if v == nil {
		return list
	}
	return slices.DeleteFunc(list, func(d Difference) bool {
		aspects := v.varied[d.Path]
		// If there is not always such a file, or it has not always the same type, then
		// nothing else of it can be compared.
		return aspects[d.Aspect] || aspects[Type] || aspects[Added] || aspects[Removed]
	})
}

// A kin is the set of the names in a folder that have the same shape.
type kin struct{ folder, shape string }

// learnNames finds the names below a folder that each build makes up anew. These are
// names of one shape of which both builds have the same number, but no name in common.
// onlyA and onlyB are the paths that one of the builds has, and both those that both
// have. They are relative to the folder, sorted, and include the folders on the way.
func (v *variation) learnNames(folder string, onlyA, onlyB, both []string) {
	inA, inB := byKin(onlyA), byKin(onlyB)
	varying := map[kin]pattern{}
	for k, a := range inA {
		b := inB[k]
		if len(a) != len(b) {
			continue
		}
		p := newPattern(base(a[0]))
		for _, name := range append(slices.Clone(a), b...) {
			p = p.widen(newPattern(base(name)))
		}
		varying[k] = p
		dir := join(folder, k.folder)
		v.shapes[dir] = union(v.shapes[dir], map[string]pattern{k.shape: p})
		v.learn(Difference{Path: join(dir, p.String()), Aspect: Name})
	}
	if len(varying) == 0 {
		return
	}
	for _, p := range both {
		dir, name := split(p)
		if _, ok := varying[kin{dir, shape(name)}]; ok {
			v.steady[join(folder, p)] = true
		}
	}
	for k, p := range varying {
		a, b, c := partition(under(inA[k], onlyA), under(inB[k], onlyB))
		v.learnNames(join(join(folder, k.folder), p.String()), a, b, c)
	}
}

// byKin groups paths by folder and shape. It leaves out paths whose folder is in the list
// as well, since they came with that.
func byKin(list []string) map[kin][]string {
	have := map[string]bool{}
	for _, p := range list {
		have[p] = true
	}
	out := map[kin][]string{}
	for _, p := range list {
		if dir, name := split(p); !have[dir] {
			k := kin{dir, shape(name)}
			out[k] = append(out[k], p)
		}
	}
	return out
}

// under returns the paths of a sorted list that are below any of the folders, relative to
// that, sorted and without duplicates.
func under(folders, list []string) []string {
	var out []string
	for _, f := range folders {
		at, _ := slices.BinarySearch(list, f+"/")
		for ; at < len(list) && strings.HasPrefix(list[at], f+"/"); at++ {
			out = append(out, list[at][len(f)+1:])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func base(p string) string {
	_, name := split(p)
	return name
}

// A pattern is what a set of made-up names has in common. Its elements are punctuation
// characters and the runs of letters and digits between them. A run of only digits is
// "#". Any other run is itself if all names have the same, else it is "?" for each byte.
// The pattern of log-7.aB3 and log-31.xY7 is log-#.???.
type pattern []string

func newPattern(name string) pattern {
	var p pattern
	for i := 0; i < len(name); {
		from, digits := i, true
		for i < len(name) && isAlnum(name[i]) {
			digits = digits && name[i] <= '9'
			i++
		}
		switch {
		case i == from:
			i++
			p = append(p, name[from:i])
		case digits:
			p = append(p, "#")
		default:
			p = append(p, name[from:i])
		}
	}
	return p
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// widen returns the pattern of the names that match p or q, which must be of one shape.
func (p pattern) widen(q pattern) pattern {
	out := slices.Clone(p)
	for i := range out {
		if out[i] != q[i] {
			out[i] = strings.Repeat("?", len(out[i]))
		}
	}
	return out
}

// matches reports whether all names that match q, which is of the same shape, match p.
func (p pattern) matches(q pattern) bool { return slices.Equal(p.widen(q), p) }

func (p pattern) String() string { return strings.Join(p, "") }

// shape returns the widest pattern that a name matches. Only names of the same shape can
// have a pattern in common.
func shape(name string) string {
	p := newPattern(name)
	for i, part := range p {
		if isAlnum(part[0]) {
			p[i] = strings.Repeat("?", len(part))
		}
	}
	return p.String()
}

// normalize returns files with patterns in place of the names that vary, sorted so that
// the lists of two builds can be compared.
func (v *variation) normalize(files []File) []File {
	if v == nil || len(v.shapes) == 0 {
		return files
	}
	list := slices.Clone(files)
	for i, f := range list {
		list[i].Path, list[i].Shares = v.name(f.Path), v.name(f.Shares)
	}
	// Several files may have the same path now. Sort them so that equal ones meet.
	slices.SortStableFunc(list, func(a, b File) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.kind, b.kind), cmp.Compare(a.mode, b.mode),
			cmp.Compare(a.uid, b.uid), cmp.Compare(a.gid, b.gid), cmp.Compare(a.size, b.size), strings.Compare(string(a.sum[:]), string(b.sum[:])))
	})
	return list
}

// name returns a path with patterns in place of the names that vary.
func (v *variation) name(p string) string {
	out := ""
	for part := range strings.SplitSeq(p, "/") {
		as := join(out, part)
		if shapes := v.shapes[out]; shapes != nil && !v.steady[as] {
			if p, ok := shapes[shape(part)]; ok && p.matches(newPattern(part)) {
				as = join(out, p.String())
			}
		}
		out = as
	}
	return out
}

// join joins two paths, of which either may be "".
func join(dir, name string) string {
	if dir == "" || name == "" {
		return dir + name
	}
	return dir + "/" + name
}

func paths(files []File) []string {
	list := make([]string, len(files))
	for i, f := range files {
		list[i] = f.Path
	}
	return list
}

// partition splits the elements of two sorted lists by which of them has them.
func partition(a, b []string) (onlyA, onlyB, both []string) {
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			onlyA, a = append(onlyA, a[0]), a[1:]
		case len(a) == 0 || b[0] < a[0]:
			onlyB, b = append(onlyB, b[0]), b[1:]
		default:
			both = append(both, a[0])
			a, b = a[1:], b[1:]
		}
	}
	return onlyA, onlyB, both
}
