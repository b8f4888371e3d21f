package dockerfile

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An Edit replaces whole lines of a text. Lines are numbered as in the text before any
// edit, so that edits which were made separately can be applied together.
type Edit struct {
	// Lines are replaced. If the range is empty, which means that To is From-1, Text is
	// inserted before line From, which may be one past the last line.
	Lines Lines
	// Text is "" or whole lines.
	Text string
}

// Insert returns the edit that inserts text before a line.
func Insert(line int, text string) Edit {
	return Edit{Lines: Lines{line, line - 1}, Text: text}
}

// Source returns lines of the file as they are written, with their line breaks, or "" if
// the file does not have all of them.
func (f *File) Source(l Lines) string {
	if l.From < 1 || l.To < l.From {
		return ""
	}
	at, from := 0, 0 // where the line begins, and the first one
	for n := 1; ; n++ {
		if n == l.From {
			from = at
		}
		end := bytes.IndexByte(f.Text[at:], '\n')
		last := end < 0 || at+end+1 == len(f.Text)
		switch {
		case last && n < l.To:
			return ""
		case last:
			return string(f.Text[from:])
		}
		at += end + 1
		if n == l.To {
			return string(f.Text[from:at])
		}
	}
}

// Apply returns the text with the edits made. Lines that no edit replaces stay the same
// byte for byte. Those of edits end with CRLF if all lines of the text do. Insertions
// before the same line are made in their order in edits. Edits of the same line are an
// error.
func Apply(text []byte, edits []Edit) ([]byte, error) {
	src := newSource(text)
	last := len(src.starts) - 1 // number of lines
	if len(text) == 0 {
		last = 0
	}
	sorted := slices.Clone(edits)
	slices.SortStableFunc(sorted, func(a, b Edit) int {
		return cmp.Or(cmp.Compare(a.Lines.From, b.Lines.From), cmp.Compare(a.Lines.To, b.Lines.To))
	})
	crlf := onlyCRLF(text)
	var out bytes.Buffer
	done := 0 // number of lines of text that are written or replaced
	for _, e := range sorted {
		if e.Lines.From < 1 || e.Lines.To < e.Lines.From-1 || e.Lines.To > last || e.Lines.From > last+1 {
			return nil, fmt.Errorf("edit lines %d-%d: the file has %d lines", e.Lines.From, e.Lines.To, last)
		}
		if e.Lines.From <= done {
			return nil, fmt.Errorf("edit lines %d-%d: line %d is changed by another edit", e.Lines.From, e.Lines.To, done)
		}
		out.Write(text[src.starts[done]:src.starts[e.Lines.From-1]])
		writeLines(&out, e.Text, crlf)
		done = e.Lines.To
	}
	if done < last {
		endLine(&out, crlf)
		out.Write(text[src.starts[done]:])
	}
	return out.Bytes(), nil
}

// onlyCRLF reports whether every line of text ends in CRLF.
func onlyCRLF(text []byte) bool {
	n := bytes.Count(text, []byte("\n"))
	return n > 0 && n == bytes.Count(text, []byte("\r\n"))
}

// writeLines appends whole lines, with CRLF instead of LF if crlf is true.
func writeLines(out *bytes.Buffer, text string, crlf bool) {
	if text == "" {
		return
	}
	endLine(out, crlf)
	for line := range strings.Lines(text) {
		if body, ok := strings.CutSuffix(line, "\n"); ok && crlf && !strings.HasSuffix(body, "\r") {
			line = body + "\r\n"
		}
		out.WriteString(line)
	}
}

// endLine appends a line break if out ends without one, since more lines follow.
func endLine(out *bytes.Buffer, crlf bool) {
	if b := out.Bytes(); len(b) == 0 || b[len(b)-1] == '\n' {
		return
	}
	if crlf {
		out.WriteByte('\r')
	}
	out.WriteByte('\n')
}
