package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"charm.land/lipgloss/v2"
	"golang.org/x/term"
)

// A printer writes text for people to one stream. Colours are the terminal's
// own sixteen, and only where the stream is a terminal (https://no-color.org).
type printer struct {
	w      io.Writer
	colour bool
	width  int // of the terminal; 0 where lines may be as long as they are
	height int // of the terminal; 0 where there is none
}

func newPrinter(w io.Writer, getenv func(string) string) printer {
	p := printer{w: w}
	p.width, _ = strconv.Atoi(getenv("COLUMNS"))
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return p
	}
	p.colour = getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	p.height = 24 // what a terminal that does not tell is taken for
	if width, height, err := term.GetSize(int(f.Fd())); err == nil && width > 0 && height > 0 {
		p.width, p.height = width, height
	}
	return p
}

// line writes words with single spaces between them.
func (p printer) line(words ...string) {
	fmt.Fprintln(p.w, strings.Join(words, " "))
}

func (p printer) printf(format string, args ...any) { fmt.Fprintf(p.w, format, args...) }

// json writes v as the result of a command.
func (p printer) json(v any) error {
	enc := json.NewEncoder(p.w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func (p printer) paint(s lipgloss.Style, text string) string {
	if !p.colour || text == "" {
		return text
	}
	return s.Render(text)
}

func (p printer) bold(text string) string { return p.paint(lipgloss.NewStyle().Bold(true), text) }
func (p printer) dim(text string) string  { return p.paint(lipgloss.NewStyle().Faint(true), text) }

func (p printer) good(text string) string {
	return p.paint(lipgloss.NewStyle().Foreground(lipgloss.Green), text)
}

func (p printer) warn(text string) string {
	return p.paint(lipgloss.NewStyle().Foreground(lipgloss.Yellow), text)
}

func (p printer) bad(text string) string {
	return p.paint(lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Red), text)
}

// severity colours text as serious as a finding is.
func (p printer) severity(level, text string) string {
	switch level {
	case "error":
		return p.bad(text)
	case "warning":
		return p.warn(text)
	}
	return p.dim(text)
}

// pieces writes what belongs into one line two spaces apart, in further lines what
// does not fit.
func (p printer) pieces(list []string) {
	line := list[0]
	for _, piece := range list[1:] {
		if next := line + "  " + piece; p.width == 0 || lipgloss.Width(next) <= p.width {
			line = next
			continue
		}
		p.line(line)
		line = "  " + piece
	}
	p.line(line)
}

// table writes rows with the columns two spaces apart, one where two do not fit. A
// column whose heading begins with a space is aligned to the right. Nothing is cut:
// who writes a row cuts what may be long.
func (p printer) table(head []string, rows [][]string) {
	widths := widths(head, rows)
	gap, whole := "  ", 2*(len(widths)-1)
	for _, w := range widths {
		whole += w
	}
	if p.width > 0 && whole > p.width {
		gap = " "
	}
	write := func(row []string, style func(string) string) {
		var b strings.Builder
		for i, cell := range row {
			cell = strings.TrimSpace(cell)
			pad := strings.Repeat(" ", widths[i]-lipgloss.Width(cell))
			if strings.HasPrefix(head[i], " ") {
				b.WriteString(pad + style(cell))
			} else {
				b.WriteString(style(cell) + pad)
			}
			b.WriteString(gap)
		}
		fmt.Fprintln(p.w, strings.TrimRight(b.String(), " "))
	}
	write(head, p.dim)
	for _, row := range rows {
		write(row, func(s string) string { return s })
	}
}

// widths are those of a table's columns; rows may have more cells than head.
func widths(head []string, rows [][]string) []int {
	widths := make([]int, len(head))
	for _, row := range append([][]string{head}, rows...) {
		for i := range head {
			widths[i] = max(widths[i], lipgloss.Width(strings.TrimSpace(row[i])))
		}
	}
	return widths
}

// fit shortens text to the width that is left beside others, in the middle:
// of a path, both ends tell most.
func (p printer) fit(text string, others int) string {
	if p.width == 0 {
		return text
	}
	return shorten(text, max(p.width-others, 12))
}

// pipedStep is how much a pipe gets of a step's name: a RUN may be a whole script,
// and is one line of many.
const pipedStep = 160

// fitStep is fit for the name of a step, which is told in one line: which one it is
// stands at the beginning.
func (p printer) fitStep(name string, others int) string {
	name = oneLine(name)
	if p.width == 0 {
		return clip(name, pipedStep)
	}
	return clip(name, max(p.width-others, 12))
}

// share splits the width beside others between two columns of texts: each gets
// what it needs if there is room, else the first one what the second leaves of
// it, which keeps at least a third.
func (p printer) share(others int, first, second []string) (int, int) {
	longest := func(texts []string) (n int) {
		for _, text := range texts {
			n = max(n, lipgloss.Width(text))
		}
		return n
	}
	a, b := longest(first), longest(second)
	if room := max(p.width-others, 24); p.width > 0 && a+b > room {
		b = min(b, max(room-a, room/3))
		a = room - b
	}
	return a, b
}

// shorten leaves out of the middle what of text is beyond a width, which is 1 at
// least.
func shorten(text string, width int) string {
	if lipgloss.Width(text) <= width {
		return text
	}
	head := begin(text, (width-1)/2)
	return head + "…" + end(text[len(head):], width-1-lipgloss.Width(head))
}

// clip leaves out the end instead.
func clip(text string, width int) string {
	if lipgloss.Width(text) <= width {
		return text
	}
	return begin(text, width-1) + "…"
}

// begin returns as much of the beginning of text as fits.
func begin(text string, width int) string {
	for i, r := range text {
		width -= lipgloss.Width(string(r))
		if width < 0 {
			return text[:i]
		}
	}
	return text
}

// end returns as much of the end of text as fits.
func end(text string, width int) string {
	rest := text
	for rest != "" {
		r, n := utf8.DecodeLastRuneInString(rest)
		width -= lipgloss.Width(string(r))
		if width < 0 {
			break
		}
		rest = rest[:len(rest)-n]
	}
	return text[len(rest):]
}
