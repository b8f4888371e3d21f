package suggest

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// A walk follows the commands of a script, with the state of the shell, and collects what
// they touch. Paths are image paths.
type walk struct {
	view    *stageView
	at      int               // the instruction
	dir     string            // working folder
	vars    map[string]string // values of variables of the script; computed if not known
	exports []assign          // variables that the script sets; own ones are not exported
	strict  bool              // the shell stops at the first command that fails
	state   string            // what later commands depend on, for a message; "" for nothing
	touch   touch
	fetched []string        // files that the script has downloaded
	links   []string        // symbolic links that it has made; $ for one that is not known
	entered []string        // folders that it enters, and that an instruction above has to make
	venv    string          // active virtual environment of Python; "" for none
	made    []string        // virtual environments that the script has made
	above   func() []string // virtual environments of instructions above
}

// newWalk returns a walk at the beginning of the script of instruction i.
func newWalk(v *stageView, i int) walk {
	above := sync.OnceValue(func() []string { return v.environments(i) })
	return walk{view: v, at: i, dir: v.dirs[i], vars: map[string]string{}, above: above, strict: len(v.shell[i]) > 0 && stops(v.shell[i][1:])}
}

// install returns the install that a command is, if it is one, as it works in the state of the
// shell.
func (w *walk) install(c command) (install, bool) {
	c.assigns = slices.Concat(w.exports, c.assigns)
	c.assigns = slices.DeleteFunc(c.assigns, func(a assign) bool { return a.own })
	c.words = w.split(c.words)
	c, venv := w.within(c)
	in, ok := recognise(c, w.dir)
	if !ok || w.view.replaced(w.at, c.words) {
		return install{}, false
	}
	in.lead(w.view, w.at, effects.Called(c.words))
	in.reads = slices.Concat(in.reads, w.view.modules(c))
	switch {
	case in.tool == "npm" && !in.wipes && writesOldLock(rootStage(w.view.file, w.view.stage.Index).Base):
		in.refuseLock()
	case in.tool == "uv" && c.starts("uv", "pip"):
		env := w.view.written(w.at)
		if venv != "" || env["VIRTUAL_ENV"] != "" || env["UV_SYSTEM_PYTHON"] != "" {
			in.output = "" // not .venv
		}
	case in.tool == "uv":
		if dir := w.view.written(w.at)["UV_PROJECT_ENVIRONMENT"]; dir != "" {
			in.output, in.writes = "", append(slices.Clone(in.writes), strings.Trim(dir, `"'`))
		}
	}
	if venv != "" && slices.Contains([]string{"pip", "uv", "poetry", "pipenv", "pdm"}, in.tool) {
		in.writes = append(slices.Clone(in.writes), venv)
		if rel, inside := below(in.dir, venv); inside && rel != "." && in.output == "" {
			in.output = rel
		}
	}
	return in, true
}

// refuseLock adds an obstacle to an install with npm before 7: that there is a lock file, which it
// writes in the form of its own.
func (in *install) refuseLock() {
	own := in.widen
	in.widen = func(r reader) ([]string, string) {
		more, obstacle := own(r)
		if obstacle == "" && r.any("package-lock.json", "npm-shrinkwrap.json") != "" {
			obstacle = "npm before 7 rewrites the lock file of a later one: use `npm ci`"
		}
		return more, obstacle
	}
}

// follow adds what a command touches, and updates the state. It reports false for a command
// that may do anything.
func (w *walk) follow(c command) bool {
	c.words = w.split(c.words)
	if known, isState := w.shellState(c); isState {
		return known
	}
	led, ok := w.led(c.assigns)
	if !ok {
		return false
	}
	c, venv := w.within(c)
	if !w.inside(c) {
		return false
	}
	reads, writes := append(led, c.reads...), append(slices.Clone(led), c.writes...)
	for _, c := range executing(c) {
		read, written, ok := w.program(c, venv)
		if !ok {
			return false
		}
		reads, writes = append(reads, read...), append(writes, written...)
	}
	t, ok := w.view.touches(w.at, w.dir, w.vars, reads, writes)
	w.touch.add(t)
	w.link(c, t)
	if c.starts("curl") || c.starts("wget") {
		w.fetched = append(w.fetched, t.writes...)
	}
	return ok
}

