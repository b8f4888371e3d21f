package suggest

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

type mount = dockerfile.Mount

// An install is a command that installs the packages that manifests name.
type install struct {
	tool string // the package manager
	dir  string // working folder, in the image
	// main are manifests, as image paths, of which it needs at least one; it reads those
	// of extra if they exist.
	main, extra []string
	// output is the folder that it fills, relative to dir; "" for none there.
	output string
	// reads and writes are other paths, as in effects.Effect.
	reads, writes []string
	wipes         bool // it empties output first, so that nothing copied there remains
	keeps         bool // it writes to no file that it reads
	insert        bool // it is not in the file: the suggestion would add it
	// widen returns further files that it reads, as image paths, and why these may not
	// be all ("" if they are).
	widen func(r reader) (more []string, obstacle string)
	// discover returns main if the command does not name it; else it is nil.
	discover func(r reader) []string
	// nth is its number among the installs that viewRun returns, from 1; 0 for any other.
	nth int
}

// A reader gives an install access to files of the build context by their image paths.
type reader struct {
	dir  string // working folder of the install
	find func(image string) (contextPath string, ok bool)
	read func(contextPath string) ([]byte, error)
	// list returns the image paths of files that match a pattern below an image folder.
	list func(dir, pattern string) []string
	// takes reports whether a COPY would put a file at the image path if the context
	// had one there.
	takes func(image string) bool
	// env are the variables that the install sees: see stageView.written.
	env map[string]string
	// given are those that a build gives: see stageView.given.
	given map[string]string
}

// file returns the content of the file at an image path, or nil if there is none.
func (r reader) file(image string) []byte {
	p, ok := r.find(image)
	if !ok {
		return nil
	}
	text, err := r.read(p)
	if err != nil {
		return nil
	}
	return text
}

// local returns the content of a file in the working folder, or nil.
func (r reader) local(name string) []byte { return r.file(path.Join(r.dir, name)) }

// exists reports whether there is a file in the working folder.
func (r reader) exists(name string) bool {
	_, ok := r.find(path.Join(r.dir, name))
	return ok
}

// git reports whether an image folder may contain .git: one that is copied from the root of
// the context does unless .git is ignored, another one if it does today.
func (r reader) git(dir string) bool {
	if p, ok := r.find(path.Join(dir, "package.json")); ok && path.Dir(p) == "." {
		return r.takes(path.Join(dir, ".git/HEAD"))
	}
	_, folder := r.find(path.Join(dir, ".git/HEAD"))
	_, file := r.find(path.Join(dir, ".git")) // of a submodule
	return folder || file
}

// any returns the first of names that exists in the working folder, or "".
func (r reader) any(names ...string) string {
	for _, name := range names {
		if r.exists(name) {
			return name
		}
	}
	return ""
}

// matching returns the image paths of files below the working folder that match a pattern.
func (r reader) matching(pattern string) []string { return r.list(r.dir, pattern) }

// recognise returns the install that a command, run in the image folder dir, is; false if it
// is none, or does more than its words say.
func recognise(c command, dir string) (install, bool) {
	if len(c.words) == 0 || len(c.inner) > 0 || len(c.reads)+len(c.writes) > 0 || c.steered() {
		return install{}, false
	}
	e, ok := effects.Of(c.words)
	if !ok || e.Install == nil || slices.ContainsFunc(c.words, func(w string) bool { return strings.Contains(w, computed) }) {
		return install{}, false
	}
	i := e.Install
	in := install{tool: i.Tool, dir: dir, output: i.Makes, reads: e.Reads, writes: e.Writes, wipes: i.Wipes, keeps: i.Keeps}
	for _, name := range i.Manifests {
		in.main = append(in.main, path.Join(dir, name))
	}
	for _, name := range i.Also {
		in.extra = append(in.extra, path.Join(dir, name))
	}
	ok = widened(&in, *i)
	own := in.widen
	in.widen = func(r reader) ([]string, string) {
		r.env = maps.Clone(r.env)
		for _, a := range c.assigns {
			if r.env == nil {
				r.env = map[string]string{}
			}
			r.env[a.name] = effects.Unquote(a.value)
		}
		more, obstacle := own(r)
		above, why := upward(r, in.tool)
		named, whyNamed := fromEnvironment(r, in.tool)
		return slices.Concat(more, above, named), cmp.Or(obstacle, why, whyNamed, lockedPath(r, in))
	}
	return in, ok
}

