package suggest

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// A condition compares two values: `[ LEFT = RIGHT ]` or, with not, `[ LEFT != RIGHT ]`. `[ LEFT ]` asks
// whether it is not empty.
type condition struct {
	left, right string // as from wordText
	not         bool
}

// testOf reads the condition of an if. It reports false if that does anything but compare two
// values.
func testOf(list []*syntax.Stmt) (condition, bool) {
	if len(list) != 1 || !plain(list[0]) {
		return condition{}, false
	}
	call, ok := list[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Assigns) > 0 {
		return condition{}, false
	}
	var words []string
	for _, w := range call.Args {
		text, ok := wordText(w, nil)
		if _, quoted := w.Parts[0].(*syntax.DblQuoted); !ok || strings.HasPrefix(text, "$") && !quoted {
			return condition{}, false // it may expand to no word at all
		}
		words = append(words, text)
	}
	switch {
	case len(words) == 5 && words[0] == "[" && (words[2] == "=" || words[2] == "=="):
		return condition{left: words[1], right: words[3]}, true
	case len(words) == 5 && words[0] == "[" && words[2] == "!=":
		return condition{left: words[1], right: words[3], not: true}, true
	case len(words) == 4 && words[0] == "[" && words[1] == "-z":
		return condition{left: words[2]}, true
	case len(words) == 4 && words[0] == "[" && words[1] == "-n":
		return condition{left: words[2], not: true}, true
	case len(words) == 3 && words[0] == "[": // of one word, any text will do
		return condition{left: words[1], not: true}, true
	}
	return condition{}, false
}

// fails reports whether the condition is known not to hold with these values of variables.
func (c condition) fails(values map[string]string) bool {
	known := true
	put := func(text string) string {
		return effects.Unquote(os.Expand(text, func(name string) string {
			value, ok := values[name]
			known = known && ok
			return value
		}))
	}
	return put(c.left) == put(c.right) == c.not && known
}

// running returns the commands of instruction i that some of the builds may run: not those under a
// condition that does not hold with the values of ARGs in any of them.
func (in Input) running(v *stageView, i int, commands []command, builds []Build) []command {
	return slices.DeleteFunc(slices.Clone(commands), func(c command) bool {
		return len(c.asked) > 0 && !slices.ContainsFunc(builds, func(b Build) bool {
			values := in.valuesAt(v.stage, i, b)
			return !slices.ContainsFunc(c.asked, func(t condition) bool { return t.fails(values) })
		})
	})
}

// valuesAt returns the values that the ARGs of a stage have throughout instruction i, a RUN, in a build.
func (in Input) valuesAt(st dockerfile.Stage, i int, b Build) map[string]string {
	values := in.argsAt(st, i, b)
	maps.DeleteFunc(values, func(name, _ string) bool { return resets(st.Instructions[i].Run.Given, name) })
	return values
}

// heard returns the text of instruction i, a RUN, that the shell executes, with blanks for what is
// under conditions that are known not to hold in a build.
func (in Input) heard(st dockerfile.Stage, i int, b Build) string {
	run := st.Instructions[i].Run
	if !strings.Contains(run.Given, "if") || !strings.Contains(run.Given, "[") {
		return run.Given
	}
	values := in.valuesAt(st, i, b)
	if len(values) == 0 {
		return run.Given
	}
	f, ok := shellScript(run, in.bare(st).shell[i])
	if !ok {
		return run.Given
	}
	text := []byte(run.Given)
	blank := func(list []*syntax.Stmt) {
		if len(list) == 0 {
			return
		}
		part := text[list[0].Pos().Offset():endOf(list[len(list)-1])]
		if bytes.Contains(part, []byte("<<")) {
			return // its lines stand elsewhere
		}
		for k := range part {
			part[k] = ' '
		}
		part[0] = ':' // a branch has a command
	}
	syntax.Walk(f, func(n syntax.Node) bool {
		c, ok := n.(*syntax.IfClause)
		if !ok {
			return true
		}
		test, known := testOf(c.Cond)
		if !known {
			return true
		}
		if test.fails(values) {
			blank(c.Then)
		}
		if test.not = !test.not; test.fails(values) {
			for e := c.Else; e != nil; e = e.Else {
				blank(e.Cond)
				blank(e.Then)
			}
		}
		return true
	})
	return string(text)
}

// resets reports whether a script may set a variable.
func resets(script, name string) bool {
	return slices.ContainsFunc([]string{name + "=", name + "+=", "for " + name, "read ", "getopts ", "source ", ". ", "eval ", "unset "}, func(s string) bool {
		return strings.Contains(script, s)
	})
}

// argsAt returns the values of the ARGs of a stage at instruction i in a build. ARGs that an
// ENV sets as well, or with a variable in their default, are left out.
func (in Input) argsAt(st dockerfile.Stage, i int, b Build) map[string]string {
	values := map[string]string{}
	for _, ins := range st.Instructions[:i] {
		for _, a := range ins.Vars {
			value := strings.Trim(a.Value, `"'`)
			if given, ok := b.Args[a.Name]; ok {
				value = given
			} else if !a.Set && slices.ContainsFunc(in.File.Globals, func(g dockerfile.Instruction) bool { return slices.Contains(g.Names, a.Name) }) || !a.Set && readByTools(a.Name) {
				continue // it has a global default, or BuildKit sets it
			}
			if ins.Keyword != "ARG" || strings.ContainsAny(value, "$\\") {
				values[a.Name] = "$"
				continue
			}
			if values[a.Name] != "$" {
				values[a.Name] = value
			}
		}
	}
	for _, ins := range instructionsOf(in.File, st.BaseStage) {
		if ins.Keyword == "ENV" {
			for _, name := range ins.Names {
				delete(values, name)
			}
		}
	}
	maps.DeleteFunc(values, func(_, value string) bool { return value == "$" })
	return values
}