// link notes the link that a command makes, if it is one that does, and that it names those made
// before: it goes through them, unless it removes them. t is what it touches.
func (w *walk) link(c command, t touch) {
	if called := effects.Called(c.words); called != "rm" && called != "unlink" {
		w.touch.follows(t)
	}
	link, ok := c.links()
	if !ok {
		return
	}
	switch p, ok := w.place(link); {
	case !ok:
		w.links = append(w.links, "$")
	case !slices.Contains(w.links, rooted(p)): // else it goes through that
		w.links, w.touch.fresh = append(w.links, rooted(p)), append(w.touch.fresh, rooted(p))
	}
}

// shellState follows a command that only changes the state of the shell, such as cd. isState
// is false for any other command; known is what follow is to report.
func (w *walk) shellState(c command) (known, isState bool) {
	switch {
	case (c.starts(".") || c.starts("source")) && len(c.words) == 2 && !c.moves():
		return w.source(c.words[1]), true
	case c.starts("deactivate") && len(c.words) == 1 && !c.moves() && w.venv != "":
		w.venv, w.state = "", "a virtual environment"
		return true, true
	case c.starts("cd") && len(c.words) == 2 && !c.moves():
		return w.enter(c), true
	case c.starts("set") && len(c.words) == 1: // it lists all variables
		return false, true
	case c.starts("set") && len(c.writes) == 0:
		w.state = "a shell setting"
		w.strict = errexit(c.words, w.strict) && (w.strict || !c.perhaps)
		return w.given(c), true
	case len(c.words) == 0 && len(c.assigns) > 0 && len(c.reads)+len(c.writes) == 0:
		return w.set(c), true
	}
	return false, false
}

// given follows what makes the arguments that a set gives to the shell: commands, and patterns,
// which read what files there are. It reports false if that may be anything.
func (w *walk) given(c command) bool {
	patterns := slices.DeleteFunc(slices.Clone(c.words[1:]), func(word string) bool { return !strings.ContainsAny(word, "*?[") })
	t, ok := w.view.touches(w.at, w.dir, w.vars, append(patterns, c.reads...), nil)
	w.touch.add(t)
	return ok && w.inside(command{inner: c.inner, subshell: true})
}

// source follows the sourcing of a file: one of settings, or the activation script of a virtual
// environment. It reports false for any other file.
func (w *walk) source(file string) bool {
	if assigns, settings, ok := w.sourced(file); ok {
		w.touch.reads = append(w.touch.reads, settings)
		return w.set(command{assigns: assigns})
	}
	venv, ok := w.environment(file, "activate")
	if !ok || editsActivation(w.view.stage.Instructions[w.at].Run) {
		return false
	}
	w.venv, w.state = venv, "a virtual environment"
	w.touch.reads = append(w.touch.reads, path.Join(venv, "bin", "activate"))
	return true
}

// enter follows a cd. It reports false if it is not known where later commands run.
func (w *walk) enter(c command) bool {
	to, ok := w.place(c.words[1])
	if !ok || c.words[1] == "-" || len(c.assigns) > 0 {
		return false
	}
	if _, elsewhere := w.view.written(w.at)["CDPATH"]; elsewhere && !path.IsAbs(c.words[1]) {
		return false
	}
	if !w.exists(to) {
		if c.loose && !w.strict && !w.view.copied(w.at, to) {
			return false // if there is no such folder, the rest runs where it was
		}
		w.entered = append(w.entered, to)
	}
	w.dir, w.state = to, "`cd`"
	w.touch.enters = append(w.touch.enters, w.dir)
	return true
}

