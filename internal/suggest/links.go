package suggest

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// A way is an image path at which there may be a symbolic link.
type way struct {
	at   int    // the instruction that puts it there; -1 for one of a base stage
	path string // with a $ in it if it is not known
	deep bool   // links may be anywhere below the path, and none is at it
	// doubt says that no link is known: what is copied there may hold one, as it comes from a
	// stage, an image or an archive.
	doubt bool
}

// leads reports whether an instruction that works on an image path may thereby go through the
// link, and so work elsewhere. own says that it makes the link itself, and then leaves it alone.
func (w way) leads(p string, own bool) bool {
	if strings.Contains(w.path, "$") {
		return true
	}
	p = rooted(p)
	folder := folderOf(p)
	rest, in := below(w.path, folder)
	_, under := below(folder, w.path)
	switch {
	case in && w.deep:
		return rest != "." || folder != p
	case in:
		return !own || rest != "."
	case own:
		return false
	case path.Base(p) == anyBelow:
		return under
	case w.deep || folder == p || path.Dir(w.path) != folder:
		return false
	}
	match, err := path.Match(path.Base(p), path.Base(w.path))
	return match || err != nil // the shell names the link
}

// meets returns the links that instruction i may meet in build n, in any order in which it
// changes places with instruction j: its own, those of j, and those that are there before it today.
// One that another instruction further down brings it could meet only if that one had passed it,
// and may pass it only if it is not led by what that brings.
func (o *ordering) meets(n, i, j int) []way {
	return slices.DeleteFunc(slices.Clone(o.waysOf(n)), func(w way) bool {
		return w.at > i && w.at != j || w.doubt && (o.hopes || o.trusts)
	})
}

// led returns a link by which instruction i, a COPY, ADD or RUN, may work elsewhere in build n
// than its text says, or which it may replace, so that it matters whether it stands above j or
// below it. The link that j itself brings at the very path is none: that both write there is
// known otherwise.
func (o *ordering) led(n, i, j int) (way, bool) {
	v, ways := o.view, o.meets(n, i, j)
	var leads func(w way) bool
	if v.stage.Instructions[i].Copy != nil {
		leads = func(w way) bool {
			pair := w.at == i || w.at == j
			return w.leads(v.dest(i), pair) || !pair && !w.deep && v.lands(o.in.Builds[n], i, w.path)
		}
	} else {
		t := o.look(n, i, o.run(i)).touched
		// Packages of the system are not installed through links.
		paths := slices.DeleteFunc(slices.Concat(t.reads, t.writes, t.enters), func(p string) bool { return !notPlace(p) })
		leads = func(w way) bool {
			return slices.ContainsFunc(paths, func(p string) bool { return w.leads(p, w.at == i && slices.Contains(t.fresh, w.path)) })
		}
	}
	k := slices.IndexFunc(ways, leads)
	if k < 0 {
		return way{}, false
	}
	return ways[k], true
}

// linked is led for each of two instructions.
func (o *ordering) linked(n, i, j int) (way, bool) {
	if w, ok := o.led(n, i, j); ok {
		return w, true
	}
	return o.led(n, j, i)
}

// through returns a link that is known to be there, and through which instruction t, a RUN that
// touches these paths, may work elsewhere than its text says. Links that it makes itself, and then
// leaves alone, are none.
func through(ways []way, t int, touched touch) (way, bool) {
	paths := slices.DeleteFunc(slices.Concat(touched.reads, touched.writes, touched.enters), func(p string) bool { return !notPlace(p) })
	k := slices.IndexFunc(ways, func(w way) bool {
		own := w.at == t && slices.Contains(touched.fresh, w.path)
		return w.at <= t && !w.doubt && slices.ContainsFunc(paths, func(p string) bool { return w.leads(p, own) })
	})
	if k < 0 {
		return way{}, false
	}
	return ways[k], true
}

// made says what makes a link, in a stage with these instructions.
func (w way) made(ins []dockerfile.Instruction) string {
	if w.at < 0 {
		return "a stage that this one starts from"
	}
	return fmt.Sprintf("`%s` on line %s", short(ins[w.at].Text), ins[w.at].Lines)
}

