package suggest

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// assignment matches an assignment that means the same to every shell.
var assignment = regexp.MustCompile(`^([A-Za-z_]\w*)=[\w./:@+,=${}-]*$`)

// sourced returns the assignments in a file that the shell reads with "." or source, and its
// image path. It reports false unless all of the file is known to be written by RUNs above,
// by echoing assignments.
func (w *walk) sourced(word string) (assigns []assign, file string, ok bool) {
	file, ok = w.place(word)
	if !ok || !path.IsAbs(file) || theSystems(file) {
		return nil, "", false
	}
	f := w.view.file
	for at, last := w.view.stage.Index, w.at; at >= 0; at, last = f.Stages[at].BaseStage, -1 {
		v := w.view
		if at != v.stage.Index {
			v = newStageView(f, f.Stages[at])
		}
		for i, ins := range v.stage.Instructions {
			if i == last {
				break
			}
			if ins.Copy != nil {
				if _, in := below(rooted(v.dest(i)), file); in || strings.HasPrefix(v.dest(i), baseDir) {
					return nil, "", false
				}
			}
			if ins.Run == nil || !strings.Contains(ins.Run.Given, file) {
				continue // nothing makes such a file that does not name it
			}
			more, ok := v.assigned(i, file)
			if !ok {
				return nil, "", false
			}
			assigns = append(assigns, more...)
		}
	}
	return assigns, file, len(assigns) > 0
}

// assigned returns the variables that RUN i writes into a file; false if it does anything
// else with it but read it as the shell's own.
func (v *stageView) assigned(i int, file string) (assigns []assign, ok bool) {
	script, ok := shellScript(v.stage.Instructions[i].Run, v.shell[i])
	if !ok {
		return nil, false
	}
	syntax.Walk(script, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Stmt:
			for _, r := range n.Redirs {
				if to, known := wordText(r.Word, nil); known && !strings.Contains(to, file) {
					continue
				}
				call, is := n.Cmd.(*syntax.CallExpr)
				if !is || r.Op != syntax.RdrOut && r.Op != syntax.AppOut || len(call.Args) != 2 || len(call.Assigns) > 0 {
					ok = false
					continue
				}
				echo, _ := wordText(call.Args[0], nil)
				text, known := wordText(call.Args[1], nil)
				m := assignment.FindStringSubmatch(text)
				if ok = ok && known && echo == "echo" && m != nil; ok {
					assigns = append(assigns, assign{name: m[1], value: computed})
				}
			}
		case *syntax.CallExpr:
			for k, w := range n.Args {
				program, _ := wordText(n.Args[0], nil)
				if text, _ := wordText(w, nil); strings.Contains(text, file) && (k != 1 || program != "." && program != "source") {
					ok = false
				}
			}
		}
		return true
	})
	return assigns, ok
}

// theSystems reports whether images usually have the file, so that it contains more than a
// Dockerfile adds.
func theSystems(file string) bool {
	base := path.Base(file)
	return strings.HasPrefix(base, ".") || strings.HasSuffix(base, "rc") || strings.HasSuffix(base, "-release") || slices.Contains([]string{"profile", "environment"}, base) ||
		slices.Contains([]string{"/etc/default", "/etc/profile.d"}, path.Dir(file))
}