// program returns what a command reads and writes by itself, apart from redirections and paths
// in variables, if it works in this virtual environment. It reports false for a command that
// may do anything.
func (w *walk) program(c command, venv string) (reads, writes []string, ok bool) {
	if len(c.words) == 0 {
		return nil, nil, len(c.inner) > 0
	}
	if lists, ok := c.sums(); ok {
		// A list that was downloaded names files beside it; another one may name any.
		return append([]string{"."}, lists...), nil, w.downloaded(lists)
	}
	e, ok := effects.Of(c.words)
	if !ok || e.Install != nil || w.view.replaced(w.at, c.words) {
		return nil, nil, false
	}
	if makesUser := c.starts("useradd") || c.starts("adduser"); makesUser && w.view.homesElsewhere(w.at) {
		return nil, nil, false // it writes to a home that is not known
	}
	if c.starts("go", "install") && w.view.keepsGo() {
		e.Reads = slices.DeleteFunc(slices.Clone(e.Reads), func(p string) bool { return p == "^go.mod" || p == "^go.work" })
	}
	if strings.Contains(strings.ToLower(string(w.view.file.Text)), "install-suggests") {
		e.Reads, e.Writes = effects.Widely(e.Reads), effects.Widely(e.Writes) // what is suggested may be a web server
	}
	e.Reads = slices.Concat(e.Reads, w.view.modules(c))
	led := w.view.arranged(w.at, effects.Called(c.words), nil)
	e.Reads, e.Writes = append(e.Reads, led.paths...), append(e.Writes, led.filled()...)
	for _, name := range e.Writes {
		if made, ok := w.place(name); ok && makesEnvironment(c) {
			w.made = append(w.made, made)
		}
	}
	if venv == "" {
		return e.Reads, e.Writes, true
	}
	if _, isPip := pipArgs(c); isPip {
		// It installs into the environment instead.
		e.Writes = slices.DeleteFunc(e.Writes, func(p string) bool { return p[0] != '~' })
	}
	return e.Reads, append(e.Writes, venv), true
}

// modules returns the files of the working folder that take the place of modules which the command
// loads: "python -m" looks there first. Without a context, none are known.
func (v *stageView) modules(c command) (files []string) {
	if len(c.words) < 2 || c.words[1] != "-m" || !strings.HasPrefix(path.Base(c.words[0]), "python") || v.context == nil {
		return nil
	}
	for f := range v.context.Files() {
		dir, base := path.Split(f)
		if base == "__init__.py" { // of a package
			base = path.Base(dir) + ".py"
		}
		if effects.Module(base) && !slices.Contains(files, base) {
			files = append(files, base, strings.TrimSuffix(base, ".py")+"/__init__.py")
		}
	}
	slices.Sort(files)
	return files
}

// downloaded reports whether the script has downloaded all of these files.
func (w *walk) downloaded(files []string) bool {
	t, ok := w.view.touches(w.at, w.dir, w.vars, files, nil)
	return ok && len(files) > 0 && !slices.ContainsFunc(t.reads, func(name string) bool {
		return !slices.ContainsFunc(w.fetched, func(f string) bool {
			match, err := path.Match(name, f)
			return f == name || err == nil && match
		})
	})
}

// exists reports whether a folder is known to exist: most images have it, or a WORKDIR above or
// the script makes it.
func (w *walk) exists(dir string) bool {
	return w.view.usual(dir) || slices.ContainsFunc(slices.Concat(w.view.dirs[:w.at+1], w.touch.writes), func(d string) bool { _, ok := below(dir, d); return ok })
}

// copied reports whether a COPY or ADD above instruction i may have brought a folder.
func (v *stageView) copied(i int, dir string) bool {
	for k, in := range v.stage.Instructions[:i] {
		if in.Copy != nil && overlap(v.dest(k), dir) {
			return true
		}
	}
	return false
}

// split returns the words of a command with known variables expanded.
func (w *walk) split(words []string) []string {
	var list []string
	for _, word := range words {
		values := w.fields(word)
		if len(values) == 1 && values[0] != word && (strings.Contains(values[0], "$") || words[0] == "test" || words[0] == "[") &&
			!strings.HasPrefix(values[0], "-") && !path.IsAbs(values[0]) {
			values = []string{word} // it need not be a file
		}
		list = append(list, values...)
	}
	return list
}

// fields returns the words that a word becomes when known variables are expanded.
func (w *walk) fields(word string) []string { return fields(word, w.vars, w.view.env[w.at]) }

// inside follows the commands inside a command: in a group, a condition, a loop, or in a
// substitution in its words. It reports false if one of them may do anything.
func (w *walk) inside(c command) bool {
	before, active, strict, vars := w.dir, w.venv, w.strict, maps.Clone(w.vars)
	for _, inner := range c.inner {
		if !w.follow(inner) {
			return false
		}
	}
	if len(c.inner) > 0 && (w.dir != before || w.venv != active) {
		if !c.subshell {
			return false // it depends on a condition where the rest runs
		}
		w.dir, w.venv = before, active
	}
	switch {
	case c.subshell:
		w.vars, w.strict = vars, strict
	case c.perhapsInner:
		w.strict = w.strict && strict
		for name, value := range w.vars {
			if was, ok := vars[name]; !ok || was != value {
				w.vars[name] = computed
			}
		}
	}
	return true
}

