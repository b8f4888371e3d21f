package suggest

import (
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// scriptText returns the text of a range of the script of instruction i, a RUN, as the file has it.
func (v *stageView) scriptText(i, from, to int) string {
	run := v.stage.Instructions[i].Run
	first, ok := run.Offset(from)
	last, found := run.Offset(to)
	if !ok || !found {
		return run.Given[from:to]
	}
	return string(v.file.Text[first:last])
}

// jointSemicolon matches what separates two commands: a semicolon, perhaps at the end of a line.
var jointSemicolon = regexp.MustCompile("^[ \\t]*(;[ \\t]*([\\\\`][ \\t]*\\r?\\n[ \\t]*)?)$")

// jointOf returns what to put between commands of instruction i, a RUN, that are repeated: what
// stands behind the first one.
func jointOf(v *stageView, i int, s script) string {
	if s.chain || len(s.commands) < 2 || s.quoted {
		return " && "
	}
	if m := jointSemicolon.FindStringSubmatch(v.scriptText(i, s.commands[0].to, s.commands[1].from)); m != nil && strings.TrimSpace(m[1]) != m[1] {
		return m[1]
	}
	return "; "
}

// document returns the first line of the heredoc that is the whole script of instruction i, a RUN.
// It reports false for any other RUN.
func (v *stageView) document(i int) (int, bool) {
	in := v.stage.Instructions[i]
	run := in.Run
	if run.Heredocs != 1 || !strings.HasSuffix(run.Given, "\n") || strings.HasPrefix(run.Given, run.Script) {
		return 0, false
	}
	first := in.Lines.To - strings.Count(run.Given, "\n")
	n := first
	for line := range strings.Lines(run.Given) {
		if strings.TrimLeft(v.line(n), "\t") != strings.TrimLeft(line, "\t") { // <<- takes these away
			return 0, false
		}
		n++
	}
	return first, first > in.Lines.From
}

// line returns a line of the file, with its end.
func (v *stageView) line(n int) string { return v.file.Source(dockerfile.Lines{From: n, To: n}) }

// divides reports whether instruction i, a RUN, is text that can be cut where the view says. In a
// heredoc that is where a line ends.
func (view runView) divides(v *stageView, i int) bool {
	run := v.stage.Instructions[i].Run
	if view.headEnd > view.tailFrom {
		return false
	}
	_, head := run.Offset(view.headEnd - 1)
	if _, tail := run.Offset(view.tailFrom); head && tail {
		return true
	}
	if _, ok := v.document(i); !ok {
		return false
	}
	rest, _, _ := strings.Cut(run.Given[view.headEnd:], "\n")
	before := run.Given[:view.tailFrom]
	return strings.Trim(rest, "; \t") == "" && strings.TrimSpace(before[strings.LastIndexByte(before, '\n')+1:]) == "" &&
		strings.Contains(run.Given[view.headEnd:view.tailFrom], "\n")
}

// commented reports whether a comment would be lost, were instruction i, a RUN, cut.
func (view runView) commented(v *stageView, i int) bool {
	between := v.scriptText(i, view.headEnd, view.tailFrom)
	if _, ok := v.document(i); ok { // lines of comments stay above what they are about
		between = strings.Join(trimComments(strings.SplitAfter(between, "\n")), "")
	}
	return strings.Contains(between, "#")
}

// trimComments returns lines without those of comments, and blank ones, at the end.
func trimComments(lines []string) []string {
	for len(lines) > 0 {
		text := strings.TrimSpace(lines[len(lines)-1])
		if text != "" && text[0] != '#' {
			break
		}
		lines = lines[:len(lines)-1]
	}
	return lines
}

// cut returns the last instruction as two: the RUN up to its installs and a RUN of the rest,
// which has the same flags and first repeats the commands that set its folder and the shell.
func (m *move) cut() (head, tail string) {
	in, text := m.view.stage.Instructions[m.last], m.view.file.Text
	if first, ok := m.view.document(m.last); ok {
		return m.cutDocument(first)
	}
	start := m.offset(in.Lines.From)
	end := m.offset(in.Lines.To + 1)
	script, _ := in.Run.Offset(0)
	headEnd, _ := in.Run.Offset(m.run.headEnd - 1)
	tailFrom, _ := in.Run.Offset(m.run.tailFrom)
	var again strings.Builder
	for _, c := range m.run.again {
		again.WriteString(m.view.scriptText(m.last, c.from, c.to) + m.run.joint)
	}
	return string(text[start:headEnd+1]) + "\n", string(text[start:script]) + again.String() + endLine(string(text[tailFrom:end]))
}

// cutDocument is cut for a script that is a heredoc, whose first line is given.
func (m *move) cutDocument(first int) (head, tail string) {
	in, v := m.view.stage.Instructions[m.last], m.view
	at := func(offset int) int { return first + strings.Count(in.Run.Given[:offset], "\n") }
	headEnd, tailFrom := at(m.run.headEnd), at(m.run.tailFrom)
	lines := func(from, to int) string { return v.file.Source(dockerfile.Lines{From: from, To: to}) }
	var between []string
	for n := headEnd + 1; n < tailFrom; n++ {
		between = append(between, v.line(n))
	}
	comments := slices.Clone(between[len(trimComments(between)):])
	for len(comments) > 0 && strings.TrimSpace(comments[0]) == "" {
		comments = comments[1:]
	}
	line := v.line(tailFrom)
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	opening, closing := lines(in.Lines.From, first-1), endLine(v.line(in.Lines.To))
	var again strings.Builder
	for _, c := range m.run.again {
		again.WriteString(indent + in.Run.Given[c.from:c.to] + "\n")
	}
	head = opening + lines(first, headEnd) + closing
	return head, opening + again.String() + strings.Join(comments, "") + lines(tailFrom, in.Lines.To-1) + closing
}
