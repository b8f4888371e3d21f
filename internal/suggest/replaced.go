package suggest

import (
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// runtimes lists, for programs that are scripts, the programs that run these.
var runtimes = map[string][]string{
	"npm": {"node"}, "npx": {"node"}, "yarn": {"node"}, "pnpm": {"node"},
	"pip": {"python", "python3", "pip3"}, "pipenv": {"python", "python3"}, "poetry": {"python", "python3"}, "pdm": {"python", "python3"},
	"composer": {"php"}, "bundle": {"ruby"}, "gem": {"ruby"}, "mvn": {"java"}, "gradle": {"java"},
}

// replaced reports whether the Dockerfile itself brings the program that a command of
// instruction i runs, or the one that runs that. Such a program has the name of a known tool,
// but may do something else.
func (v *stageView) replaced(i int, words []string) bool {
	called := effects.Called(words)
	if called == "" {
		return false
	}
	return slices.ContainsFunc(append([]string{called}, runtimes[called]...), func(name string) bool { return v.shadows(i, name) })
}

// shadows reports whether instruction i, one above it or one of a base stage brings a program
// with this name.
func (v *stageView) shadows(i int, name string) bool {
	at, ok := v.programs[name]
	if !ok {
		if v.programs == nil {
			v.programs = map[string]int{}
		}
		at = v.shadowed(name)
		v.programs[name] = at
	}
	return at <= i
}

// shadowed returns the index of the first instruction that brings a program with this name: -1
// for one of a base stage, and one past the last if there is none.
func (v *stageView) shadowed(name string) int {
	last := len(v.stage.Instructions) - 1
	folders := binFolders
	if last >= 0 {
		_, more := v.led(last)
		folders = slices.Concat(folders, more)
	}
	if base := v.stage.BaseStage; base >= 0 {
		under := newStageView(v.file, v.file.Stages[base])
		under.context = v.context
		if under.shadows(len(under.stage.Instructions)-1, name) {
			return -1
		}
	}
	for k, in := range v.stage.Instructions {
		for _, dir := range folders {
			program := path.Join(dir, name)
			near := in.Run != nil && strings.Contains(in.Run.Given, name) && strings.Contains(in.Run.Given, path.Base(dir))
			if in.Copy != nil && v.copiesOver(k, program) || near && v.writesOver(k, program) {
				return k
			}
		}
	}
	return last + 1
}

// copiesOver reports whether instruction k, a COPY or ADD, brings a program, as an image path,
// that is not known to be the tool itself. It is known to be that if it comes from another
// image, or from a place where images have such programs.
func (v *stageView) copiesOver(k int, program string) bool {
	c := v.stage.Instructions[k].Copy
	dest, from := rooted(v.dest(k)), v.file.StageOf(c.From)
	rel, in := below(dest, rooted(program))
	switch {
	case !in || c.From != "" && from < 0:
		return false
	case takesContext(v.stage.Instructions[k]):
		return rel == "." && !strings.HasSuffix(c.Dest, "/") || slices.ContainsFunc(c.Sources, func(s string) bool { return path.Base(s) == rel }) ||
			v.context != nil && slices.ContainsFunc(v.sources(v.context, k, rooted(program)), v.context.IsFile)
	case c.From == "":
		return c.Heredocs > 0 // otherwise it is downloaded
	}
	there := newStageView(v.file, v.file.Stages[from])
	last := len(there.stage.Instructions) - 1
	runs := slices.ContainsFunc(instructionsOf(v.file, from), func(in dockerfile.Instruction) bool { return in.Run != nil || in.Copy != nil })
	return runs && slices.ContainsFunc(c.Sources, func(s string) bool {
		whole := strings.HasSuffix(s, "/") || strings.ContainsAny(s, "*?[") // a folder, and not a file
		s = path.Clean("/" + expand(s, v.env[k]))
		folder, base := path.Base(path.Dir(s)), path.Base(s)
		switch {
		case base == path.Base(program) || rel == ".":
			return folder != "bin" && folder != "sbin" || there.bringsTo(last, s) || there.shadows(last, path.Base(program))
		case whole || base == "bin" || base == "sbin" || strings.Contains(rel, "/"):
			return there.bringsTo(last, s) || there.shadows(last, path.Base(program))
		}
		return false
	})
}

// bringsTo reports whether a COPY or ADD of the context, up to instruction i or in a base
// stage, may bring what is at an image path.
func (v *stageView) bringsTo(i int, name string) bool {
	name, _, _ = strings.Cut(name, "$")
	if base := v.stage.BaseStage; base >= 0 {
		under := newStageView(v.file, v.file.Stages[base])
		if under.bringsTo(len(under.stage.Instructions)-1, name) {
			return true
		}
	}
	for k, in := range v.stage.Instructions[:i+1] {
		if in.Copy != nil && takesContext(in) {
			if _, inside := below(v.dest(k), path.Clean(name)); inside {
				return true
			}
		}
	}
	return false
}

// writesOver reports whether instruction k, a RUN, writes or links a program, as an image path,
// that is not known to be the tool itself. It is known to be that if it is downloaded, or made
// from a program with a similar name.
func (v *stageView) writesOver(k int, program string) bool {
	dir, name := v.dirs[k], path.Base(program)
	at := func(word string) string {
		names := fields(word, nil, v.env[k])
		if len(names) != 1 {
			return ""
		}
		return path.Clean(resolve(dir, effects.Unquote(names[0]), 0))
	}
	alike := func(word string) bool {
		family := strings.TrimRight(name, "0123456789.")
		return strings.HasPrefix(path.Base(effects.Unquote(word)), family) && !v.bringsTo(k, at(word))
	}
	for _, c := range everyInner(parseRun(v.stage.Instructions[k].Run, v.shell[k]).commands) {
		writes := func(word string) bool { return rooted(at(word)) == rooted(program) }
		_, names := c.args(1)
		switch {
		case slices.ContainsFunc(c.writes, writes) && !c.starts("curl") && !c.starts("wget"), c.starts("tee") && slices.ContainsFunc(names, writes),
			c.starts("sed") && slices.ContainsFunc(names, writes):
			return true
		case c.starts("cd") && len(names) == 1:
			dir = at(names[0])
		case len(names) > 1 && (c.starts("cp") || c.starts("mv") || c.starts("install") || c.starts("ln")):
			into := names[len(names)-1]
			for _, from := range names[:len(names)-1] {
				inside := rooted(at(into)) == path.Dir(rooted(program)) && path.Base(effects.Unquote(from)) == name
				if (writes(into) || inside) && !alike(from) {
					return true
				}
			}
		}
	}
	return false
}

// everyInner returns commands and all that are inside of them, in order.
func everyInner(commands []command) (list []command) {
	for _, c := range commands {
		list = append(append(list, everyInner(c.inner)...), c)
	}
	return list
}
