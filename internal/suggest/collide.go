package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// collisions returns an obstacle if a moved COPY would write over files of an install, or "".
// The classic case is the node_modules of the host: today the install comes last and wins,
// after the move the COPY would.
func (m *move) collisions(b Build) string {
	for _, inst := range m.run.installs {
		for _, i := range m.moved {
			if why := m.writesOver(b, i, inst); why != "" {
				return why
			}
			if why := m.bringsOutput(b, i, inst); why != "" {
				return why
			}
		}
	}
	return ""
}

// writesOver returns an obstacle if COPY i writes to one of the fixed paths that an install
// writes to, or "".
func (m *move) writesOver(b Build, i int, inst install) string {
	t, ok := m.view.touches(m.last, inst.dir, nil, nil, inst.writes)
	if !ok {
		return ""
	}
	if p := m.view.clash(b, i, t.writes); p != "" {
		return fmt.Sprintf("`%s` also writes to %s, where %s does", m.text(i), p, inst.tool)
	}
	return ""
}

// bringsOutput handles a COPY that takes the folder from the context which the install fills.
// The ignore file has to exclude it. That is safe if there is no such folder, or if the
// install empties it anyway. Otherwise an obstacle is returned.
func (m *move) bringsOutput(b Build, i int, inst install) string {
	own := resolve(inst.dir, inst.output, 0)
	for _, image := range m.outputs(inst) {
		if mountedOver(m.view, m.last, image) {
			inst.wipes = false // what it empties is the mount, and not what lies below
		}
		if !takesContext(m.view.stage.Instructions[i]) {
			if m.view.lands(b, i, image) {
				return fmt.Sprintf("`%s` may write over what %s installed", m.text(i), inst.tool)
			}
			continue
		}
		if rel, inside := below(image, m.view.dest(i)); inside && rel != "." {
			return fmt.Sprintf("`%s` would write over what %s installed", m.text(i), inst.tool)
		}
		for _, p := range m.view.sources(b.Context, i, path.Join(image, "x", "x.js")) {
			line, folder := m.view.stage.Instructions[i].Lines.From, strings.TrimSuffix(p, "/x/x.js")
			if !b.Context.Takes(line, p) {
				if takesBelow(b.Context, line, folder) {
					return fmt.Sprintf("`%s` brings a part of %s, and would write it into what %s installed", m.text(i), folder, inst.tool)
				}
				continue
			}
			if why := m.leaveOut(b, i, inst, folder, image != own && path.Dir(image) != inst.dir); why != "" {
				return why
			}
		}
	}
	return ""
}

// mountedOver reports whether a mount of instruction k, a RUN, may lie over an image folder,
// or in it.
func mountedOver(v *stageView, k int, folder string) bool {
	return slices.ContainsFunc(v.stage.Instructions[k].Run.Mounts, func(m mount) bool {
		if m.Target == "" {
			return m.Type != "secret" && m.Type != "ssh"
		}
		return overlap(rooted(resolve(v.dirs[k], m.Target, v.vars(k))), rooted(folder))
	})
}

