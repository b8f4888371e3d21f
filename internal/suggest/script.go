package suggest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// A command is one command of a RUN. Words and paths are quoted as by effects.Quote.
type command struct {
	words         []string    // nil unless it is a simple command whose words are known
	assigns       []assign    // for this command or, if there are no words, for all that follow
	exports       bool        // the assignments are those of an export
	reads, writes []string    // files of its redirections
	from, to      int         // byte range in the script
	ends          []int       // where each word ends; set by everyCommand
	perhaps       bool        // it runs only under some condition
	whole         bool        // it is a statement, so that a strict shell goes on behind it just if it succeeds
	asked         []condition // conditions, on values, under which it runs; set by everyCommand
	loose         bool        // what follows runs even if it fails, unless the shell is strict
	inner         []command   // commands inside: of a group, a loop, a substitution in its words
	subshell      bool        // inner run in a shell of their own
	perhapsInner  bool        // inner may run once, never or often
	either        bool        // it is a list joined by ||, whose last command is that of inner
}

// An assign is a variable that a command sets.
type assign struct {
	name, value string
	own         bool // of the shell only: programs do not get it
}

// steers reports whether the variable may make programs read or write elsewhere.
func (a assign) steers() bool {
	return a.name == "PATH" || a.name == "HOME" || a.name == "NODE_OPTIONS" || strings.HasPrefix(a.name, "LD_") || strings.Contains(a.value, "/") ||
		strings.Contains(ofPlatform.ReplaceAllString(a.value, ""), "$")
}

// decides reports whether the variable may decide which programs or code run.
func (a assign) decides() bool {
	return slices.Contains([]string{"PATH", "HOME", "NODE_OPTIONS", "IFS", "CDPATH"}, a.name) || strings.HasPrefix(a.name, "LD_") || anyTools.MatchString(a.name)
}

// ofPlatform matches variables with a part of the name of a platform, which is not a path.
var ofPlatform = regexp.MustCompile(`\$(\{(BUILD|TARGET)(ARCH|OS|VARIANT)\}|(BUILD|TARGET)(ARCH|OS|VARIANT)\b)`)

// steered reports whether the command runs with a variable that steers programs.
func (c command) steered() bool {
	return slices.ContainsFunc(c.assigns, func(a assign) bool { return !a.own && a.steers() })
}

// moves reports whether the command has redirections or commands inside.
func (c command) moves() bool { return len(c.inner)+len(c.reads)+len(c.writes) > 0 }

// A script is the commands of a RUN in order.
type script struct {
	commands []command
	chain    bool // it is a single list joined by &&
	quoted   bool // it is an argument, so that places in it are none in the file
}

// parseRun returns the commands of a RUN. If it cannot be parsed, or its shell is not known,
// that is one command without words.
func parseRun(r *dockerfile.Run, shell []string) script {
	opaque := script{commands: []command{{}}}
	if r.Given == "" {
		if len(r.Args) == 0 {
			return opaque
		}
		return script{commands: []command{listForm(r)}}
	}
	if !posix(shell) || !alone(shell) {
		return opaque
	}
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(r.Given), "")
	if err != nil || len(f.Stmts) == 0 {
		return opaque
	}
	if inner := handed(f); inner != nil {
		// Offsets in the quoted text are not offsets in the file: it cannot be cut.
		s := script{quoted: true}
		s.commands = listed(nil, inner.Stmts)
		for i := range s.commands {
			s.commands[i].from, s.commands[i].to = 0, len(r.Given)
		}
		return s
	}
	s := script{chain: len(f.Stmts) == 1 && !f.Stmts[0].Semicolon.IsValid()}
	s.commands = listed(nil, f.Stmts)
	return s
}

// listed appends the commands of statements that follow one another.
func listed(list []command, stmts []*syntax.Stmt) []command {
	for i, stmt := range stmts {
		from := len(list)
		list = flatten(list, stmt)
		list[from].whole = len(list) == from+1 && decided(stmt)
		if i == len(stmts)-1 {
			break
		}
		for k := from + 1; k < len(list); k++ {
			list[k].perhaps = true // a list joined by && may end early, and the script goes on
		}
		list[len(list)-1].loose = true
	}
	return list
}

