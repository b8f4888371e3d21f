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
		moved.WriteString(endLine(f.Source(whole)))
		if n > 0 || !inPlace || m.text0() == "" {
			whole = m.withBlank(whole)
		}
		e := dockerfile.Edit{Lines: whole}
		if n == 0 && inPlace {
			e.Text = m.text0()
		}
		edits = append(edits, e)
	}
	for _, n := range m.needs {
		if inPlace && n.install == m.needs[0].install {
			continue
		}
		edits = append(edits, dockerfile.Insert(ins[n.install].Whole().From, m.copyText(n)))
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

// text0 returns the COPYs of the manifests of the first install.
func (m *move) text0() string {
	var b strings.Builder
	for _, n := range m.needs {
		if n.install == m.needs[0].install {
			b.WriteString(m.copyText(n))
		}
	}
	return b.String()
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
// with the same flags.
func (m *move) cut() (head, tail string) {
	in, text := m.view.stage.Instructions[m.last], m.view.file.Text
	start := m.offset(in.Lines.From)
	end := m.offset(in.Lines.To + 1)
	script, _ := in.Run.Offset(0)
	headEnd, _ := in.Run.Offset(m.run.headEnd - 1)
	tailFrom, _ := in.Run.Offset(m.run.tailFrom)
	return string(text[start:headEnd+1]) + "\n", string(text[start:script]) + endLine(string(text[tailFrom:end]))
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
func (m *move) copyText(n need) string {
	from := m.view.stage.Instructions[n.from]
	words := []string{m.keyword(n.from, "COPY")}
	for _, flag := range from.Flags {
		if strings.HasPrefix(flag, "--chown=") || strings.HasPrefix(flag, "--chmod=") || flag == "--link" || strings.HasPrefix(flag, "--link=") {
			words = append(words, flag)
		}
	}
	dest := strings.TrimRight(from.Copy.Dest, "/")
	if rel, ok := below(m.view.dest(n.from), n.dir); ok && rel != "." {
		dest += "/" + rel
	} else if !ok {
		// A COPY of single files names the folder or the file itself.
		dest = path.Dir(dest)
	}
	dest += "/"
	list := append(slices.Clone(n.files), dest)
	if slices.ContainsFunc(list, func(s string) bool { return strings.ContainsAny(s, " \t\"") }) {
		words = append(words, `["`+strings.Join(list, `", "`)+`"]`)
	} else {
		words = append(words, list...)
	}
	return m.indent(n.from) + strings.Join(words, " ") + "\n"
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