// widened sets in.widen: how the project's own files add to what the install reads. It reports
// false if the install reads no manifest.
func widened(in *install, i effects.Install) bool {
	has := func(flags ...string) bool {
		return slices.ContainsFunc(i.Flags, func(f string) bool { return slices.Contains(flags, f) })
	}
	switch i.Tool {
	case "npm":
		in.widen = func(r reader) ([]string, string) { return npmWiden(r, i.Wipes, has) }
	case "yarn":
		in.widen = func(r reader) ([]string, string) { return yarnWiden(r, i.Keeps, has) }
	case "pnpm":
		in.widen = func(r reader) ([]string, string) { return pnpmWiden(r, i.Keeps, has) }
	case "bun":
		in.widen = func(r reader) ([]string, string) { return bunWiden(r, has) }
	case "pip":
		return pipInstall(in, i.Args)
	case "uv pip":
		return uvPipInstall(in, i.Args)
	case "conda":
		return condaInstall(in, i.Args)
	case "uv", "poetry", "pipenv", "pdm":
		in.widen = func(r reader) ([]string, string) { return pythonWiden(r, i.Tool, has) }
	case "go":
		in.widen = goWiden
	case "cargo":
		in.widen = func(r reader) ([]string, string) { return cargoWiden(r, has) }
	case "maven":
		in.widen = func(r reader) ([]string, string) { return mavenWiden(r, i.Launcher) }
	case "gradle":
		in.widen = func(r reader) ([]string, string) { return gradleWiden(r, i.Launcher) }
	case "bundler":
		in.widen = bundlerWiden
	case "composer":
		in.widen = func(r reader) ([]string, string) { return composerWiden(r, has) }
	case "dotnet":
		return dotnetRestore(in, i.Args)
	case "mix":
		in.widen = mixWiden
	default:
		return false
	}
	return true
}

// A runView is what is known of the commands of a RUN: installs, other commands with known
// effects and, from the first unknown command after an install on, a tail.
type runView struct {
	known    bool     // all commands are
	touch    touch    // of the known commands, without the installs
	entered  []string // folders that they enter, and that an instruction above has to make
	links    []string // symbolic links that they make, as in a walk
	installs []install
	// tail says that there is one. The RUN would have to be cut, with the installs in
	// script[:headEnd] and the tail in script[tailFrom:].
	tail              bool
	headEnd, tailFrom int
	// again are commands of the head to repeat before the tail: a new shell has neither
	// the working folder nor the settings that they make. joint is what stands between
	// these and the tail.
	again []command
	joint string
	// behind says that an unknown command comes before the installs.
	behind   bool
	obstacle string // why the RUN cannot be cut, or what comes before the installs
	leaves   string // what a layer would keep if it were cut: an obstacle in a stage whose layers ship
}

// installs returns the installs that a command is: one, or those of `INSTALL || true` and
// `INSTALL || INSTALL`, perhaps with other commands before the first. What each reads decides whether it
// fails, and so what the next does. It reports false for any other command.
func (w *walk) installs(c command) (list []install, ok bool) {
	if in, ok := w.install(c); ok {
		return []install{in}, true
	}
	sets := func(c command) bool {
		return len(c.words) == 0 || len(c.inner) > 0 || slices.Contains([]string{"cd", "set", ".", "source", "deactivate"}, c.words[0])
	}
	if !c.either || len(c.writes)+len(c.reads) > 0 || slices.ContainsFunc(c.inner, sets) {
		return nil, false
	}
	ends := false // with an install, or with what forgives its failure
	for _, inner := range c.inner {
		in, is := w.install(inner)
		if is {
			in.wipes = false // if it fails, it may do so before
			list = append(list, in)
		} else if !w.follow(inner) {
			return nil, false
		}
		ends = is || len(inner.words) == 1 && (inner.starts("true") || inner.starts(":"))
	}
	return list, ends && len(list) > 0
}

// viewRun returns the view of instruction i, a RUN, up to its first unknown command. The stage
// remembers it, so that its slices must not be changed in place, other than installs.
func viewRun(v *stageView, i int) runView {
	view, ok := v.runs[i]
	if !ok {
		view = readRun(v, i)
		view.touch = view.touch.clipped()
		for n := range view.installs {
			view.installs[n].nth = n + 1
		}
		view.entered, view.links, view.again = slices.Clip(view.entered), slices.Clip(view.links), slices.Clip(view.again)
		if v.runs == nil {
			v.runs = map[int]runView{}
		}
		v.runs[i] = view
	}
	view.installs = slices.Clone(view.installs)
	return view
}

