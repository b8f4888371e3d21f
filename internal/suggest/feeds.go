package suggest

import (
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// feeds reports whether RUN j is likely to work on what RUN i above it makes, so that it would fail if
// it were moved above i. All commands of j are known, but not all of i: what i makes can only be
// guessed. It is likely if the script of i names a path that j touches, or if j reads a file that
// nothing else above it makes.
func (o *ordering) feeds(i, j int) bool {
	touched := o.run(j).touch
	reads := slices.DeleteFunc(slices.Concat(touched.reads, touched.enters), func(p string) bool { return !notPlace(p) })
	writes := slices.DeleteFunc(slices.Clone(touched.writes), func(p string) bool { return !notPlace(p) })
	for _, name := range o.view.spelt(i) {
		if slices.ContainsFunc(slices.Concat(reads, writes), func(p string) bool { return overlap(name, folderOf(rooted(p))) }) {
			return true
		}
	}
	return slices.ContainsFunc(reads, func(p string) bool { return !o.made(j, p) })
}

// spelt returns the image paths that are written in the script of instruction i, a RUN. It leaves out
// folders that every image has, and the RUN's working folder with all above it: to name them says
// nothing about what the script makes.
func (v *stageView) spelt(i int) (list []string) {
	words := strings.FieldsFunc(v.stage.Instructions[i].Run.Given, func(r rune) bool { return strings.ContainsRune(" \t\n\r\"'`;&|()<>=:,\\", r) })
	for _, word := range words {
		name := expand(word, v.env[i])
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

// made reports whether what lies at an image path is likely to be there before instruction j, a RUN,
// without those RUNs above it of which not all commands are known: another instruction makes it, or
// the base image has it.
func (o *ordering) made(j int, name string) bool {
	v := o.view
	name = folderOf(rooted(name))
	in := func(folder string) bool {
		_, ok := below(folder, name)
		return ok
	}
	switch {
	case v.isMade(name, j):
		return true
	case slices.ContainsFunc([]string{"/etc", "/usr", "/var", "/run", "/proc", "/dev"}, in):
		return true // nearly every image has something there
	case slices.ContainsFunc(v.homes(j), func(home string) bool { return in(home) && path.Dir(name) != home }):
		return true // settings, which need not be there
	}
	for k, ins := range v.stage.Instructions[:j] {
		switch {
		case ins.Copy != nil && v.clash(o.in.Builds[0], k, []string{name}) != "":
			return true
		case ins.Run != nil && o.run(k).known && meet(o.run(k).touch.writes, []string{name}, true):
			return true
		}
	}
	// Of the base stages it is enough that one of their steps names it.
	return slices.ContainsFunc(instructionsOf(v.file, v.stage.BaseStage), func(ins dockerfile.Instruction) bool {
		return (ins.Run != nil || ins.Copy != nil) && mentions(v.file.Source(ins.Lines), []string{path.Base(name)})
	})
}
