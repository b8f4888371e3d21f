package dockerfile

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// bom may start a file; the parser skips it.
var bom = []byte("\xef\xbb\xbf")

// A source is a file's text by lines.
type source struct {
	text       []byte
	starts     []int // starts[i] is where line i+1 begins; one more for the end
	directives int   // lines at the top that are parser directives
}

func newSource(text []byte) *source {
	s := &source{text: text, starts: []int{0}}
	for i, c := range text {
		if c == '\n' && i+1 < len(text) {
			s.starts = append(s.starts, i+1)
		}
	}
	s.starts = append(s.starts, len(text))
	var p parser.DirectiveParser
	for n := 1; n < len(s.starts); n++ {
		line, _ := s.line(n)
		if d, err := p.ParseLine(bytes.TrimLeftFunc(line, unicode.IsSpace)); err != nil || d == nil {
			break
		}
		s.directives = n
	}
	return s
}

// line returns line n, counting from 1, without its line break, and where it
// begins; a byte order mark is no part of it.
func (s *source) line(n int) ([]byte, int) {
	if n < 1 || n >= len(s.starts) {
		return nil, len(s.text)
	}
	from := s.starts[n-1]
	line := bytes.TrimRight(s.text[from:s.starts[n]], "\r\n")
	if n == 1 && bytes.HasPrefix(line, bom) {
		return line[len(bom):], from + len(bom)
	}
	return line, from
}

// commentsAbove returns the block of comment lines that ends right above line n.
func (s *source) commentsAbove(n int) Lines {
	var block Lines
	for at := n - 1; at > s.directives; at-- {
		if line, _ := s.line(at); !isComment(line) {
			break
		}
		block.From = at
		block.To = n - 1
	}
	return block
}

func isComment(line []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeftFunc(line, unicode.IsSpace), []byte("#"))
}

// A line that ends in the escape character goes on in the next; two of them do
// not (BuildKit: parser.directives.setEscapeToken, whose expressions these are).
var (
	continuedBackslash = regexp.MustCompile(`([^\\])\\[ \t]*$|^\\[ \t]*$`)
	continuedBacktick  = regexp.MustCompile("([^`])`[ \t]*$|^`[ \t]*$")
)

// cut returns what of line counts, and whether the next line continues it.
func cut(line []byte, escape byte) (rest []byte, continued bool) {
	re := continuedBackslash
	if escape == '`' {
		re = continuedBacktick
	}
	at := re.FindSubmatchIndex(line)
	switch {
	case at == nil:
		return line, false
	case at[3] >= 0: // keep the character before the escape
		return line[:at[3]], true
	}
	return nil, true
}

// offsets returns where each byte of a RUN's script stands in the text, or nil
// if the lines, joined as the parser joins them, are not what it says.
func (s *source) offsets(node *parser.Node, escape byte, script string) []int {
	var joined []byte
	var at []int
	for n := node.StartLine; n <= node.EndLine; n++ {
		line, from := s.line(n)
		if n == node.StartLine {
			trimmed := bytes.TrimLeftFunc(line, unicode.IsSpace)
			from += len(line) - len(trimmed)
			line = trimmed
		} else if isComment(line) || len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		rest, continued := cut(line, escape)
		for i := range rest {
			at = append(at, from+i)
		}
		joined = append(joined, rest...)
		if !continued {
			break
		}
	}
	text := strings.TrimRightFunc(string(joined), unicode.IsSpace)
	if string(joined) != node.Original || script == "" || !strings.HasSuffix(text, script) {
		return nil
	}
	return at[len(text)-len(script) : len(text)]
}
