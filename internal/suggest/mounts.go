package suggest

import (
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// mounts returns the flags that a RUN gets.
func (p *mountPlan) mounts() []string {
	var flags []string
	for _, dir := range p.dirs {
		flag := "--mount=type=cache" + p.id(dir) + ",target=" + dir + p.owner
		if p.tool.Sharing != "" {
			flag += ",sharing=" + p.tool.Sharing
		}
		flags = append(flags, flag)
	}
	return flags
}

// id returns the flag that names the cache at a folder, or "" where BuildKit's own name will do: the
// folder, which all images that a builder makes share.
func (p *mountPlan) id(dir string) string {
	if p.base == "" {
		return ""
	}
	name := p.tool.Program()
	if len(p.dirs) > 1 {
		name += "-" + path.Base(dir)
	}
	if p.home != "/root" {
		name += "-" + path.Base(p.home)
	}
	return ",id=" + name + "-" + p.base
}

// ownForImage reports whether the cache is for images of one base only: what Python's tools compile
// they find again by the version of Python and the kind of processor, also where another libc or
// none of the libraries is. Go knows its compiler of C.
func (p *mountPlan) ownForImage() bool { return p.tool.Compiled && p.tool.Program() != "go" }

// imagesOf returns the images that a stage starts from in the known builds, each as "NAME-TAG", with
// a variable as it is written where a build gives its value.
func imagesOf(in Input, st dockerfile.Stage) []string {
	base := rootStage(in.File, st.Index).Base
	var names []string
	for _, b := range in.Builds {
		args := map[string]string{}
		for _, ins := range in.File.Globals {
			for _, a := range ins.Vars {
				// What a build gives is not to be written down anywhere.
				if _, given := b.Args[a.Name]; a.Set && !given {
					args[a.Name] = expand(strings.Trim(a.Value, `"'`), args)
				}
			}
		}
		name, _, _ := strings.Cut(expand(base, args), "@")
		name = strings.ReplaceAll(path.Base(name), ":", "-")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// ofImages says that one cache would be that of several images, or of one that is not known, or
// returns "".
func (p *mountPlan) ofImages(in Input, st dockerfile.Stage) string {
	if p.base == "" {
		return ""
	}
	switch names := imagesOf(in, st); {
	case len(names) > 1:
		return "builds from " + list(names, "and") + " would share what " + p.tool.Program() + " compiles: give each a mount with an id of its own"
	case strings.ContainsAny(p.base, "$,\"'\\ "):
		return "which image " + rootStage(in.File, st.Index).Base + " is, is not known: give the mount an id of its own for each"
	}
	return ""
}

// A whereabouts is the state of a stage that decides where a tool keeps its cache.
type whereabouts struct {
	home, owner string // of the user: see mountPlan
	below       string // value of the variable tool.Below[0]; "" if it is not set
	known       bool   // false if the cache may be elsewhere, or turned off
}

// follow returns at as it is after an instruction.
func (p *mountPlan) follow(at whereabouts, ins dockerfile.Instruction) whereabouts {
	switch ins.Keyword {
	case "USER":
		name, _, _ := strings.Cut(ins.Value, ":")
		switch {
		case name == "root" || name == "0":
			at.home, at.owner = "/root", ""
		case p.image == "node" && (name == "node" || name == "1000"):
			at.home, at.owner = "/home/node", ",uid=1000,gid=1000"
		default:
			at.known = false
		}
	case "ENV", "ARG":
		for i, name := range ins.Names {
			if len(p.tool.Below) > 0 && name == p.tool.Below[0] && ins.Keyword == "ENV" && i < len(ins.Vars) {
				at.below = strings.Trim(ins.Vars[i].Value, `"'`)
				at.known = at.known && path.IsAbs(at.below) && !strings.ContainsAny(at.below, "$\\\"'")
				continue
			}
			if name == "HOME" || strings.HasPrefix(name, "XDG_") || slices.ContainsFunc(p.tool.Env, func(e string) bool { return strings.HasPrefix(name, e) }) {
				at.known = false
			}
		}
	}
	return at
}
