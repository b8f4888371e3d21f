package suggest

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// edits returns the move as edits of the Dockerfile.
func (m *move) edits() []dockerfile.Edit {
	f, ins := m.view.file, m.view.stage.Instructions
	last := ins[m.last]
	var edits []dockerfile.Edit
	// Where nothing runs between, the manifests take the place of the sources.
	inPlace := m.inPlace || !slices.ContainsFunc(ins[m.moved[0]+1:m.last], func(in dockerfile.Instruction) bool { return in.Run != nil })
	first := ins[m.moved[0]]
	var moved strings.Builder
	for n, i := range m.moved {
		whole := ins[i].Whole()
		moved.WriteString(f.Source(dockerfile.Lines{From: whole.From, To: ins[i].Lines.From - 1}))
		moved.WriteString(endLine(m.movedText(i)))
		if n > 0 || !inPlace || m.text0() == "" {
			whole = m.withBlank(whole)
		}
		e := dockerfile.Edit{Lines: whole}
		if n == 0 && inPlace {
			e.Text = m.text0()
		}
		edits = append(edits, e)
	}
	for _, list := range m.groups() {
		if inPlace && list[0].install == m.needs[0].install {
			continue
		}
		edits = append(edits, dockerfile.Insert(ins[list[0].install].Whole().From, m.copies(list, true)))
	}
	text := moved.String()
	if blank(f, last.Whole().From-1) && inPlace && first.Lines.To < last.Whole().From-1 {
		text = "\n" + text
	}
	switch {
	case m.download:
		if blank(f, last.Whole().From-1) {
			moved.WriteString("\n")
		}
		edits = append(edits, dockerfile.Insert(last.Whole().From, m.indent(m.moved[0])+m.keyword(m.moved[0], "RUN")+" go mod download\n"+moved.String()))
	case m.run.tail:
		head, tail := m.cut()
		edits = append(edits, dockerfile.Edit{Lines: last.Lines, Text: head + text + tail})
	default:
		edits = append(edits, dockerfile.Insert(last.Lines.To+1, text))
	}
	return edits
}

// groups returns the needs by install, in order.
func (m *move) groups() [][]need {
	var list [][]need
	for _, n := range m.needs {
		if last := len(list) - 1; last >= 0 && list[last][0].install == n.install {
			list[last] = append(list[last], n)
			continue
		}
		list = append(list, []need{n})
	}
	return list
}

// text0 returns the COPYs of the manifests of the first install.
func (m *move) text0() string {
	if len(m.needs) == 0 {
		return ""
	}
	return m.copies(m.groups()[0], false)
}

// movedText returns a moved COPY as it stands where it goes to.
func (m *move) movedText(i int) string {
	if slices.Contains(m.absolute, i) {
		text, _ := m.inFull(i)
		return text
	}
	return m.view.file.Source(m.view.stage.Instructions[i].Lines)
}

// inFull returns the text of a COPY with its whole destination, if that is known and
// the text ends in what it names today.
func (m *move) inFull(i int) (string, bool) {
	ins := m.view.stage.Instructions[i]
	dest := m.view.dest(i)
	if !path.IsAbs(dest) || strings.Contains(ins.Copy.Dest, "$") {
		return "", false
	}
	text := strings.TrimRight(m.view.file.Source(ins.Lines), " \t\r\n")
	list, closed := strings.CutSuffix(text, `"]`)
	before, ok := strings.CutSuffix(list, ins.Copy.Dest)
	if !ok || !closed && !strings.HasSuffix(before, " ") && !strings.HasSuffix(before, "\t") || closed && !strings.HasSuffix(before, `"`) {
		return "", false
	}
	if base := path.Base(ins.Copy.Dest); strings.HasSuffix(ins.Copy.Dest, "/") || base == "." || base == ".." {
		dest = strings.TrimSuffix(dest, "/") + "/"
	}
	return before + dest + m.view.file.Source(ins.Lines)[len(list):], true
}

// copies writes the COPYs of an install's manifests: one for each folder, or a
// single one with --parents where the frontend that the file names has that
// (docker/dockerfile 1.20). further says that they do not stand where today's COPY
// does.
func (m *move) copies(list []need, further bool) string {
	if len(list) > 2 && (m.view.file.Syntax == "docker/dockerfile:1" || m.view.file.Syntax == "docker/dockerfile:latest") {
		if text, ok := m.parents(list, further); ok {
			return text
		}
	}
	var b strings.Builder
	for _, n := range list {
		b.WriteString(m.copyText(n, further))
	}
	return b.String()
}

// destination returns what a COPY of the manifests that instruction i brings today
// names as its destination, without a slash at the end.
func (m *move) destination(i int, further bool) string {
	if further && slices.Contains(m.absolute, i) {
		return strings.TrimRight(m.view.dest(i), "/")
	}
	return strings.TrimRight(m.view.stage.Instructions[i].Copy.Dest, "/")
}

