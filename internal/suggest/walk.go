package suggest

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// A walk follows the commands of a script and gathers what they touch.
type walk struct {
	view  *stageView
	at    int // the instruction
	dir   string
	vars  map[string]string
	state string // what later commands of the script hang on
	// exports are the variables that later commands may get.
	exports []assign
	touch   touch
	// venv is the virtual environment of Python's that is active, made are those that the
	// script has made so far; image paths.
	venv  string
	made  []string
	above func() []string // those of the instructions above
}

func newWalk(v *stageView, i int) walk {
	above := sync.OnceValue(func() []string { return v.environments(i) })
	return walk{view: v, at: i, dir: v.dirs[i], vars: map[string]string{}, above: above}
}

// install returns the install that a command is, if it is one.
func (w *walk) install(c command) (install, bool) {
	c, venv := w.within(c)
	in, ok := recognise(c, w.dir)
	if ok && in.tool == "uv" && c.starts("uv", "pip") {
		env := w.view.written(w.at)
		if venv != "" || env["VIRTUAL_ENV"] != "" || env["UV_SYSTEM_PYTHON"] != "" {
			in.output = ""
		}
	}
	if !ok || venv == "" || !slices.Contains([]string{"pip", "uv", "poetry", "pipenv", "pdm"}, in.tool) {
		return in, ok
	}
	in.writes = append(slices.Clone(in.writes), venv)
	if rel, inside := below(in.dir, venv); inside && rel != "." && in.output == "" {
		in.output = rel
	}
	return in, true
}

// follow takes in one command; it reports false for one that may do anything.
func (w *walk) follow(c command) bool {
	switch {
	case (c.starts(".") || c.starts("source")) && len(c.words) == 2 && !c.moves():
		venv, ok := w.environment(c.words[1], "activate")
		if !ok || editsActivation(w.view.stage.Instructions[w.at].Run) {
			return false
		}
		w.venv, w.state = venv, "a virtual environment"
		w.touch.reads = append(w.touch.reads, path.Join(venv, "bin", "activate"))
		return true
	case c.starts("deactivate") && len(c.words) == 1 && !c.moves() && w.venv != "":
		w.venv, w.state = "", "a virtual environment"
		return true
	case c.starts("cd") && len(c.words) == 2 && !c.moves():
		name := expand(expand(c.words[1], w.vars), w.view.env[w.at])
		if strings.Contains(name, "$") || name == "-" || strings.HasPrefix(name, "~") {
			return false
		}
		w.dir, w.state = resolve(w.dir, name, 0), "`cd`"
		return true
	case c.starts("set") && len(c.writes) == 0:
		w.state = "a shell setting"
		return true
	case len(c.words) == 0 && len(c.assigns) > 0 && len(c.inner) == 0:
		w.state = "a shell setting"
		w.exports = append(w.exports, c.assigns...)
		for _, a := range c.assigns {
			w.vars[a.name] = a.value
			if strings.Contains(a.value, "$") || a.steers() {
				return false
			}
		}
		return true
	case c.steered():
		return false
	}
	c, venv := w.within(c)
	before, active := w.dir, w.venv
	for _, inner := range c.inner {
		if !w.follow(inner) {
			return false
		}
	}
	if len(c.inner) > 0 && (w.dir != before || w.venv != active) {
		if !c.subshell {
			return false // it may or may not have gone there
		}
		w.dir, w.venv = before, active
	}
	reads, writes := c.reads, c.writes
	if len(c.words) > 0 {
		e, ok := effects.Of(c.words)
		if !ok || e.Install != nil {
			return false
		}
		for _, name := range e.Writes {
			if made, ok := w.place(name); ok && makesEnvironment(c) {
				w.made = append(w.made, made)
			}
		}
		reads, writes = append(e.Reads, reads...), append(e.Writes, writes...)
		if venv != "" {
			writes = append(writes, venv)
		}
	} else if len(c.inner) == 0 {
		return false
	}
	t, ok := w.view.touches(w.at, w.dir, w.vars, reads, writes)
	w.touch.add(t)
	return ok
}

// place returns the image path that a word of a command stands for.
func (w *walk) place(word string) (string, bool) {
	name := expand(expand(word, w.vars), w.view.env[w.at])
	return resolve(w.dir, name, 0), name != "" && !strings.ContainsAny(name, "$~*?[")
}

// within returns the virtual environment that a command works in, "" for none. One that
// names it by the path of its program is returned with the program's name alone.
func (w *walk) within(c command) (command, string) {
	if len(c.words) == 0 {
		return c, w.venv
	}
	venv, ok := w.environment(c.words[0], "pip", "pip3", "python", "python3")
	if !ok {
		return c, w.venv
	}
	c.words = slices.Concat([]string{path.Base(c.words[0])}, c.words[1:])
	return c, venv
}

// environment returns the virtual environment that a word names one of these programs of,
// if it is known to have been made as Python makes them.
func (w *walk) environment(word string, programs ...string) (string, bool) {
	image, ok := w.place(word)
	if !ok || !strings.Contains(word, "/") || !slices.Contains(programs, path.Base(image)) || path.Base(path.Dir(image)) != "bin" {
		return "", false
	}
	venv := path.Dir(path.Dir(image))
	return venv, slices.Contains(w.made, venv) || slices.Contains(w.above(), venv)
}

// makesEnvironment reports a command that makes a virtual environment.
func makesEnvironment(c command) bool {
	return c.starts("virtualenv") || c.starts("uv", "venv") ||
		len(c.words) > 2 && strings.HasPrefix(path.Base(c.words[0]), "python") && c.words[1] == "-m" && c.words[2] == "venv"
}

// environments returns the virtual environments that RUNs above instruction i make, of
// which nothing is copied from elsewhere and nobody edits what activates them.
func (v *stageView) environments(i int) []string {
	var made []string
	if base := v.stage.BaseStage; base >= 0 {
		below := newStageView(v.file, v.file.Stages[base])
		made = below.environments(len(below.stage.Instructions))
	}
	for k, in := range v.stage.Instructions[:i] {
		switch {
		case in.Copy != nil:
			dest := v.dest(k)
			made = slices.DeleteFunc(made, func(venv string) bool {
				_, inside := below(venv, dest)
				return inside || !takesContext(in) && overlap(venv, dest)
			})
		case in.Run != nil && !strings.Contains(in.Run.Given, "venv") && !strings.Contains(in.Run.Given, "virtualenv") && !strings.Contains(in.Run.Given, "activate"):
		case in.Run != nil && editsActivation(in.Run):
			return nil
		case in.Run != nil:
			w := newWalk(v, k)
			w.made, w.above = made, func() []string { return nil }
			for _, c := range parseRun(in.Run, v.shell[k]).commands {
				dir := w.dir
				if !w.follow(c) && (c.starts("cd") || w.dir != dir) {
					break // nobody knows where the rest runs
				}
			}
			made = w.made
		}
	}
	return made
}

// editsActivation reports a RUN that names what activates a virtual environment for more
// than to activate it.
func editsActivation(r *dockerfile.Run) bool {
	return activator.MatchString(activation.ReplaceAllString(r.Given, ""))
}

// activation matches what activates a virtual environment, activator the name of the
// script that does.
var (
	activation = regexp.MustCompile(`(^|[\s;&|({"'])(\.|source)\s+[^\s;&|<>]*/activate\b`)
	activator  = regexp.MustCompile(`(^|[^-\w])activate\b`)
)