// flatten appends the commands of a statement: several if it is a list joined by &&.
func flatten(list []command, stmt *syntax.Stmt) []command {
	if b, ok := stmt.Cmd.(*syntax.BinaryCmd); ok && b.Op == syntax.AndStmt && plain(stmt) {
		return flatten(flatten(list, b.X), b.Y)
	}
	if b, ok := stmt.Cmd.(*syntax.BinaryCmd); ok && b.Op == syntax.OrStmt && plain(stmt) && gives(b.Y) {
		list = flatten(list, b.X) // if it fails, so does the build
		list[len(list)-1].to = endOf(stmt)
		return list
	}
	c := command{from: int(stmt.Pos().Offset()), to: endOf(stmt)}
	if inner := piped(stmt); inner != nil {
		c.subshell = true
		c.inner = listed(nil, inner.Stmts)
		return append(list, c)
	}
	if stmt.Background || stmt.Coprocess || stmt.Disown || !c.redirect(stmt.Redirs) || !c.fill(stmt.Cmd) {
		return append(list, command{from: c.from, to: c.to})
	}
	return append(list, c)
}

// decided reports whether a strict shell goes on behind a statement just if that succeeds: in a
// list, a group or a condition it overlooks some failures.
func decided(stmt *syntax.Stmt) bool {
	if stmt.Negated || stmt.Background || stmt.Coprocess || stmt.Disown {
		return false
	}
	switch cmd := stmt.Cmd.(type) {
	case *syntax.CallExpr, *syntax.DeclClause, *syntax.TestClause:
		return true
	case *syntax.BinaryCmd:
		return cmd.Op == syntax.OrStmt && (gives(cmd.Y) || simple(cmd.Y))
	}
	return false
}

// simple reports whether a statement is a single command.
func simple(stmt *syntax.Stmt) bool {
	_, ok := stmt.Cmd.(*syntax.CallExpr)
	return ok && plain(stmt)
}

// endOf returns where a statement ends in the script, without what separates it from the next.
func endOf(stmt *syntax.Stmt) int {
	if !stmt.Semicolon.IsValid() || stmt.Cmd == nil {
		return int(stmt.End().Offset())
	}
	end := stmt.Cmd.End().Offset()
	for _, r := range stmt.Redirs {
		end = max(end, r.End().Offset())
	}
	return int(end)
}

// gives reports whether a statement is just an exit that tells of a failure.
func gives(stmt *syntax.Stmt) bool {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || !plain(stmt) || len(call.Args) == 0 || len(call.Args) > 2 || len(call.Assigns) > 0 || call.Args[0].Lit() != "exit" {
		return false
	}
	return len(call.Args) == 1 || failing(call.Args[1].Lit())
}

// failing reports whether a word is the status of a failure.
func failing(word string) bool {
	n, err := strconv.Atoi(word)
	return err == nil && 0 < n && n < 256
}

// leaves reports whether a command may end the script, other than by a failure.
func (c command) leaves() bool {
	ends := c.starts("exit") && (len(c.words) != 2 || !failing(c.words[1])) || c.starts("exec")
	return ends || slices.ContainsFunc(c.inner, command.leaves)
}

// piped returns the script of a statement that is nothing but a shell with a heredoc:
// `bash <<EOT`. It returns nil for anything else.
func piped(stmt *syntax.Stmt) *syntax.File {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || stmt.Negated || stmt.Background || stmt.Coprocess || stmt.Disown || len(stmt.Redirs) != 1 || stmt.Redirs[0].Hdoc == nil || len(call.Assigns) > 0 {
		return nil
	}
	for i, w := range call.Args {
		text, ok := wordText(w, nil)
		if !ok || i == 0 && !posix([]string{text}) || i > 0 && strings.Trim(text, "-euxo") != "" && text != "pipefail" {
			return nil
		}
	}
	if len(call.Args) == 0 {
		return nil
	}
	var text strings.Builder
	for _, part := range stmt.Redirs[0].Hdoc.Parts {
		lit, ok := part.(*syntax.Lit)
		if !ok {
			return nil // the outer shell expands something in it
		}
		text.WriteString(lit.Value)
	}
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text.String()), "")
	if err != nil {
		return nil
	}
	return f
}

