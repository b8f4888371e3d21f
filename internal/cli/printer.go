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

// A printer writes text for people to one stream. It uses the terminal's sixteen
// colours, and only if the stream is a terminal and NO_COLOR is unset
// (https://no-color.org). Write errors are ignored.
type printer struct {
	w      io.Writer
	colour bool
	width  int // of the terminal, in columns; 0 if lines may be of any length
	height int // of the terminal, in lines; 0 if the stream is no terminal
}

func newPrinter(w io.Writer, getenv func(string) string) printer {
	p := printer{w: w}
	p.width, _ = strconv.Atoi(getenv("COLUMNS"))
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return p
	}
	p.colour = getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	p.height = 24 // unless the terminal tells
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

// json writes v as one line of JSON.
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

// severity colours text by the severity of a finding.
func (p printer) severity(level, text string) string {
	switch level {
	case "error":
		return p.bad(text)
	case "warning":
		return p.warn(text)
	}
	return p.dim(text)
}

// pieces writes a list, which must not be empty, on one line with two spaces between
// the pieces. Pieces that do not fit go on further lines.
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

// table writes rows below a head, with two spaces between columns, or one if two do
// not fit. A column whose heading begins with a space is aligned to the right. Cells
// are never cut: the caller shortens long ones.
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

// widths returns the width of each column of a table. Cells beyond those of head
// are ignored.
func widths(head []string, rows [][]string) []int {
	widths := make([]int, len(head))
	for _, row := range append([][]string{head}, rows...) {
		for i := range head {
			widths[i] = max(widths[i], lipgloss.Width(strings.TrimSpace(row[i])))
		}
	}
	return widths
}

// fit shortens a path to the width that is left on a line with others columns in use.
// It cuts the middle, because the two ends of a path say most.
func (p printer) fit(text string, others int) string {
	if p.width == 0 {
		return text
	}
	return shorten(text, max(p.width-others, 12))
}

// pipedStep is the most columns of a step's name that are written to a pipe. The
// name of a RUN may be a whole script.
const pipedStep = 160

// fitStep is like fit for the name of a step, which it puts on one line. It cuts the
// end, because the beginning says which step it is.
func (p printer) fitStep(name string, others int) string {
	name = oneLine(name)
	if p.width == 0 {
		return clip(name, pipedStep)
	}
	return clip(name, max(p.width-others, 12))
}

// share splits the width that others columns leave between two columns of a table,
// and returns the width of each. Each gets what its longest text needs if there is
// room for both. If not, the second gets at least a third of the room, or what it
// needs if that is less, and the first gets the rest.
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

// shorten cuts text to a width of at least 1, with "…" for what it cuts out of the
// middle.
func shorten(text string, width int) string {
	if lipgloss.Width(text) <= width {
		return text
	}
	head := begin(text, (width-1)/2)
	return head + "…" + end(text[len(head):], width-1-lipgloss.Width(head))
}

// clip cuts text to a width of at least 1, with "…" for what it cuts off the end.
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
