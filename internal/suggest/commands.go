package suggest

import (
	"os"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/stokerd/stoker/context/dockerfile"
)

// everyCommand returns the simple commands of a RUN wherever they stand: in
// lists, pipes, conditions and loops. It reports false if the RUN cannot be
// read, or if what a command is hangs on what would have to be executed.
func everyCommand(r *dockerfile.Run, shell []string) ([]command, bool) {
	if len(r.Args) > 0 {
		return []command{{words: r.Args}}, true
	}
	f, ok := shellScript(r, shell)
	if !ok {
		return nil, false
	}
	var list []command
	conditions := 0 // that what is visited hangs on
	var asked []condition
	var visit func(n syntax.Node) bool
	perhaps := func(n syntax.Node) {
		conditions++
		syntax.Walk(n, visit)
		conditions--
	}
	visit = func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Stmt:
			if inner := piped(n); inner != nil {
				syntax.Walk(inner, visit)
				return false
			}
		case *syntax.FuncDecl:
			ok = false
		case *syntax.IfClause:
			for _, s := range n.Cond {
				syntax.Walk(s, visit)
			}
			test, known := testOf(n.Cond)
			if known {
				asked = append(asked, test)
			}
			for _, s := range n.Then {
				perhaps(s)
			}
			if known {
				asked[len(asked)-1].not = !test.not
			}
			if n.Else != nil {
				perhaps(n.Else)
			}
			if known {
				asked = asked[:len(asked)-1]
			}
			return false
		case *syntax.CaseClause:
			syntax.Walk(n.Word, visit)
			for _, item := range n.Items {
				perhaps(item)
			}
			return false
		case *syntax.BinaryCmd:
			if n.Op == syntax.OrStmt {
				syntax.Walk(n.X, visit)
				perhaps(n.Y)
				return false
			}
		case *syntax.CallExpr:
			c := command{from: int(n.Pos().Offset()), to: int(n.End().Offset()), perhaps: conditions > 0, asked: slices.Clone(asked)}
			for _, w := range n.Args {
				text, known := wordText(w, nil)
				if !known && len(c.words) == 0 {
					ok = false
				}
				c.words = append(c.words, text)
				c.ends = append(c.ends, int(w.End().Offset()))
			}
			if len(c.words) > 0 {
				ok = ok && !strings.Contains(c.words[0], "$")
				list = append(list, c)
			}
		}
		return true
	}
	syntax.Walk(f, visit)
	return list, ok
}

// A condition is one on values: `[ LEFT = RIGHT ]`, or != with not.
type condition struct {
	left, right string // a variable stands as "$NAME"
	not         bool
}

// testOf reads a condition of an if; false for one that is about anything else.
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
			return condition{}, false // nothing may be left of it
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
	}
	return condition{}, false
}

// fails reports that a condition does not hold with these values of all variables that it
// is about.
func (c condition) fails(values map[string]string) bool {
	known := true
	put := func(text string) string {
		return os.Expand(text, func(name string) string {
			value, ok := values[name]
			known = known && ok
			return value
		})
	}
	return put(c.left) == put(c.right) == c.not && known
}

// shellScript parses a RUN in the shell form; false for shells other than sh and its kin.
func shellScript(r *dockerfile.Run, shell []string) (*syntax.File, bool) {
	if r.Given == "" || !posix(shell) {
		return nil, false
	}
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(r.Given), "")
	return f, err == nil
}

// posix reports a shell that reads what sh reads; none set is sh.
func posix(shell []string) bool {
	return len(shell) == 0 || slices.Contains([]string{"sh", "bash", "ash", "dash"}, path.Base(shell[0]))
}

// short cuts the text of an instruction for a message.
func short(text string) string {
	if len(text) > 60 {
		return strings.ToValidUTF8(text[:57], "") + "..."
	}
	return text
}