// handed returns the script of a file that is nothing but a shell with -c: `bash -c "…"`. It
// returns nil for anything else.
func handed(f *syntax.File) *syntax.File {
	if len(f.Stmts) != 1 || !plain(f.Stmts[0]) {
		return nil
	}
	call, ok := f.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Assigns) > 0 || len(call.Args) < 3 {
		return nil
	}
	var words []string
	for _, w := range call.Args {
		text, ok := plainText(w)
		if !ok {
			return nil
		}
		words = append(words, text)
	}
	flag, text := words[len(words)-2], words[len(words)-1]
	flags := slices.ContainsFunc(words[1:len(words)-1], func(w string) bool { return len(w) < 2 || strings.Trim(w, "-ceux") != "" })
	if !posix(words[:1]) || flags || !strings.HasSuffix(flag, "c") || strings.ContainsAny(text, "$`\\") {
		return nil
	}
	inner, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil || len(inner.Stmts) == 0 {
		return nil
	}
	return inner
}

// redirect records what redirections read and write. It reports false if that is not known.
func (c *command) redirect(list []*syntax.Redirect) bool {
	for _, r := range list {
		var inner []command
		word, ok := wordText(r.Word, &inner)
		if doubles := r.Op == syntax.DplOut || r.Op == syntax.DplIn; doubles && ok && strings.Trim(word, "0123456789-") == "" {
			continue // 2>&1
		}
		if r.Hdoc != nil {
			_, plain := wordText(r.Hdoc, &c.inner)
			if !plain {
				return false
			}
			continue
		}
		switch {
		case !ok || len(inner) > 0:
			return false
		case word == "/dev/null" || word == "/dev/stderr" || word == "/dev/stdout" || r.Op == syntax.WordHdoc:
		case r.Op == syntax.RdrIn:
			c.reads = append(c.reads, word)
		case r.Op == syntax.RdrOut || r.Op == syntax.AppOut || r.Op == syntax.RdrAll || r.Op == syntax.DplOut || r.Op == syntax.AppAll || r.Op == syntax.RdrClob:
			c.writes = append(c.writes, word)
		default:
			return false
		}
	}
	return true
}

// fill reads a command that may contain others. It reports false if it is not understood.
func (c *command) fill(cmd syntax.Command) bool {
	all := func(lists ...[]*syntax.Stmt) bool {
		for _, list := range lists {
			c.inner = listed(c.inner, list)
		}
		return true
	}
	switch cmd := cmd.(type) {
	case *syntax.CallExpr:
		c.read(cmd)
		return true
	case *syntax.Subshell:
		c.subshell = true
		return all(cmd.Stmts)
	case *syntax.Block:
		return all(cmd.Stmts)
	case *syntax.BinaryCmd:
		c.perhapsInner = cmd.Op == syntax.OrStmt
		c.either = c.perhapsInner && !cmd.X.Negated && !cmd.X.Background && plain(cmd.Y)
		if cmd.Op == syntax.Pipe || cmd.Op == syntax.PipeAll {
			return all([]*syntax.Stmt{cmd.X}) && c.fed(cmd.Y)
		}
		return all([]*syntax.Stmt{cmd.X, cmd.Y})
	case *syntax.IfClause:
		c.perhapsInner = true
		for ; cmd != nil; cmd = cmd.Else {
			all(cmd.Cond, cmd.Then)
		}
		return true
	case *syntax.CaseClause:
		c.perhapsInner = true
		if _, ok := wordText(cmd.Word, &c.inner); !ok {
			return false
		}
		for _, item := range cmd.Items {
			for _, pattern := range item.Patterns {
				if _, ok := wordText(pattern, &c.inner); !ok {
					return false
				}
			}
			all(item.Stmts)
		}
		return true
	case *syntax.WhileClause:
		c.perhapsInner = true
		all(cmd.Cond, cmd.Do, cmd.Cond, cmd.Do) // a round meets what the one before has left
		// What it sets would have to be carried on, too.
		return !slices.ContainsFunc(c.inner, func(in command) bool { return len(in.assigns) > 0 })
	case *syntax.ForClause:
		c.perhapsInner = true // it may be left early
		return c.loop(cmd)
	case *syntax.TestClause:
		c.words = []string{"test"}
		return c.tests(cmd.X)
	case *syntax.DeclClause:
		c.exports = true
		return cmd.Variant.Value == "export" && c.export(cmd.Args)
	}
	return false
}