// parents writes one COPY --parents for the manifests of several folders that one
// COPY of a whole folder brings. Files of one name in all folders beside each
// other are written as a pattern, so that a new one is taken along.
func (m *move) parents(list []need, further bool) (string, bool) {
	from := m.view.stage.Instructions[list[0].from]
	if len(from.Copy.Sources) != 1 || path.Clean(from.Copy.Sources[0]) != "." {
		return "", false
	}
	var words []string
	for _, n := range list {
		if n.from != list[0].from {
			return "", false
		}
		for _, f := range n.files {
			pattern := path.Join(path.Dir(path.Dir(f)), "*", path.Base(f))
			if strings.HasSuffix(f, "proj") { // .NET: each is named after its folder
				pattern = path.Join(path.Dir(path.Dir(f)), "*", "*"+path.Ext(f))
			}
			if path.Dir(path.Dir(f)) == "." || !m.bringsAll(list, pattern) {
				pattern = f
			}
			if !slices.Contains(words, pattern) {
				words = append(words, pattern)
			}
		}
	}
	if slices.ContainsFunc(words, func(s string) bool { return strings.ContainsAny(s, " \t\"") }) {
		return "", false
	}
	words = append(append([]string{m.keyword(list[0].from, "COPY"), "--parents"}, m.copyFlags(list[0].from)...), words...)
	words = append(words, m.destination(list[0].from, further)+"/")
	return m.indent(list[0].from) + strings.Join(words, " ") + "\n", true
}

// bringsAll reports whether a pattern stands for files of needs, and for no other.
func (m *move) bringsAll(list []need, pattern string) bool {
	found := glob(m.context, pattern)
	return len(found) > 1 && !slices.ContainsFunc(found, func(p string) bool {
		return !slices.ContainsFunc(list, func(n need) bool { return slices.Contains(n.files, p) })
	})
}

// withBlank adds the blank line below to lines that are deleted from between
// two blank ones.
func (m *move) withBlank(l dockerfile.Lines) dockerfile.Lines {
	if blank(m.view.file, l.From-1) && blank(m.view.file, l.To+1) {
		l.To++
	}
	return l
}

func blank(f *dockerfile.File, line int) bool {
	text := f.Source(dockerfile.Lines{From: line, To: line})
	return text != "" && strings.TrimSpace(text) == ""
}

// cut returns the last instruction in two: up to the installs, and the rest,
// with the same flags, in the same folder and with the same settings of the shell.
func (m *move) cut() (head, tail string) {
	in, text := m.view.stage.Instructions[m.last], m.view.file.Text
	start := m.offset(in.Lines.From)
	end := m.offset(in.Lines.To + 1)
	script, _ := in.Run.Offset(0)
	headEnd, _ := in.Run.Offset(m.run.headEnd - 1)
	tailFrom, _ := in.Run.Offset(m.run.tailFrom)
	var again strings.Builder
	for _, c := range m.run.again {
		from, _ := in.Run.Offset(c.from)
		to, _ := in.Run.Offset(c.to - 1)
		again.WriteString(string(text[from:to+1]) + " && ")
	}
	return string(text[start:headEnd+1]) + "\n", string(text[start:script]) + again.String() + endLine(string(text[tailFrom:end]))
}

// offset returns where a line begins in the text.
func (m *move) offset(line int) int {
	at := 0
	for range line - 1 {
		next := bytes.IndexByte(m.view.file.Text[at:], '\n')
		if next < 0 {
			return len(m.view.file.Text)
		}
		at += next + 1
	}
	return at
}

// copyText writes the COPY of some manifests: with the owner, mode and link of
// the COPY that brought them.
func (m *move) copyText(n need, further bool) string {
	words := append([]string{m.keyword(n.from, "COPY")}, m.copyFlags(n.from)...)
	dest := m.destination(n.from, further)
	if rel, ok := below(m.view.dest(n.from), n.dir); ok && rel != "." {
		dest += "/" + rel
	} else if !ok {
		// A COPY of single files names the folder or the file itself.
		dest = path.Dir(dest)
	}
	dest += "/"
	list := append(slices.Clone(n.files), dest)
	if dir := path.Dir(n.files[0]); wholeFolder(dir) && holdsOnly(m.context, dir, n.files) {
		list = []string{dir, dest}
	}
	if slices.ContainsFunc(list, func(s string) bool { return strings.ContainsAny(s, " \t\"") }) {
		words = append(words, `["`+strings.Join(list, `", "`)+`"]`)
	} else {
		words = append(words, list...)
	}
	return m.indent(n.from) + strings.Join(words, " ") + "\n"
}

// copyFlags returns the flags of a COPY that hold for each of its files.
func (m *move) copyFlags(i int) []string {
	var flags []string
	for _, flag := range m.view.stage.Instructions[i].Flags {
		if strings.HasPrefix(flag, "--chown=") || strings.HasPrefix(flag, "--chmod=") || flag == "--link" || strings.HasPrefix(flag, "--link=") {
			flags = append(flags, flag)
		}
	}
	return flags
}

// keyword writes a keyword in the case that an instruction uses.
func (m *move) keyword(i int, word string) string {
	if isLower(m.view.file.Source(m.view.stage.Instructions[i].Lines)) {
		return strings.ToLower(word)
	}
	return word
}

func isLower(source string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(source), " ")
	return word == strings.ToLower(word)
}

// indent returns the white space that an instruction's line begins with.
func (m *move) indent(i int) string {
	line := m.view.file.Source(m.view.stage.Instructions[i].Lines)
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

func endLine(text string) string {
	if strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}