// set updates the state by a command that sets variables. It reports false if one of them
// decides which programs run.
func (w *walk) set(c command) bool {
	if !w.inside(command{inner: c.inner, subshell: true}) {
		return false
	}
	w.state = "a shell setting"
	given := w.view.written(w.at)
	for _, a := range c.assigns {
		if a.decides() {
			return false
		}
		a.value = strings.Join(w.fields(a.value), effects.Break)
		if was, ok := w.vars[a.name]; c.perhaps && (!ok || was != a.value) {
			a.value = computed
		}
		_, seen := given[a.name]
		a.own = !seen && !c.exports && !w.exported(a.name) && !steers(a.name)
		w.vars[a.name] = a.value
		w.exports = append(w.exports, a)
	}
	return true
}

// exported reports whether the script exports a variable.
func (w *walk) exported(name string) bool {
	return slices.ContainsFunc(w.exports, func(a assign) bool { return a.name == name && !a.own })
}

// led returns the paths in variables that a program gets, from the script or from assigns: it
// may read and write there. It reports false if a variable decides which programs run, or if
// a path is not known.
func (w *walk) led(assigns []assign) (paths []string, ok bool) {
	for _, a := range slices.Concat(w.exports, assigns) {
		if a.own {
			continue
		}
		if a.decides() {
			return nil, false
		}
		value := strings.Join(w.fields(a.value), " ")
		for _, word := range strings.FieldsFunc(value, separates) {
			if strings.HasPrefix(word, "$") && ofPlatform.ReplaceAllString(word, "") != "" {
				return nil, false
			}
			if (strings.Contains(word, "/") || steers(a.name) && path.Ext(word) != "") && !strings.Contains(value, "://") {
				paths = append(paths, word)
			}
		}
	}
	return paths, true
}

// place returns the image path that a word of a command stands for; false if that is not known.
func (w *walk) place(word string) (string, bool) {
	names := w.fields(word)
	if len(names) != 1 || names[0] == "" || strings.ContainsAny(names[0], "$~*?[{") {
		return "", false
	}
	return resolve(w.dir, effects.Unquote(names[0]), 0), true
}

// within returns the virtual environment in which a command works, or "". A command that
// selects it by the path of its program is returned without that path.
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

// environment returns the virtual environment in which a word names one of the programs. It
// reports false if it does not, or if it is not known how the environment was made.
func (w *walk) environment(word string, programs ...string) (string, bool) {
	image, ok := w.place(word)
	if !ok || !strings.Contains(word, "/") || !slices.Contains(programs, path.Base(image)) || path.Base(path.Dir(image)) != "bin" {
		return "", false
	}
	venv := path.Dir(path.Dir(image))
	return venv, slices.Contains(w.made, venv) || slices.Contains(w.above(), venv)
}

// makesEnvironment reports whether a command makes a virtual environment.
func makesEnvironment(c command) bool {
	return c.starts("virtualenv") || c.starts("uv", "venv") ||
		len(c.words) > 2 && strings.HasPrefix(path.Base(c.words[0]), "python") && c.words[1] == "-m" && c.words[2] == "venv"
}

// environments returns the virtual environments that RUNs above instruction i make, in the
// stage and its base stages. It leaves out those that a COPY may change, and returns none if
// a RUN may change their activation scripts.
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

// editsActivation reports whether a RUN mentions an activation script of a virtual environment
// other than to run it.
func editsActivation(r *dockerfile.Run) bool {
	return activator.MatchString(activation.ReplaceAllString(r.Given, ""))
}

// activation matches a command that activates a virtual environment, activator the name of the
// script that it runs.
var (
	activation = regexp.MustCompile(`(^|[\s;&|({"'])(\.|source)\s+[^\s;&|<>]*/activate\b`)
	activator  = regexp.MustCompile(`(^|[^-\w])activate\b`)
)