// linkDoubt says by what instructions i and j may be led elsewhere, if that is all that keeps the
// two from changing places. Else it returns "".
func (o *ordering) linkDoubt(i, j int) string {
	hoping := ordering{in: o.in, view: o.view, hopes: true}
	if !hoping.independent(i, j) {
		return ""
	}
	for n, b := range o.in.Builds {
		if !reachable(o.view.file, b.Target)[o.view.stage.Index] {
			continue
		}
		w, ok := o.linked(n, i, j)
		if !ok {
			continue
		}
		return w.made(o.view.stage.Instructions) + " may bring a symbolic link that leads one of the steps which change places to where another works"
	}
	return ""
}

// waysOf returns where there may be links in the stage in build n: of its instructions, and of
// those of its base stages.
func (o *ordering) waysOf(n int) []way { return o.in.waysIn(o.in.Builds[n], o.view) }

// waysAt is waysIn for a stage by its index.
func (in Input) waysAt(b Build, stage int) []way { return in.waysIn(b, in.bare(in.File.Stages[stage])) }

// waysIn returns where there may be links in a stage of in.File in a build, see ordering.waysOf. The
// answer must not be changed in place.
func (in Input) waysIn(b Build, last *stageView) []way {
	key := seen{view: last, build: b.id}
	if in.shared == nil {
		return in.findWays(b, last)
	}
	list, ok := in.shared.ways[key]
	if !ok {
		list = slices.Clip(in.findWays(b, last))
		in.shared.ways[key] = list
	}
	return list
}

// findWays computes the answer of waysIn.
func (in Input) findWays(b Build, last *stageView) (list []way) {
	var chain []*stageView
	for at := last.stage.BaseStage; at >= 0; at = last.file.Stages[at].BaseStage {
		chain = append([]*stageView{in.bare(last.file.Stages[at])}, chain...)
	}
	for _, v := range append(chain, last) {
		for k := range v.stage.Instructions {
			at := k
			if v != last {
				at = -1
			}
			for _, link := range v.madeLinks(k) {
				list = append(list, way{at: at, path: link})
			}
			for _, w := range slices.Concat(v.movedLinks(k, list), in.broughtLinks(b, v, k), in.memberLinks(b, v, k)) {
				w.at = at
				list = append(list, w)
			}
		}
	}
	return list
}

// broughtLinks returns where instruction k of a stage, if it is a COPY or ADD, may put symbolic
// links in a build. One that is a source by name is followed, and not copied.
func (in Input) broughtLinks(b Build, v *stageView, k int) (list []way) {
	ins := v.stage.Instructions[k]
	switch {
	case ins.Copy == nil:
		return nil
	case ins.Copy.From != "":
		list = []way{{path: rooted(v.dest(k)), deep: true, doubt: true}}
		if from := v.file.StageOf(ins.Copy.From); from >= 0 && from < v.stage.Index {
			list = append(list, v.handed(k, in.waysAt(b, from))...)
		}
		return list
	case ins.Keyword == "ADD" && !takesContext(ins):
		return []way{{path: rooted(v.dest(k)), deep: true, doubt: true}}
	}
	for _, link := range b.Context.Links() {
		if !b.Context.Takes(ins.Lines.From, link) {
			continue
		}
		if !takesContext(ins) {
			return []way{{path: rooted(v.dest(k)), deep: true}}
		}
		for _, s := range ins.Copy.Sources {
			src := strings.TrimPrefix(path.Clean("/"+s), "/")
			if rel, ok := taken(src, link); ok && src != link {
				list = append(list, way{path: rooted(path.Join(v.dest(k), rel))})
			}
		}
	}
	return list
}