// readRun computes the answer of viewRun.
func readRun(v *stageView, i int) runView {
	run := v.stage.Instructions[i].Run
	s := parseRun(run, v.shell[i])
	w := newWalk(v, i)
	var view runView
	var strict []bool // of the shell, behind each command
	for n, c := range s.commands {
		if list, ok := w.installs(c); ok {
			view.installs, strict = append(view.installs, list...), append(strict, w.strict)
			continue
		}
		before := w.state
		if w.follow(c) {
			if strict = append(strict, w.strict); w.state != before && len(c.inner) == 0 {
				view.again, w.state = append(view.again, c), before
			}
			continue
		}
		if len(view.installs) > 0 {
			view.tail = true
			last := n - 1
			for !s.quoted && slices.ContainsFunc(view.again, func(a command) bool { return a.from == s.commands[last].from }) {
				last--
			}
			view.headEnd, view.tailFrom = s.commands[last].to, c.from
			view.joint = jointOf(v, i, s)
			view.obstacle, view.leaves = view.cutObstacle(v, i, s, last, cutting{state: w.state, strict: strict[last]}), leftBehind(s.commands[n:])
		}
		view.touch = w.touch
		return view
	}
	w.touch.reads = append(w.touch.reads, v.named(i)...)
	folders, programs := v.led(i)
	if slices.Contains(w.touch.reads, effects.System) || slices.Contains(w.touch.reads, effects.Packages) {
		w.touch.add(touch{reads: folders, writes: folders})
	}
	if len(view.installs) > 0 || slices.Contains(w.touch.reads, effects.Tools) {
		w.touch.add(touch{reads: slices.Concat(folders, programs), writes: folders})
		for _, dir := range programs {
			if path.Base(dir) == "bin" { // of an active virtual environment: installs write to it
				w.touch.writes = append(w.touch.writes, path.Dir(dir))
			}
		}
	}
	view.known, view.touch, view.entered, view.links = true, w.touch, w.entered, w.links
	return view
}

// viewBehind returns the view of instruction i, a RUN, whose installs come after an unknown
// command. That may read anything, so that the view serves only for advice.
func viewBehind(v *stageView, i int) runView {
	s := parseRun(v.stage.Instructions[i].Run, v.shell[i])
	w := newWalk(v, i)
	view := runView{behind: true}
	first := command{}
	for n, c := range s.commands {
		list, ok := w.installs(c)
		switch {
		case ok && !view.tail:
			view.installs = append(view.installs, list...)
		case !ok && w.follow(c):
		case c.starts("cd"):
			return runView{} // nobody knows where the rest runs
		case len(view.installs) == 0:
			if first.to == 0 {
				first = c
			}
		case !view.tail:
			view.tail, view.headEnd, view.tailFrom = true, s.commands[n-1].to, c.from
		}
	}
	what := "what comes before the install in the RUN is not known"
	if len(first.words) > 0 {
		what = "`" + short(first.text()) + "` comes before the install in the RUN"
	}
	view.obstacle = what + ", and may read what is copied above it"
	return view
}

// A cutting is what decides whether a script may be cut.
type cutting struct {
	state  string // what the commands before have set for those after them
	strict bool   // the shell stops where a command of the head fails
}

// cutObstacle says why instruction i cannot be cut behind command last of its script, or
// returns "".
func (view runView) cutObstacle(v *stageView, i int, s script, last int, c cutting) string {
	const more = "the RUN does more than the install, and "
	perhaps := slices.ContainsFunc(view.again, func(c command) bool { return c.perhaps })
	switch {
	case !s.chain && (s.quoted || !c.strict || !s.commands[last].whole || perhaps):
		return more + "is not a plain list joined by &&, nor one under `set -e` of which each command ends it by failing"
	case !view.divides(v, i):
		return more + "where it would have to be cut no line ends"
	case c.state != "":
		return more + c.state + " holds for all of it"
	}
	for _, c := range view.again {
		if strings.Contains(v.scriptText(i, c.from, c.to), "\n") {
			return more + "`" + short(c.text()) + "` holds for all of it"
		}
	}
	if at := slices.IndexFunc(s.commands[:last+1], command.leaves); at >= 0 {
		return more + "`" + short(s.commands[at].text()) + "` may end it before the rest"
	}
	if view.commented(v, i) {
		return "a comment stands where the RUN would have to be cut"
	}
	return ""
}

// leftBehind says what the tail of a RUN, given as its commands, deletes: were the RUN cut, the
// files would stay in a layer of the head. It returns "" if it deletes nothing.
func leftBehind(tail []command) string {
	for _, c := range tail {
		e, _ := effects.Of(c.words)
		if deletes(c) || e.Install != nil && e.Install.Wipes {
			return fmt.Sprintf("the RUN runs `%s`, which would leave the files in a layer of their own if it were cut", c.text())
		}
	}
	return ""
}

// contextMount reports whether instruction i, a RUN, mounts files of the build context.
func contextMount(v *stageView, i int) bool {
	return slices.ContainsFunc(v.stage.Instructions[i].Run.Mounts, func(m mount) bool {
		return m.From == "" && (m.Type == "bind" || m.Type == "tmpfs")
	})
}
