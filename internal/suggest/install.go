package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// An install is a command that fetches what manifests name.
type install struct {
	tool string
	dir  string // image folder that it runs in
	// main are the manifests it cannot do without, extra those it reads if they
	// are there; image paths.
	main, extra []string
	// output is what it writes below the image folder dir; "" for elsewhere.
	output string
	// writes are image folders outside dir that it writes to.
	writes []string
	// wipes reports that it empties output first, so that what a COPY had put
	// there never stays.
	wipes bool
	// widen returns further files that it reads, as context paths, and what
	// makes its reading unbounded ("" if nothing does). at maps an image path to
	// the context.
	widen func(r reader) (more []string, obstacle string)
	// insert is set where the command is not in the file yet but would be new.
	insert bool
}

// A reader reads the files of the build context that an image path stands for.
type reader struct {
	dir  string // of the install, in the image
	find func(image string) (contextPath string, ok bool)
	read func(contextPath string) ([]byte, error)
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

func (r reader) exists(name string) bool {
	_, ok := r.find(path.Join(r.dir, name))
	return ok
}

// recognise returns the install that a command is, if it is one.
func recognise(c command, dir string) (install, bool) {
	if len(c.words) == 0 {
		return install{}, false
	}
	for _, tool := range []func(command, string) (install, bool){npmInstall, yarnInstall, pnpmInstall, pipInstall, goDownload} {
		if in, ok := tool(c, dir); ok {
			return in, true
		}
	}
	return install{}, false
}

// A runView is what the rule has to know of a RUN.
type runView struct {
	free     bool // may be passed: reads nothing of the context
	installs []install
	// headEnd and tailFrom are the places in the script where it can be cut, and
	// tail reports that something unknown follows the installs.
	tail              bool
	headEnd, tailFrom int
	obstacle          string // why it cannot be cut although it would have to be
}

// viewRun classifies the commands of a RUN in order: free ones, installs, and
// from the first unknown one on the tail.
func viewRun(v *stageView, i int) runView {
	run := v.stage.Instructions[i].Run
	s := parseRun(run, v.shell[i])
	dir := v.dirs[i]
	var view runView
	state := ""
	for n, c := range s.commands {
		if len(c.words) > 0 && c.words[0] == "cd" && len(c.words) == 2 && !strings.Contains(c.words[1], "$") {
			dir, state = resolve(dir, c.words[1], 0), "`cd`"
			continue
		}
		if len(c.words) > 0 && c.words[0] == "set" || len(c.words) == 0 && len(c.assigns) > 0 {
			state = "a shell setting"
			continue
		}
		if in, ok := recognise(c, dir); ok {
			view.installs = append(view.installs, in)
			continue
		}
		if isFree(c) {
			continue
		}
		if len(view.installs) > 0 {
			view.tail = true
			view.headEnd, view.tailFrom = s.commands[n-1].to, c.from
			view.obstacle = cutObstacle(v, i, s, n, state)
		}
		return view
	}
	view.free = len(view.installs) == 0
	return view
}

// cutObstacle says why a RUN cannot be cut before its command n; "" if it can.
func cutObstacle(v *stageView, i int, s script, n int, state string) string {
	run := v.stage.Instructions[i].Run
	_, ok := run.Offset(0)
	switch {
	case !ok || !s.chain:
		return "the RUN does more than the install, and is not a plain list joined by &&"
	case state != "":
		return "the RUN does more than the install, and " + state + " holds for all of it"
	}
	from, _ := run.Offset(s.commands[n-1].to)
	to, _ := run.Offset(s.commands[n].from)
	if strings.Contains(string(v.file.Text[from:to]), "#") {
		return "a comment stands where the RUN would have to be cut"
	}
	for _, c := range s.commands[n:] {
		if deletes(c) {
			return fmt.Sprintf("the RUN also runs `%s`, which would leave the files in a layer of their own if it were cut", strings.Join(c.words, " "))
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
