package verify

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// A variation is what differs between clean builds of one text: what no
// comparison with another text can be held to. Its zero value varies nothing,
// and so does nil.
//
// Content, a mode or a link's target that varies is left out at its path. A name
// that is made up anew in each build (mktemp, a log's time stamp) is put down to
// its shape, so that the file is found again under another name, and all but the
// name is compared.
type variation struct {
	// varied are the aspects that vary, by path, as the shapes have it.
	varied map[string]map[Aspect]bool
	// shapes are those of varying names by folder, each with what such names are
	// made of: see pattern.
	shapes map[string]map[string]pattern
	// steady are the paths whose last name has a varying shape, and which every
	// build has nonetheless.
	steady map[string]bool
	seen   []Difference
}

// newVariation compares two builds of the same text.
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

// merge returns what varies by either.
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

func (v *variation) learn(d Difference) {
	v.varied[d.Path] = union(v.varied[d.Path], map[Aspect]bool{d.Aspect: true})
	v.seen = append(v.seen, d)
}

// filter leaves the differences that are none between builds of the original.
func (v *variation) filter(list ...Difference) []Difference {
	if v == nil {
		return list
	}
	return slices.DeleteFunc(list, func(d Difference) bool {
		aspects := v.varied[d.Path]
		// Of what is of another type, or comes and goes, there is nothing else to
		// be held to.
		return aspects[d.Aspect] || aspects[Type] || aspects[Added] || aspects[Removed]
	})
}

// A kin is a folder, and the shape of names in it.
type kin struct{ folder, shape string }

// learnNames finds the names below a folder that are made up anew in each build:
// one build has some of a shape, the other one as many, and neither has the
// other's. All paths are relative to the folder, sorted, and come with the folders
// that they lie in.
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

// byKin sorts paths by what their names look like. What came with its folder is
// left out.
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

// under returns what of a sorted list lies below any of the folders, relative to
// it and sorted.
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

// A pattern is what the names are made of that a tool makes up in place of each
// other: punctuation, runs of digits, and runs of letters and digits. Digits are
// "#"; another run is itself while all names have the same, else "?" for each of
// its bytes.
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

// widen returns the pattern of the names that either has; both are of one shape.
func (p pattern) widen(q pattern) pattern {
	out := slices.Clone(p)
	for i := range out {
		if out[i] != q[i] {
			out[i] = strings.Repeat("?", len(out[i]))
		}
	}
	return out
}

// matches reports whether q, of the same shape, is one of p's.
func (p pattern) matches(q pattern) bool { return slices.Equal(p.widen(q), p) }

func (p pattern) String() string { return strings.Join(p, "") }

// shape is what any two names have in common that one pattern may be made of.
func shape(name string) string {
	p := newPattern(name)
	for i, part := range p {
		if isAlnum(part[0]) {
			p[i] = strings.Repeat("?", len(part))
		}
	}
	return p.String()
}

// known returns files under the names by which builds may be compared, in their
// order.
func (v *variation) known(files []File) []File {
	if v == nil || len(v.shapes) == 0 {
		return files
	}
	list := slices.Clone(files)
	for i, f := range list {
		list[i].Path, list[i].Shares = v.name(f.Path), v.name(f.Shares)
	}
	// Of what has one name now, equals stand at equal places.
	slices.SortStableFunc(list, func(a, b File) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.kind, b.kind), cmp.Compare(a.mode, b.mode),
			cmp.Compare(a.uid, b.uid), cmp.Compare(a.gid, b.gid), cmp.Compare(a.size, b.size), strings.Compare(string(a.sum[:]), string(b.sum[:])))
	})
	return list
}

// name puts the parts of a path that vary down to their patterns.
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

// partition says which of two sorted lists has what.
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
