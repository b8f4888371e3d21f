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

// An install is a command that fetches what manifests name.
type install struct {
	tool string
	dir  string // image folder that it runs in
	// main are the manifests, one of which it cannot do without, extra those it
	// reads if they are there; image paths.
	main, extra []string
	// output is what it writes below the image folder dir; "" for elsewhere.
	output string
	// reads and writes are paths that it reads beside its manifests, and writes to
	// outside output, as the table has them.
	reads, writes []string
	// wipes reports that it empties output first, so that what a COPY had put
	// there never stays.
	wipes bool
	// keeps reports that it writes to no file that it reads.
	keeps bool
	// widen returns further files that it reads, as image paths, and what
	// makes its reading unbounded ("" if nothing does).
	widen func(r reader) (more []string, obstacle string)
	// discover finds main where the command does not say it; nil where it does.
	discover func(r reader) []string
	// insert is set where the command is not in the file yet but would be new.
	insert bool
}

// A reader reads the files of the build context that image paths stand for.
type reader struct {
	dir  string // of the install, in the image
	find func(image string) (contextPath string, ok bool)
	read func(contextPath string) ([]byte, error)
	// list returns the files that match a pattern below an image folder, as image
	// paths.
	list func(dir, pattern string) []string
	// takes reports whether what is copied today would put a file at the image
	// path, should the context have one.
	takes func(image string) bool
	// env are the variables that the install sees: see stageView.written.
	env map[string]string
}

// file returns the content of a file by image path; nil if it is not there.
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

// local returns the content of a file by its path in the install's folder.
func (r reader) local(name string) []byte { return r.file(path.Join(r.dir, name)) }

func (r reader) exists(name string) bool {
	_, ok := r.find(path.Join(r.dir, name))
	return ok
}

// git reports whether a repository's .git would be in an image folder: at the root of
// the context it may be there if nothing ignores it, elsewhere if it is there today.
func (r reader) git(dir string) bool {
	if p, ok := r.find(path.Join(dir, "package.json")); ok && path.Dir(p) == "." {
		return r.takes(path.Join(dir, ".git/HEAD"))
	}
	_, folder := r.find(path.Join(dir, ".git/HEAD"))
	_, file := r.find(path.Join(dir, ".git")) // of a submodule
	return folder || file
}

// any returns the first of names that is there.
func (r reader) any(names ...string) string {
	for _, name := range names {
		if r.exists(name) {
			return name
		}
	}
	return ""
}

// matching returns the files of the install's folder that match a pattern, as
// image paths.
func (r reader) matching(pattern string) []string { return r.list(r.dir, pattern) }

// recognise returns the install that a command is, if it is one.
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
		return slices.Concat(more, above, named), cmp.Or(obstacle, why, whyNamed)
	}
	return in, ok
}

// widened fills in what the program's own files add to the install. It reports
// false for one that reads no manifest.
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
		in.widen = func(r reader) ([]string, string) { return pnpmWiden(r, has) }
	case "bun":
		in.widen = func(r reader) ([]string, string) { return bunWiden(r, has) }
	case "pip":
		return pipInstall(in, i.Args)
	case "uv pip":
		return uvPipInstall(in, i.Args)
	case "uv", "poetry", "pipenv", "pdm":
		in.widen = func(r reader) ([]string, string) { return pythonWiden(r, i.Tool, has) }
	case "go":
		in.widen = goWiden
	case "cargo":
		in.widen = cargoWiden
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

// A runView is what the rule has to know of a RUN.
type runView struct {
	// known reports that all of it is: what it touches, apart from the installs.
	known    bool
	touch    touch
	entered  []string // folders that it goes to, and that something above has to have made
	installs []install
	// headEnd and tailFrom are the places in the script where it can be cut, and
	// tail reports that something unknown follows the installs.
	tail              bool
	headEnd, tailFrom int
	// again are the commands that what is cut off needs anew: of the shell that ran the
	// installs it has neither the folder nor the settings.
	again    []command
	obstacle string // why it cannot be cut although it would have to be
	// behind reports that the installs stand behind a command that is not known, as
	// the obstacle says.
	behind bool
}

