package suggest

import (
	"path"
	"slices"
	"strings"
)

// feeds reports whether it is likely that RUN j, whose commands are known, works on what RUN
// i above it makes, of whose commands one is not: the script of i names a path that j
// touches, or j reads a file that nothing else above makes. Moved above i, j would fail.
func (o *ordering) feeds(i, j int) bool {
	touched := o.run(j).touch
	paths := slices.DeleteFunc(slices.Concat(touched.reads, touched.writes, touched.enters), func(p string) bool { return !notPlace(p) })
	return slices.ContainsFunc(o.view.spelt(i), func(name string) bool {
		return slices.ContainsFunc(paths, func(p string) bool { return overlap(name, folderOf(rooted(p))) })
	}) || slices.ContainsFunc(slices.Concat(touched.reads, touched.enters), func(p string) bool { return notPlace(p) && !o.made(j, p) })
}

// spelt returns the image paths that the script of instruction i, a RUN, spells out, apart
// from folders in which anybody may work: those of every image, and its own working folder.
func (v *stageView) spelt(i int) (list []string) {
	words := strings.FieldsFunc(v.stage.Instructions[i].Run.Given, func(r rune) bool { return strings.ContainsRune(" \t\n\r\"'`;&|()<>=:,\\", r) })
	for _, w := range words {
		name := expand(w, v.env[i])
		if name == "" || name[0] == '-' || !strings.Contains(name, "/") || strings.Contains(name, "$") {
			continue
		}
		name = folderOf(rooted(resolve(v.dirs[i], name, 0)))
		if _, above := below(name, v.dirs[i]); !above && !usual(name) {
			list = append(list, name)
		}
	}
	return list
}

// made reports whether something above instruction j, a RUN, other than a RUN of which not
// all is known, makes what lies at an image path, or the image has it by itself: nearly every
// image has something in the folders of the system.
func (o *ordering) made(j int, name string) bool {
	v := o.view
	name = folderOf(rooted(name))
	if v.isMade(name, j) || slices.ContainsFunc([]string{"/etc", "/usr", "/var", "/run", "/proc", "/dev"}, func(root string) bool { _, in := below(root, name); return in }) {
		return true
	}
	if slices.ContainsFunc(v.homes(j), func(home string) bool { _, in := below(home, name); return in && path.Dir(name) != home }) {
		return true // settings, which need not be there
	}
	for k, in := range v.stage.Instructions[:j] {
		switch {
		case in.Copy != nil && v.clash(o.in.Builds[0], k, []string{name}) != "":
			return true
		case in.Run != nil && o.run(k).known && meet(o.run(k).touch.writes, []string{name}, true):
			return true
		}
	}
	return v.stage.BaseStage >= 0
}
