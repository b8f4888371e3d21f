package suggest

import (
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
		return []command{listForm(r)}, true
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
