package suggest

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/stokerd/stoker/context/dockerfile"
)

// everyCommand returns the simple commands of a RUN wherever they stand: in lists, pipes,
// conditions and loops. It reports false if the RUN cannot be parsed, or if only running it tells
// which commands these are.
func everyCommand(r *dockerfile.Run, shell []string) ([]command, bool) {
	if len(r.Args) > 0 {
		return []command{listForm(r)}, true
	}
	f, ok := shellScript(r, shell)
	if !ok {
		return nil, false
	}
	var c collector
	syntax.Walk(f, c.visit)
	return c.list, !c.unknown
}

// A collector collects the commands of a script for everyCommand.
type collector struct {
	list       []command
	conditions int         // how many conditions decide whether the node that is visited runs
	asked      []condition // those of them that compare values
	unknown    bool        // some command is not known
}

// visit is called by syntax.Walk for each node. It returns whether Walk is to visit the children.
func (c *collector) visit(n syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.Stmt:
		if inner := piped(n); inner != nil {
			syntax.Walk(inner, c.visit)
			return false
		}
	case *syntax.FuncDecl:
		c.unknown = true
	case *syntax.IfClause:
		c.branches(n)
		return false
	case *syntax.CaseClause:
		syntax.Walk(n.Word, c.visit)
		for _, item := range n.Items {
			c.perhaps(item)
		}
		return false
	case *syntax.BinaryCmd:
		if n.Op == syntax.OrStmt {
			syntax.Walk(n.X, c.visit)
			c.perhaps(n.Y)
			return false
		}
	case *syntax.CallExpr:
		c.add(n)
	case *syntax.DeclClause:
		if named := func(a *syntax.Assign) bool { return a.Name != nil }; !slices.ContainsFunc(n.Args, named) {
			c.add(&syntax.CallExpr{Args: []*syntax.Word{{Parts: []syntax.WordPart{n.Variant}}}}) // it lists variables
		}
	}
	return true
}

// perhaps visits a node that runs only under some condition.
func (c *collector) perhaps(n syntax.Node) {
	c.conditions++
	syntax.Walk(n, c.visit)
	c.conditions--
}

// branches visits the condition and the branches of an if.
func (c *collector) branches(n *syntax.IfClause) {
	for _, s := range n.Cond {
		syntax.Walk(s, c.visit)
	}
	test, known := testOf(n.Cond)
	if known {
		c.asked = append(c.asked, test)
	}
	for _, s := range n.Then {
		c.perhaps(s)
	}
	if known {
		c.asked[len(c.asked)-1].not = !test.not
	}
	if n.Else != nil {
		c.perhaps(n.Else)
	}
	if known {
		c.asked = c.asked[:len(c.asked)-1]
	}
}

// add adds a command, unless it only sets variables.
func (c *collector) add(n *syntax.CallExpr) {
	one := command{from: int(n.Pos().Offset()), to: int(n.End().Offset()), perhaps: c.conditions > 0, asked: slices.Clone(c.asked)}
	for _, w := range n.Args {
		text, known := wordText(w, nil)
		if !known && len(one.words) == 0 {
			c.unknown = true
		}
		one.words = append(one.words, text)
		one.ends = append(one.ends, int(w.End().Offset()))
	}
	for _, a := range n.Assigns {
		value, known := valueText(a.Value, nil)
		if !known || a.Array != nil {
			value = computed
		}
		if a.Name != nil {
			one.assigns = append(one.assigns, assign{name: a.Name.Value, value: value})
		}
	}
	by := runners(one.words)
	one.words, one.ends = one.words[by:], one.ends[by:]
	if len(one.words) > 0 {
		c.unknown = c.unknown || strings.Contains(one.words[0], "$")
		c.list = append(c.list, one)
	}
}

// runners returns how many of the words of a command only say who runs the rest: `corepack pnpm` is the
// pnpm that corepack would have stand in for that name.
func runners(words []string) int {
	if len(words) > 1 && words[0] == "corepack" && slices.Contains([]string{"npm", "pnpm", "yarn"}, words[1]) {
		return 1
	}
	return 0
}

// shellScript parses the script of a RUN, or reports false if its shell is not like sh.
func shellScript(r *dockerfile.Run, shell []string) (*syntax.File, bool) {
	if r.Given == "" || !posix(shell) {
		return nil, false
	}
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(r.Given), "")
	return f, err == nil
}

// posix reports whether a shell, as set by SHELL, understands the language of sh. None is the
// default, which does.
func posix(shell []string) bool {
	return len(shell) == 0 || slices.Contains([]string{"sh", "bash", "ash", "dash"}, path.Base(shell[0]))
}

// alone reports whether a shell, as set by SHELL, runs nothing but the script: a login shell and an
// interactive one run files of settings first, and one with a script of its own may run anything.
func alone(shell []string) bool {
	return len(shell) == 0 || !slices.ContainsFunc(shell[1:], func(word string) bool {
		letters, short := strings.CutPrefix(word, "-")
		short = short && !strings.ContainsAny(letters, "-li")
		return !short && !slices.Contains([]string{"pipefail", "errexit", "nounset", "xtrace", "noglob", "--noprofile", "--norc"}, word)
	})
}

// short returns the text of an instruction, shortened for a message.
func short(text string) string {
	if len(text) > 60 {
		return strings.ToValidUTF8(text[:57], "") + "..."
	}
	return text
}