// memberLinks returns where instruction k, a RUN, makes links to members of a workspace, if it installs
// one of Node.js in a build: what is below such a link are the sources of the member.
func (in Input) memberLinks(b Build, v *stageView, k int) (list []way) {
	ins := v.stage.Instructions[k]
	if ins.Run == nil || b.Context == nil {
		return nil
	}
	for _, inst := range viewRun(v, k).installs {
		if inst.output != "node_modules" {
			continue
		}
		m := &move{in: in, view: v, last: k, context: b.Context}
		r := m.reader(b, inst)
		for _, name := range m.widen(b, inst).more {
			var member packageJSON
			if path.Base(name) != "package.json" || json.Unmarshal(r.file(name), &member) != nil || member.Name == "" {
				continue
			}
			list = append(list, way{path: rooted(path.Join(inst.dir, inst.output, member.Name))})
			if inst.tool != "npm" { // the others link them where they are asked for
				list = append(list, way{path: rooted(path.Join(path.Dir(name), inst.output)), deep: true})
			}
		}
	}
	return list
}

// handed returns where instruction k, a COPY from a stage, puts links that the stage is known to
// have. Where it is not known whether it takes one, any may be anywhere.
func (v *stageView) handed(k int, ways []way) (list []way) {
	in, dest := v.stage.Instructions[k], rooted(v.dest(k))
	for _, w := range ways {
		for _, s := range in.Copy.Sources {
			src := rooted(path.Clean("/" + s))
			root := src
			if strings.ContainsAny(src, "*?[") {
				root = fixed(src)
			}
			rel, holds := below(root, w.path)
			switch {
			case w.doubt: // it is one of what is copied as well
			case strings.Contains(w.path+src, "$"), in.Copy.Parents, w.leads(root, false), holds && (w.deep || root != src):
				list = append(list, way{path: dest, deep: true})
			case holds:
				list = append(list, way{path: path.Join(dest, rel)})
			}
		}
	}
	return list
}

// movedLinks returns the ways to which instruction k, a RUN, moves or copies something of which a
// part may be one of the links.
func (v *stageView) movedLinks(k int, ways []way) (list []way) {
	in := v.stage.Instructions[k]
	if in.Run == nil || len(ways) == 0 {
		return nil
	}
	commands, _ := v.everyCommand(k)
	entered := slices.ContainsFunc(commands, func(c command) bool { return c.starts("cd") || c.starts("pushd") })
	image := func(word string) string {
		names := fields(word, nil, v.env[k])
		if len(names) != 1 || entered && !path.IsAbs(names[0]) || strings.ContainsAny(names[0], "$~") {
			return "$"
		}
		return rooted(resolve(v.dirs[k], effects.Unquote(names[0]), v.vars(k)))
	}
	hidden := len(asMoves.FindAllString(comment.ReplaceAllString(v.file.Source(in.Lines), ""), -1))
	for _, c := range commands {
		if !c.keepsLinks() {
			continue
		}
		hidden--
		flags, names := c.args(1)
		if slices.ContainsFunc(flags, namesFolder) {
			names = append(names, "$") // and which of the names is the folder is not looked for
		}
		for _, name := range names[:max(0, len(names)-1)] {
			source := image(name)
			taken := slices.DeleteFunc(slices.Clone(ways), func(w way) bool {
				_, holds := below(folderOf(source), w.path)
				return !strings.Contains(source, "$") && !holds && !w.leads(source, false)
			})
			if len(taken) > 0 {
				to := way{path: image(names[len(names)-1]), doubt: !slices.ContainsFunc(taken, func(w way) bool { return !w.doubt })}
				list, ways = append(list, to), append(slices.Clip(ways), to)
			}
		}
	}
	if hidden > 0 {
		list = append(list, way{path: "$", doubt: !slices.ContainsFunc(ways, func(w way) bool { return !w.doubt })})
	}
	return list
}

// asMoves matches what may be a command for which keepsLinks holds, as a script may call it, and one that
// packs files for another to unpack.
var asMoves = regexp.MustCompile(`(?m)(?:^|[^\w.$-])(?:(?:mv|rsync|cpio)[ \t]|cp[ \t]+(?:-\w*[adrsPR]|--(?:archive|recursive|no-dereference|symbolic-link|preserve))` +
	`|tar[ \t]+(?:c|(?:[^|;&\n]*[ \t])?(?:-\w*c|--create)))`)

