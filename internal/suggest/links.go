package suggest

import (
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/internal/effects"
)

// A way is an image path at which there may be a symbolic link.
type way struct {
	at   int    // the instruction that puts it there; -1 for one of a base stage
	path string // with a $ in it if it is not known
	deep bool   // links may be anywhere below the path, and none is at it
}

// leads reports whether an instruction that works on an image path may thereby go through the
// link, and so work elsewhere. own says that it makes the link itself.
func (w way) leads(p string, own bool) bool {
	if strings.Contains(w.path, "$") {
		return true
	}
	p = rooted(p)
	folder := folderOf(p)
	rest, in := below(w.path, folder)
	switch {
	case in && w.deep:
		return rest != "." || folder != p
	case in:
		return !own || rest != "."
	case own || w.deep || folder == p || path.Dir(w.path) != folder:
		return false
	}
	match, err := path.Match(path.Base(p), path.Base(w.path))
	return match || err != nil // the shell names the link
}

// astray reports whether one of the image paths may lead elsewhere. They are those that
// instruction t touches, or that another writes which is to change places with it.
func astray(ways []way, t int, paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		// Packages of the system are not installed through links.
		return notPlace(p) && slices.ContainsFunc(ways, func(w way) bool { return w.leads(p, w.at == t) })
	})
}

// waysOf returns where there may be links in the stage in build n: of its instructions, and of
// those of its base stages.
func (o *ordering) waysOf(n int) []way {
	list, ok := o.ways[n]
	if ok {
		return list
	}
	b := o.in.Builds[n]
	links := o.in.linksOf(n)
	var chain []*stageView
	for at := o.view.stage.BaseStage; at >= 0; at = o.view.file.Stages[at].BaseStage {
		chain = append([]*stageView{newStageView(o.view.file, o.view.file.Stages[at])}, chain...)
	}
	for _, v := range append(chain, o.view) {
		for k := range v.stage.Instructions {
			at := k
			if v != o.view {
				at = -1
			}
			for _, link := range v.madeLinks(k) {
				list = append(list, way{at: at, path: link})
			}
			for _, link := range v.movedLinks(k, list) {
				list = append(list, way{at: at, path: link})
			}
			for _, w := range v.broughtLinks(b, k, links) {
				w.at = at
				list = append(list, w)
			}
		}
	}
	if o.ways == nil {
		o.ways = map[int][]way{}
	}
	o.ways[n] = list
	return list
}

// linksOf returns the symbolic links in the context of build n.
func (in Input) linksOf(n int) (list []string) {
	if in.shared != nil {
		if known, ok := in.shared.links[n]; ok {
			return known
		}
	}
	c := in.Builds[n].Context
	for f := range c.Files() {
		if c.IsLink(f) {
			list = append(list, f)
		}
	}
	if in.shared != nil {
		in.shared.links[n] = list
	}
	return list
}

// broughtLinks returns where instruction k, if it is a COPY or ADD, may put symbolic links. links
// are those in the context. One that is a source by name is followed, and not copied.
func (v *stageView) broughtLinks(b Build, k int, links []string) (list []way) {
	in := v.stage.Instructions[k]
	switch {
	case in.Copy == nil:
		return nil
	case in.Copy.From != "", in.Keyword == "ADD" && !takesContext(in):
		return []way{{path: rooted(v.dest(k)), deep: true}}
	}
	for _, link := range links {
		if !b.Context.Takes(in.Lines.From, link) {
			continue
		}
		if !takesContext(in) {
			return []way{{path: rooted(v.dest(k)), deep: true}}
		}
		for _, s := range in.Copy.Sources {
			src := strings.TrimPrefix(path.Clean("/"+s), "/")
			if rel, ok := taken(src, link); ok && src != link {
				list = append(list, way{path: rooted(path.Join(v.dest(k), rel))})
			}
		}
	}
	return list
}

// movedLinks returns the image paths to which instruction k, a RUN, moves or copies something of
// which a part may be one of the links, with a $ in place of one that is not known.
func (v *stageView) movedLinks(k int, ways []way) (list []string) {
	in := v.stage.Instructions[k]
	if in.Run == nil || len(ways) == 0 {
		return nil
	}
	commands, _ := everyCommand(in.Run, v.shell[k])
	entered := slices.ContainsFunc(commands, func(c command) bool { return c.starts("cd") || c.starts("pushd") })
	image := func(word string) string {
		names := fields(word, nil, v.env[k])
		if len(names) != 1 || entered && !path.IsAbs(names[0]) || strings.ContainsAny(names[0], "$~") {
			return "$"
		}
		return rooted(resolve(v.dirs[k], effects.Unquote(names[0]), v.vars(k)))
	}
	for _, c := range commands {
		if !c.keepsLinks() {
			continue
		}
		_, names := c.args(1)
		for _, name := range names[:max(0, len(names)-1)] {
			source := image(name)
			if strings.Contains(source, "$") || slices.ContainsFunc(ways, func(w way) bool {
				_, holds := below(folderOf(source), w.path)
				return holds || w.leads(source, false)
			}) {
				to := image(names[len(names)-1])
				list, ways = append(list, to), append(slices.Clip(ways), way{path: to})
				break
			}
		}
	}
	return list
}

// keepsLinks reports whether the command moves files, or copies them with links as links.
func (c command) keepsLinks() bool {
	return c.starts("mv") || c.starts("cp") && slices.ContainsFunc(c.words[1:], func(w string) bool {
		if strings.HasPrefix(w, "--") {
			return slices.Contains([]string{"--archive", "--recursive", "--no-dereference", "--symbolic-link"}, w) || strings.HasPrefix(w, "--preserve")
		}
		return strings.HasPrefix(w, "-") && strings.ContainsAny(w, "adrsPR")
	})
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
