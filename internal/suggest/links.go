package suggest

import (
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/internal/effects"
)

// linked reports whether one of the image paths may lead elsewhere, through a symbolic link
// that a RUN of the stage or its base stages makes. The paths are those that instruction t, a
// RUN, touches, or that a COPY writes which is to change places with it.
func (v *stageView) linked(t int, paths []string) bool {
	through := func(link string, own bool) bool {
		return slices.ContainsFunc(paths, func(p string) bool {
			if !notPlace(p) {
				return false // packages of the system are not installed through links
			}
			rest, in := below(link, folderOf(rooted(p)))
			return in && !(own && rest == ".") || strings.Contains(link, "$")
		})
	}
	for at := v.stage.BaseStage; at >= 0; at = v.file.Stages[at].BaseStage {
		under := newStageView(v.file, v.file.Stages[at])
		for k := range under.stage.Instructions {
			if slices.ContainsFunc(under.madeLinks(k), func(link string) bool { return through(link, false) }) {
				return true
			}
		}
	}
	for k := range v.stage.Instructions {
		if slices.ContainsFunc(v.madeLinks(k), func(link string) bool { return through(link, k == t) }) {
			return true
		}
	}
	return false
}

// madeLinks returns the image paths at which instruction k makes symbolic links, with a $ in
// place of one that is not known.
func (v *stageView) madeLinks(k int) (links []string) {
	in := v.stage.Instructions[k]
	if in.Run == nil || !strings.Contains(in.Run.Given+strings.Join(in.Run.Args, " "), "ln") {
		return nil
	}
	commands, _ := everyCommand(in.Run, v.shell[k])
	entered := slices.ContainsFunc(commands, func(c command) bool { return c.starts("cd") || c.starts("pushd") })
	for _, c := range commands {
		if link, ok := c.links(); ok {
			names := fields(link, nil, v.env[k])
			if len(names) != 1 || entered && !path.IsAbs(names[0]) || strings.ContainsAny(names[0], "$~*?[{") {
				names = []string{"$"}
			}
			links = append(links, rooted(resolve(v.dirs[k], effects.Unquote(names[0]), v.vars(k))))
		}
	}
	return links
}

// links returns the path at which a command makes a symbolic link, or the folder in which it
// makes several, as the command names it. It reports false if it makes none.
func (c command) links() (string, bool) {
	if !c.starts("ln") {
		return "", false
	}
	var names []string
	symbolic := false
	for _, w := range c.words[1:] {
		switch {
		case w == "--symbolic", strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.Contains(w, "s"):
			symbolic = true
		case !strings.HasPrefix(w, "-"):
			names = append(names, w)
		}
	}
	switch {
	case !symbolic || len(names) == 0:
		return "", false
	case len(names) == 1:
		return path.Base(names[0]), true
	case len(names) > 2:
		return names[len(names)-1], true
	}
	target, link := names[0], names[1]
	if strings.HasSuffix(link, "/") || usual(path.Clean(link)) {
		link = path.Join(link, path.Base(target)) // link is a folder
	}
	return link, true
}
