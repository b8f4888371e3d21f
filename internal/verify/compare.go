package verify

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// An Aspect is what of a path, or of an image, is compared.
type Aspect string

// The aspects. In the JSON of `stoker suggest` they are called so too.
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
	Name     Aspect = "name"     // of what the original varies: it makes the name up anew each time
	Setting  Aspect = "config"   // of the image's configuration
	System   Aspect = "platform" // os, architecture, variant; or an image that only one build made
)

// A Difference is what two images differ in.
type Difference struct {
	Platform string // of the image; "" where the build makes only one
	Path     string // "" for what concerns no path
	Aspect   Aspect
	// Detail says how, without content: "0644 → 0755". It holds no values of
	// variables or labels.
	Detail string
}

// compareFile lists what of two files at one path differs.
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

// otherXattrs names the attributes that only one of two sets has with a value.
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
	// variation is what cannot be held to, of one platform; nil for nothing.
	*variation
	variations map[string]*variation // by platform
	edits      []edit
	// edited are the paths at which the images differ because they hold a file
	// that the change is about.
	edited []string
}

// An edit is a change of a file, by digests.
type edit struct {
	before, after [sha256.Size]byte
	added         bool
}

// files lists what differs between two sets of files.
func (c *comparison) files(before, after []File) []Difference {
	a, b := c.known(before), c.known(after)
	var list []Difference
	for len(a) > 0 || len(b) > 0 {
		switch order := first(a, b); {
		case order < 0:
			list = append(list, c.filter(Difference{Path: a[0].Path, Aspect: Removed, Detail: string(a[0].kind)})...)
			a = a[1:]
		case order > 0:
			if !c.isEdit(nil, b[0]) {
				list = append(list, c.filter(Difference{Path: b[0].Path, Aspect: Added, Detail: string(b[0].kind)})...)
			}
			b = b[1:]
		default:
			more := compareFile(a[0], b[0])
			if n := len(more); n > 0 && more[n-1].Aspect == Content && c.isEdit(&a[0], b[0]) {
				more = more[:n-1]
			}
			list = append(list, c.filter(more...)...)
			a, b = a[1:], b[1:]
		}
	}
	return list
}

// isEdit reports a copy of a file that the change is about.
func (c *comparison) isEdit(before *File, after File) bool {
	is := after.kind == Regular && slices.ContainsFunc(c.edits, func(e edit) bool {
		return e.after == after.sum && e.added == (before == nil) && (before == nil || before.sum == e.before)
	})
	if is {
		c.edited = append(c.edited, after.Path)
	}
	return is
}

// first says which of two lists of files goes on with the lower path.
func first(a, b []File) int {
	switch {
	case len(b) == 0:
		return -1
	case len(a) == 0:
		return 1
	}
	return strings.Compare(a[0].Path, b[0].Path)
}

// images lists what differs between the images of two builds.
func (c *comparison) images(before, after []Image) []Difference {
	if len(before) == 1 && len(after) == 1 {
		// The only image is the image, whatever it is for.
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

// image lists what differs between two images; label names the platform.
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
