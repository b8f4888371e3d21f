package suggest

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A command is one simple command of a RUN.
type command struct {
	words    []string // nil for anything that is not a simple command with known words
	assigns  []string // names set for this command, or for what follows if there are no words
	from, to int      // its place in the script
	ends     []int    // where each word ends; set by everyCommand
}

// A script is a RUN's commands in order.
type script struct {
	commands []command
	// chain reports that all of it is one list joined by &&.
	chain bool
}

// parseRun returns the commands of a RUN. A RUN that cannot be read, or whose
// shell is not known, is one command without words.
func parseRun(r *dockerfile.Run, shell []string) script {
	opaque := script{commands: []command{{}}}
	if r.Heredocs > 0 {
		return opaque
	}
	if r.Script == "" {
		if len(r.Args) == 0 {
			return opaque
		}
		return script{commands: []command{{words: r.Args}}}
	}
	if len(shell) > 0 && !slices.Contains([]string{"sh", "bash", "ash", "dash"}, path.Base(shell[0])) {
		return opaque
	}
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(r.Script), "")
	if err != nil || len(f.Stmts) == 0 {
		return opaque
	}
	s := script{chain: len(f.Stmts) == 1 && !f.Stmts[0].Semicolon.IsValid()}
	for _, stmt := range f.Stmts {
		s.commands = flatten(s.commands, stmt)
	}
	return s
}

// flatten appends the commands of a list joined by &&.
func flatten(list []command, stmt *syntax.Stmt) []command {
	if b, ok := stmt.Cmd.(*syntax.BinaryCmd); ok && b.Op == syntax.AndStmt && plain(stmt) {
		return flatten(flatten(list, b.X), b.Y)
	}
	c := command{from: int(stmt.Pos().Offset()), to: int(stmt.End().Offset())}
	if call, ok := stmt.Cmd.(*syntax.CallExpr); ok && plain(stmt) {
		c.read(call)
	}
	return append(list, c)
}

// plain reports a statement without negation, background or a redirection
// that could write a file.
func plain(stmt *syntax.Stmt) bool {
	for _, r := range stmt.Redirs {
		if r.Op == syntax.DplOut {
			continue // 2>&1
		}
		if word, ok := wordText(r.Word); !ok || word != "/dev/null" || r.Hdoc != nil {
			return false
		}
	}
	return !stmt.Negated && !stmt.Background && !stmt.Coprocess && !stmt.Disown
}

func (c *command) read(call *syntax.CallExpr) {
	for _, a := range call.Assigns {
		if a.Name == nil || a.Array != nil {
			return
		}
		if a.Value != nil {
			if _, ok := wordText(a.Value); !ok {
				return
			}
		}
		c.assigns = append(c.assigns, a.Name.Value)
	}
	var words []string
	for _, w := range call.Args {
		text, ok := wordText(w)
		if !ok {
			return
		}
		words = append(words, text)
	}
	c.words = words
}

// wordText returns a word with its quotes removed; a plain variable stays as
// "$NAME". It reports false for what has to be executed to be known.
func wordText(w *syntax.Word) (string, bool) {
	if w == nil {
		return "", false
	}
	var b strings.Builder
	ok := appendParts(&b, w.Parts)
	return b.String(), ok
}

func appendParts(b *strings.Builder, parts []syntax.WordPart) bool {
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			b.WriteString(strings.ReplaceAll(p.Value, `\`, ""))
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			if !appendParts(b, p.Parts) {
				return false
			}
		case *syntax.ParamExp:
			if p.Param == nil || p.Exp != nil || p.Repl != nil || p.Slice != nil || p.Index != nil {
				return false
			}
			b.WriteString("$" + p.Param.Value)
		default:
			return false
		}
	}
	return true
}

// args splits a command's words after the first n into flags and the rest.
func (c command) args(n int) (flags, rest []string) {
	for _, w := range c.words[min(n, len(c.words)):] {
		if strings.HasPrefix(w, "-") {
			flags = append(flags, w)
		} else {
			rest = append(rest, w)
		}
	}
	return flags, rest
}

// starts reports whether the command begins with these words.
func (c command) starts(words ...string) bool {
	return len(c.words) >= len(words) && slices.Equal(c.words[:len(words)], words)
}
