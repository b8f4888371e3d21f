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
	// If nothing runs between, the manifests take the place of the sources.
	inPlace := m.inPlace || !slices.ContainsFunc(ins[m.moved[0]+1:m.last], func(in dockerfile.Instruction) bool { return in.Run != nil })
	edits, moved := m.takeOut(inPlace)
	for _, list := range m.groups() {
		if inPlace && list[0].install == m.needs[0].install {
			continue
		}
		edits = append(edits, dockerfile.Insert(ins[list[0].install].Whole().From, m.copies(list, true)))
	}
	top, text := last.Whole().From, moved
	if blank(f, top-1) && inPlace && ins[m.moved[0]].Lines.To < top-1 {
		text = "\n" + text
	}
	switch {
	case m.download:
		if blank(f, top-1) {
			moved += "\n"
		}
		run := m.indent(m.moved[0]) + m.keyword(m.moved[0], "RUN") + " go mod download\n"
		edits = append(edits, dockerfile.Insert(top, run+moved))
	case m.run.tail:
		head, tail := m.cut()
		edits = append(edits, dockerfile.Edit{Lines: last.Lines, Text: head + text + tail})
	default:
		edits = append(edits, dockerfile.Insert(last.Lines.To+1, text))
	}
	return edits
}

// takeOut returns the edits that remove the moved COPYs, with the COPYs of the first manifests in
// the place of the first one if inPlace says so, and the text of what they remove.
func (m *move) takeOut(inPlace bool) (edits []dockerfile.Edit, moved string) {
	f, ins := m.view.file, m.view.stage.Instructions
	for n, i := range m.moved {
		whole := ins[i].Whole()
		moved += f.Source(dockerfile.Lines{From: whole.From, To: ins[i].Lines.From - 1}) + endLine(m.movedText(i))
		text := ""
		if n == 0 && inPlace {
			text = m.firstCopies()
		}
		if text == "" {
			whole = m.withBlank(whole)
		}
		edits = append(edits, dockerfile.Edit{Lines: whole, Text: text})
	}
	return edits, moved
}

// groups returns the needs, grouped by install.
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

// firstCopies returns the COPYs of the manifests of the first install, or "" if there are none.
func (m *move) firstCopies() string {
	if len(m.needs) == 0 {
		return ""
	}
	return m.copies(m.groups()[0], false)
}

// movedText returns the text of a moved COPY at its new place.
func (m *move) movedText(i int) string {
	if slices.Contains(m.absolute, i) {
		text, _ := m.inFull(i)
		return text
	}
	return m.view.file.Source(m.view.stage.Instructions[i].Lines)
}

// inFull returns the text of a COPY with its destination as an absolute path. It reports false if
// that is not known, or if the text does not end with the destination as it is.
func (m *move) inFull(i int) (string, bool) {
	ins := m.view.stage.Instructions[i]
	dest := m.view.dest(i)
	if !path.IsAbs(dest) || strings.Contains(ins.Copy.Dest, "$") {
		return "", false
	}
	source := m.view.file.Source(ins.Lines)
	list, closed := strings.CutSuffix(strings.TrimRight(source, " \t\r\n"), `"]`) // of a list of words
	before, ok := strings.CutSuffix(list, ins.Copy.Dest)
	apart := strings.HasSuffix(before, " ") || strings.HasSuffix(before, "\t")
	if closed {
		apart = strings.HasSuffix(before, `"`)
	}
	if !ok || !apart {
		return "", false
	}
	if base := path.Base(ins.Copy.Dest); strings.HasSuffix(ins.Copy.Dest, "/") || base == "." || base == ".." {
		dest = strings.TrimSuffix(dest, "/") + "/"
	}
	return before + dest + source[len(list):], true
}

// copies returns the COPYs of the manifests of an install: one for each folder, or a single one
// with --parents if the frontend is recent enough (docker/dockerfile 1.20). further says that
// they do not take the place of the COPY that brings the manifests today.
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

// destination returns the destination for a COPY of manifests that instruction i brings today,
// without a slash at the end.
func (m *move) destination(i int, further bool) string {
	if further && slices.Contains(m.absolute, i) {
		return strings.TrimRight(m.view.dest(i), "/")
	}
	return strings.TrimRight(m.view.stage.Instructions[i].Copy.Dest, "/")
}

// parents returns a COPY --parents of manifests in several folders, or false if they are not
// all brought by one COPY of the whole context. Files of the same name in all folders beside
// each other become a pattern, so that it also copies that of a new folder.
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

// bringsAll reports whether a pattern matches several files of needs, and no other file.
func (m *move) bringsAll(list []need, pattern string) bool {
	found := glob(m.context, pattern)
	return len(found) > 1 && !slices.ContainsFunc(found, func(p string) bool {
		return !slices.ContainsFunc(list, func(n need) bool { return slices.Contains(n.files, p) })
	})
}

// withBlank returns lines that are to be removed: if they stand between two blank lines, with the
// one below.
func (m *move) withBlank(l dockerfile.Lines) dockerfile.Lines {
	if blank(m.view.file, l.From-1) && blank(m.view.file, l.To+1) {
		l.To++
	}
	return l
}

// blank reports whether there is a line with this number, and it is blank.
func blank(f *dockerfile.File, line int) bool {
	text := f.Source(dockerfile.Lines{From: line, To: line})
	return text != "" && strings.TrimSpace(text) == ""
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

// copyText returns the COPY of some manifests, with the owner, mode and link of the COPY that
// brings them today.
func (m *move) copyText(n need, further bool) string {
	words := append([]string{m.keyword(n.from, "COPY")}, m.copyFlags(n.from)...)
	dest := m.destination(n.from, further)
	if rel, ok := below(m.view.dest(n.from), n.dir); ok && rel != "." {
		dest += "/" + rel
	} else if !ok {
		// The destination of a COPY of single files may be the file itself.
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

// copyFlags returns the flags of a COPY that apply to each of its files.
func (m *move) copyFlags(i int) []string {
	var flags []string
	for _, flag := range m.view.stage.Instructions[i].Flags {
		if strings.HasPrefix(flag, "--chown=") || strings.HasPrefix(flag, "--chmod=") || flag == "--link" || strings.HasPrefix(flag, "--link=") {
			flags = append(flags, flag)
		}
	}
	return flags
}

// keyword returns a keyword in the case that an instruction uses.
func (m *move) keyword(i int, word string) string {
	if isLower(m.view.file.Source(m.view.stage.Instructions[i].Lines)) {
		return strings.ToLower(word)
	}
	return word
}

// isLower reports whether the keyword of an instruction is in lower case.
func isLower(source string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(source), " ")
	return word == strings.ToLower(word)
}

// indent returns the indentation of an instruction.
func (m *move) indent(i int) string {
	line := m.view.file.Source(m.view.stage.Instructions[i].Lines)
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// endLine returns text with a line break at its end.
func endLine(text string) string {
	if strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}