// viewRun classifies the commands of a RUN in order: known ones, installs, and
// from the first unknown one on the tail.
func viewRun(v *stageView, i int) runView {
	run := v.stage.Instructions[i].Run
	s := parseRun(run, v.shell[i])
	w := newWalk(v, i)
	var view runView
	for n, c := range s.commands {
		if in, ok := w.install(c); ok {
			view.installs = append(view.installs, in)
			continue
		}
		before := w.state
		if w.follow(c) {
			if w.state != before && len(c.inner) == 0 {
				view.again, w.state = append(view.again, c), before
			}
			continue
		}
		if len(view.installs) > 0 {
			view.tail = true
			last := n - 1
			for s.chain && slices.ContainsFunc(view.again, func(a command) bool { return a.from == s.commands[last].from }) {
				last--
			}
			view.headEnd, view.tailFrom = s.commands[last].to, c.from
			view.obstacle = view.cutObstacle(v, i, s, last, n, w.state)
		}
		view.touch = w.touch
		return view
	}
	w.touch.reads = append(w.touch.reads, v.named(i)...)
	if folders, programs := v.led(i); len(view.installs) > 0 || slices.Contains(w.touch.reads, effects.Tools) {
		w.touch.add(touch{reads: slices.Concat(folders, programs), writes: folders})
		for _, dir := range programs {
			if path.Base(dir) == "bin" { // of an environment that is active, what installs write goes there
				w.touch.writes = append(w.touch.writes, path.Dir(dir))
			}
		}
	}
	view.known, view.touch, view.entered = true, w.touch, w.entered
	return view
}

// viewBehind is viewRun for the installs of a RUN that stand behind a command that is
// not known: that may read anything, and so nothing of it is moved.
func viewBehind(v *stageView, i int) runView {
	s := parseRun(v.stage.Instructions[i].Run, v.shell[i])
	w := newWalk(v, i)
	view := runView{behind: true}
	first := command{}
	for n, c := range s.commands {
		in, ok := w.install(c)
		switch {
		case ok && !view.tail:
			view.installs = append(view.installs, in)
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

// cutObstacle says why a RUN cannot be cut between its commands last and n; "" if it can.
func (view runView) cutObstacle(v *stageView, i int, s script, last, n int, state string) string {
	run := v.stage.Instructions[i].Run
	_, ok := run.Offset(0)
	switch {
	case !ok || !s.chain:
		return "the RUN does more than the install, and is not a plain list joined by &&"
	case state != "":
		return "the RUN does more than the install, and " + state + " holds for all of it"
	}
	for _, c := range view.again {
		from, _ := run.Offset(c.from)
		to, _ := run.Offset(c.to - 1)
		if strings.Contains(string(v.file.Text[from:to]), "\n") {
			return "the RUN does more than the install, and `" + short(c.text()) + "` holds for all of it"
		}
	}
	from, _ := run.Offset(s.commands[last].to)
	to, _ := run.Offset(s.commands[n].from)
	if strings.Contains(string(v.file.Text[from:to]), "#") {
		return "a comment stands where the RUN would have to be cut"
	}
	for _, c := range s.commands[n:] {
		if deletes(c) {
			return fmt.Sprintf("the RUN runs `%s`, which would leave the files in a layer of their own if it were cut", c.text())
		}
	}
	return ""
}

// contextMount reports a RUN that mounts files of the build context.
func contextMount(v *stageView, i int) bool {
	return slices.ContainsFunc(v.stage.Instructions[i].Run.Mounts, func(m mount) bool {
		return m.From == "" && (m.Type == "bind" || m.Type == "tmpfs")
	})
}
