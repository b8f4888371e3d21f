package dockerfile

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An Edit replaces whole lines of a text. Lines count in the text as it was
// before any edit, so that edits made apart from each other can be applied
// together.
type Edit struct {
	// Lines are replaced; an empty range, To being From-1, inserts before line
	// From, which may be one past the last.
	Lines Lines
	// Text is what stands there afterwards: "" or whole lines.
	Text string
}

// Insert returns the edit that puts text before a line.
func Insert(line int, text string) Edit {
	return Edit{Lines: Lines{line, line - 1}, Text: text}
}

// Source returns lines of the file as they are written, line breaks included.
func (f *File) Source(l Lines) string {
	src := newSource(f.Text)
	if l.From < 1 || l.To < l.From || l.To >= len(src.starts) {
		return ""
	}
	return string(f.Text[src.starts[l.From-1]:src.starts[l.To]])
}

// Apply makes the edits. Everything outside their lines stays byte for byte;
// their own lines take the line ending of the file where it has only one.
// Insertions before the same line keep their order. Edits that touch the same
// line are an error, and nothing is changed.
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
	done := 0 // lines already written or replaced
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

// writeLines appends text, which is whole lines.
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

// endLine ends a last line that had no line break, now that more follows.
func endLine(out *bytes.Buffer, crlf bool) {
	if b := out.Bytes(); len(b) == 0 || b[len(b)-1] == '\n' {
		return
	}
	if crlf {
		out.WriteByte('\r')
	}
	out.WriteByte('\n')
}