// keepsLinks reports whether the command moves files, or copies them with links as links. A hard
// link to a symbolic one is one, too.
func (c command) keepsLinks() bool {
	called := effects.Called(c.words)
	if _, symbolic := c.links(); called == "ln" && !symbolic {
		return true
	}
	return called == "mv" || called == "cp" && slices.ContainsFunc(c.words, func(w string) bool {
		if strings.HasPrefix(w, "--") {
			return slices.Contains([]string{"--archive", "--recursive", "--no-dereference", "--symbolic-link"}, w) || strings.HasPrefix(w, "--preserve")
		}
		return strings.HasPrefix(w, "-") && strings.ContainsAny(w, "adrsPR")
	})
}

// asLinks matches a word that may be the command which makes links, as a script may call it.
var asLinks = regexp.MustCompile(`(?m)(?:^|[^\w.$-])ln(?:$|[^\w.=-])`)

// madeLinks returns the image paths at which instruction k makes symbolic links, with a $ in
// place of one that is not known: that is so as well where a command that makes them is not seen
// to be one, as it stands in the script of another shell or among the arguments of a program.
func (v *stageView) madeLinks(k int) (links []string) {
	in := v.stage.Instructions[k]
	if in.Run == nil {
		return nil
	}
	text := comment.ReplaceAllString(v.file.Source(in.Lines), "")
	hidden := len(asLinks.FindAllString(text, -1))
	if hidden == 0 && !strings.Contains(text, "cp") {
		return nil
	}
	commands, _ := v.everyCommand(k)
	entered := slices.ContainsFunc(commands, func(c command) bool { return c.starts("cd") || c.starts("pushd") })
	made := false
	for _, c := range commands {
		if effects.Called(c.words) == "ln" {
			hidden--
		}
		link, ok := c.links()
		if !ok {
			continue
		}
		made = true
		names := fields(link, nil, v.env[k])
		if len(names) != 1 || entered && !path.IsAbs(names[0]) || strings.ContainsAny(names[0], "$~*?[{") {
			names = []string{"$"}
		}
		links = append(links, rooted(resolve(v.dirs[k], effects.Unquote(names[0]), v.vars(k))))
	}
	if made {
		if run := viewRun(v, k); run.known {
			links = run.links
		}
	}
	if hidden > 0 {
		links = append(links, "$")
	}
	return links
}

// namesFolder reports whether a flag of ln, cp or mv says what folder the rest goes to.
func namesFolder(flag string) bool {
	return strings.HasPrefix(flag, "--target-directory") || strings.HasPrefix(flag, "-") && !strings.HasPrefix(flag, "--") && strings.Contains(flag, "t")
}

// comment matches a comment between the lines of a script.
var comment = regexp.MustCompile(`(?m)^[ \t]*#.*$`)

// links returns the path at which a command makes a symbolic link, or the folder in which it
// makes several, as the command names it. It reports false if it makes none.
func (c command) links() (string, bool) {
	words := effects.Plain(c.words)
	if len(words) == 0 || words[0] != "ln" && words[0] != "cp" {
		return "", false
	}
	var names []string
	symbolic, folder := false, false
	for _, w := range words[1:] {
		folder = folder || namesFolder(w)
		switch {
		case w == "--symbolic", w == "--symbolic-link", strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.Contains(w, "s"):
			symbolic = true
		case !strings.HasPrefix(w, "-"):
			names = append(names, w)
		}
	}
	switch {
	case !symbolic || len(names) == 0:
		return "", false
	case folder:
		return "$", true
	case words[0] == "cp", len(names) > 2:
		return names[len(names)-1], true
	case len(names) == 1:
		return path.Base(names[0]), true
	}
	target, link := names[0], names[1]
	if strings.HasSuffix(link, "/") || usual(path.Clean(link)) {
		link = path.Join(link, path.Base(target)) // link is a folder
	}
	return link, true
}