// mostRounds is over how many words a loop may go to be followed.
const mostRounds = 20

// loop reads a loop over words, with its commands once for each.
func (c *command) loop(cmd *syntax.ForClause) bool {
	words, ok := cmd.Loop.(*syntax.WordIter)
	if !ok || !words.InPos.IsValid() || len(words.Items) > mostRounds {
		return false
	}
	for _, item := range words.Items {
		value, ok := wordText(item, &c.inner)
		if !ok {
			return false
		}
		if strings.ContainsAny(value, "*?[") {
			c.inner = append(c.inner, command{words: []string{"ls", value}}) // it reads which files there are
		}
		c.inner = append(c.inner, command{assigns: []assign{{name: words.Name.Value, value: value}}})
		c.inner = listed(c.inner, cmd.Do)
	}
	return true
}

// tests reads a condition in [[ ]] as words of the command test.
func (c *command) tests(x syntax.TestExpr) bool {
	switch x := x.(type) {
	case *syntax.Word:
		text, ok := wordText(x, &c.inner)
		c.words = append(c.words, text)
		return ok
	case *syntax.ParenTest:
		return c.tests(x.X)
	case *syntax.UnaryTest:
		if x.Op != syntax.TsNot {
			c.words = append(c.words, x.Op.String())
		}
		return c.tests(x.X)
	case *syntax.BinaryTest:
		ok := c.tests(x.X)
		if x.Op != syntax.AndTest && x.Op != syntax.OrTest {
			c.words = append(c.words, "=")
		}
		return c.tests(x.Y) && ok
	}
	return false
}

// export reads `export NAME=VALUE`.
func (c *command) export(list []*syntax.Assign) bool {
	for _, a := range list {
		if a.Naked || a.Name == nil || a.Array != nil {
			return false
		}
		value, ok := valueText(a.Value, &c.inner)
		if !ok {
			return false
		}
		c.assigns = append(c.assigns, assign{name: a.Name.Value, value: value})
	}
	return true
}

// plain reports whether a statement is just its command: not negated, redirected or in the
// background.
func plain(stmt *syntax.Stmt) bool {
	return !stmt.Negated && !stmt.Background && !stmt.Coprocess && !stmt.Disown && len(stmt.Redirs) == 0
}

// read reads a simple command. If one of its words is not known the command stays empty. So
// do its assignments: without words they would count for all that follows.
func (c *command) read(call *syntax.CallExpr) {
	assigns, words, ok := c.assigned(call)
	if !ok {
		c.inner = nil
		return
	}
	c.assigns, c.words = assigns, words[runners(words):]
}

// assigned returns the assignments and words of a simple command, or false if one of them is
// not known.
func (c *command) assigned(call *syntax.CallExpr) (assigns []assign, words []string, ok bool) {
	for _, a := range call.Assigns {
		if a.Name == nil || a.Array != nil {
			return nil, nil, false
		}
		value, ok := valueText(a.Value, &c.inner)
		if !ok {
			return nil, nil, false
		}
		assigns = append(assigns, assign{name: a.Name.Value, value: value})
	}
	for _, w := range call.Args {
		text, ok := wordText(w, &c.inner)
		if !ok {
			return nil, nil, false
		}
		words = append(words, text)
	}
	return assigns, words, true
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

// text returns the command's words for a message.
func (c command) text() string { return effects.Unquote(strings.Join(c.words, " ")) }

// starts reports whether the command begins with these words.
func (c command) starts(words ...string) bool {
	return len(c.words) >= len(words) && slices.Equal(c.words[:len(words)], words)
}
