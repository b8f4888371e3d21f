package verify

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// An Aspect is a property of a file, or of an image, that is compared.
type Aspect string

// The aspects. The JSON of `stoker suggest` has the same names.
const (
	Added    Aspect = "added"   // only the second image has the path
	Removed  Aspect = "removed" // only the first one has it
	Type     Aspect = "type"
	Mode     Aspect = "mode"
	Owner    Aspect = "owner"
	Target   Aspect = "link-target"
	HardLink Aspect = "hard-link"
	Xattrs   Aspect = "xattr"
	Device   Aspect = "device"
	Content  Aspect = "content"
	Name     Aspect = "name"     // only in Result.Uncovered: each build of the original makes up another name
	Setting  Aspect = "config"   // a setting of the image's configuration
	System   Aspect = "platform" // os, architecture, variant; or an image that only one build made
)

// A Difference is one property in which two images differ.
type Difference struct {
	Platform string // of the image; "" if the build makes only one
	Path     string // of the file; "" for a difference of the image itself
	Aspect   Aspect
	// Detail says how they differ, as in "0644 → 0755". It never has the content of
	// files, or the values of variables and labels.
	Detail string
}

// compareFile returns the differences between two files at one path. If the content
// differs, that comes last.
func compareFile(a, b File) []Difference {
	var list []Difference
	differ := func(aspect Aspect, before, after string) {
		list = append(list, Difference{Path: a.Path, Aspect: aspect, Detail: before + " → " + after})
	}
	if a.kind != b.kind {
		differ(Type, string(a.kind), string(b.kind))
		return list
	}
	if a.mode != b.mode {
		differ(Mode, fmt.Sprintf("%04o", a.mode), fmt.Sprintf("%04o", b.mode))
	}
	if a.uid != b.uid || a.gid != b.gid {
		differ(Owner, fmt.Sprintf("%d:%d", a.uid, a.gid), fmt.Sprintf("%d:%d", b.uid, b.gid))
	}
	if a.link != b.link {
		differ(Target, a.link, b.link)
	}
	if a.Shares != b.Shares {
		differ(HardLink, cmp.Or(a.Shares, "none"), cmp.Or(b.Shares, "none"))
	}
	if a.xattrs != b.xattrs {
		list = append(list, Difference{Path: a.Path, Aspect: Xattrs, Detail: strings.Join(otherXattrs(a.xattrs, b.xattrs), ", ")})
	}
	if a.major != b.major || a.minor != b.minor {
		differ(Device, fmt.Sprintf("%d:%d", a.major, a.minor), fmt.Sprintf("%d:%d", b.major, b.minor))
	}
	if a.sum != b.sum {
		d := Difference{Path: a.Path, Aspect: Content, Detail: fmt.Sprintf("%d bytes, others", a.size)}
		if a.size != b.size {
			d.Detail = fmt.Sprintf("%d → %d bytes", a.size, b.size)
		}
		list = append(list, d)
	}
	return list
}

// otherXattrs returns the names of the attributes in which two sets differ.
func otherXattrs(a, b string) []string {
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	var names []string
	for _, one := range append(slices.Clone(x), y...) {
		name, _, ok := strings.Cut(one, "=")
		if ok && slices.Contains(x, one) != slices.Contains(y, one) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// A comparison compares the images of two builds.
type comparison struct {
	// variation says what is left out for the platform that is being compared; nil
	// for nothing.
	*variation
	variations map[string]*variation // by platform
	edits      []edit
	// edited is a result: the paths at which the images differ because they have
	// copies of a file that is edited.
	edited []string
}

// An edit is the change of a file, as digests of its content.
type edit struct {
	before, after [sha256.Size]byte
	added         bool // there was no such file before
}

// files returns the differences between two lists of files.
func (c *comparison) files(before, after []File) []Difference {
	a, b := c.normalize(before), c.normalize(after)
	var list []Difference
	for len(a) > 0 || len(b) > 0 {
		switch order := compareFirst(a, b); {
		case order < 0:
			list = append(list, c.filter(Difference{Path: a[0].Path, Aspect: Removed, Detail: string(a[0].kind)})...)
			a = a[1:]
		case order > 0:
			if !c.takeEdit(nil, b[0]) {
				list = append(list, c.filter(Difference{Path: b[0].Path, Aspect: Added, Detail: string(b[0].kind)})...)
			}
			b = b[1:]
		default:
			more := compareFile(a[0], b[0])
			if n := len(more); n > 0 && more[n-1].Aspect == Content && c.takeEdit(&a[0], b[0]) {
				more = more[:n-1]
			}
			list = append(list, c.filter(more...)...)
			a, b = a[1:], b[1:]
		}
	}
	return list
}

// takeEdit reports whether the two images have copies of a file before and after an
// edit. before is nil if only the second image has it. If so, the path is added to
// c.edited.
func (c *comparison) takeEdit(before *File, after File) bool {
	is := after.kind == Regular && slices.ContainsFunc(c.edits, func(e edit) bool {
		return e.after == after.sum && e.added == (before == nil) && (before == nil || before.sum == e.before)
	})
	if is {
		c.edited = append(c.edited, after.Path)
	}
	return is
}

// compareFirst compares the paths of the first files of two lists, of which one may be
// empty: the end of a list comes after all paths.
func compareFirst(a, b []File) int {
	switch {
	case len(b) == 0:
		return -1
	case len(a) == 0:
		return 1
	}
	return strings.Compare(a[0].Path, b[0].Path)
}

// images returns the differences between the images of two builds, which it matches by
// platform.
func (c *comparison) images(before, after []Image) []Difference {
	if len(before) == 1 && len(after) == 1 {
		// Compare the only images even if their platforms differ.
		return c.image(before[0], after[0], "")
	}
	var list []Difference
	for _, a := range before {
		i := slices.IndexFunc(after, func(b Image) bool { return b.platform() == a.platform() })
		if i < 0 {
			list = append(list, Difference{Platform: a.platform(), Aspect: System, Detail: "no image any more"})
			continue
		}
		list = append(list, c.image(a, after[i], a.platform())...)
	}
	for _, b := range after {
		if !slices.ContainsFunc(before, func(a Image) bool { return a.platform() == b.platform() }) {
			list = append(list, Difference{Platform: b.platform(), Aspect: System, Detail: "an image more"})
		}
	}
	return list
}

// image returns the differences between two images, with label as their platform.
func (c *comparison) image(before, after Image, label string) []Difference {
	var list []Difference
	a, b := before.platform(), after.platform()
	if a != b {
		list = append(list, Difference{Aspect: System, Detail: a + " → " + b})
	} else if !slices.Equal(before.Platform.OSFeatures, after.Platform.OSFeatures) {
		list = append(list, Difference{Aspect: System, Detail: "os.features"})
	}
	for _, name := range before.Config.compare(after.Config) {
		list = append(list, Difference{Aspect: Setting, Detail: name})
	}
	c.variation = c.variations[a]
	list = append(list, c.files(before.Files, after.Files)...)
	for at := range list {
		list[at].Platform = label
	}
	return list
}