// outputs returns the image folders that an install fills: its own and, if it installs for
// all members of a workspace or projects of a solution, one beside each manifest.
func (m *move) outputs(inst install) []string {
	var dirs []string
	if inst.output != "" {
		dirs = append(dirs, resolve(inst.dir, inst.output, 0))
	}
	for _, image := range m.images {
		dir := ""
		switch {
		case inst.output == "node_modules" && path.Base(image) == "package.json":
			dir = path.Join(path.Dir(image), inst.output)
		case inst.tool == "dotnet" && strings.HasSuffix(image, "proj"):
			dir = path.Join(path.Dir(image), "obj")
		}
		if dir != "" && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// leaveOut adds a line to the ignore file that excludes output, a folder of the context, or
// returns an obstacle. With many, folders of that name are excluded at any depth.
func (m *move) leaveOut(b Build, i int, inst install, output string, many bool) string {
	line, there := output, b.Context.Exists(output)
	if many {
		line = "**/" + path.Base(output)
		for f := range b.Context.Files() {
			there = there || strings.Contains("/"+f, "/"+path.Base(output)+"/")
		}
	}
	if there && (many || !inst.wipes) {
		return fmt.Sprintf("%s is not ignored, and `%s` would write over what %s installed: add %s to the ignore file first", output, m.text(i), inst.tool, line)
	}
	if b.Ignore.Path == "" || b.Ignore.Shared && (there || !b.Ignore.spares(output)) {
		return output + " is not ignored, and other builds share the ignore file: add it there first"
	}
	if by := m.otherTaker(b, output); by != "" {
		return fmt.Sprintf("%s is not ignored, and `%s` takes it as well: add %s to the ignore file first, if that does not need it", output, short(by), line)
	}
	if by := m.missing(b, output, inst); by != "" {
		return fmt.Sprintf("`%s` needs %s from the context, and writes over what %s installed", short(by), output, inst.tool)
	}
	m.leave(line)
	return ""
}

// missing returns the text of an instruction that is moved and needs output, a folder of the
// context that the ignore file is to exclude, or "": it names that as its source, and would not find
// it, or it also brings it to where the install puts nothing.
func (m *move) missing(b Build, output string, inst install) string {
	v := m.view
	within := output + "/x/x.js"
	for _, i := range m.moved {
		in := v.stage.Instructions[i]
		if in.Copy == nil || in.Copy.From != "" || !b.Context.Takes(in.Lines.From, within) {
			continue
		}
		named := slices.ContainsFunc(in.Copy.Sources, func(s string) bool {
			_, inside := below("/"+output, path.Clean("/"+s))
			return inside && !strings.ContainsAny(s, "*?[")
		})
		filled := slices.ContainsFunc(m.outputs(inst), func(image string) bool {
			return slices.Contains(v.sources(b.Context, i, path.Join(image, "x", "x.js")), within)
		})
		if named || !filled {
			return in.Text
		}
	}
	return ""
}

// leave adds a line for the ignore file, unless one for any depth covers it.
func (m *move) leave(line string) {
	deep := "**/" + path.Base(line)
	if slices.Contains(m.ignore, line) || slices.Contains(m.ignore, deep) {
		return
	}
	if line == deep {
		m.ignore = slices.DeleteFunc(slices.Clone(m.ignore), func(l string) bool { return path.Base(l) == path.Base(line) })
	}
	m.ignore = append(slices.Clone(m.ignore), line)
}

// takesBelow reports whether the instruction on a line takes something of a folder of the context: all
// that may be there, or some of the files that are.
func takesBelow(c Context, line int, folder string) bool {
	if c.Takes(line, folder+"/x/x.js") {
		return true
	}
	if !c.Exists(folder) {
		return false
	}
	for f := range c.Files() {
		if strings.HasPrefix(f, folder+"/") && c.Takes(line, f) {
			return true
		}
	}
	return false
}

// otherTaker returns the text of an instruction that takes something of a folder of the context and is
// not moved, or "".
func (m *move) otherTaker(b Build, folder string) string {
	for _, st := range m.view.file.Stages {
		for i, in := range st.Instructions {
			if st.Index == m.view.stage.Index && slices.Contains(m.moved, i) {
				continue
			}
			mounts := in.Run != nil && len(in.Run.Mounts) > 0
			if (in.Copy != nil && in.Copy.From == "" || mounts) && takesBelow(b.Context, in.Lines.From, folder) {
				return in.Text
			}
		}
	}
	return ""
}

// sharers returns the builds of other Dockerfiles that use the file, or none if they are not
// all known.
func (f IgnoreFile) sharers() []Sharer {
	if f.Sharers == nil {
		return nil
	}
	return f.Sharers()
}

// spares reports whether the builds of other Dockerfiles that use the file are known, and none
// of them misses a folder that is excluded.
func (f IgnoreFile) spares(folder string) bool {
	sharers := f.sharers()
	return len(sharers) > 0 && !slices.ContainsFunc(sharers, func(s Sharer) bool { return s.misses(folder) })
}

// misses reports whether the build needs a folder of the context: it takes it, and does not
// fill it by an install afterwards.
func (s Sharer) misses(folder string) bool {
	for _, st := range s.File.Stages {
		v := newStageView(s.File, st)
		for i, in := range st.Instructions {
			mounts := in.Run != nil && len(in.Run.Mounts) > 0
			if (takesContext(in) || mounts) && takesBelow(s.Context, in.Lines.From, folder) && (mounts || !s.fills(v, i, folder)) {
				return true
			}
		}
	}
	return false
}

// fills reports whether an install below instruction i, a COPY, fills the folder, a context
// path that the COPY brings.
func (s Sharer) fills(v *stageView, i int, folder string) bool {
	for k := i + 1; k < len(v.stage.Instructions); k++ {
		if v.stage.Instructions[k].Run == nil {
			continue
		}
		for _, inst := range viewRun(v, k).installs {
			if inst.output != path.Base(folder) {
				continue
			}
			// Its own, or that of a member of its workspace.
			for _, output := range []string{inst.output, folder} {
				image := path.Join(resolve(inst.dir, output, 0), "x", "x.js")
				if slices.Contains(v.sources(s.Context, i, image), folder+"/x/x.js") {
					return true
				}
			}
		}
	}
	return false
}
