package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stokerd/stoker/internal/api"
)

// buildMarkdown writes the report as a comment for a pull request: the limits first, and details folded.
func buildMarkdown(w io.Writer, b api.BuildReport) {
	m := markdown{w}
	verdict := "✅"
	if !b.OK {
		verdict = "❌"
	}
	m.line("## %s %s", verdict, m.text(b.Definition))
	m.line("")
	if b.Status == "completed" {
		m.line("Built in %s on %s, %d of %s reused.", seconds(b.Seconds), m.text(b.Builder), b.Hits, plural(b.Needed, "step"))
	} else {
		m.line("The build failed after %s: %s", seconds(b.Seconds), m.text(b.Error))
	}
	if len(b.Gates) > 0 {
		m.table("Limit", "", "What was seen")
		for _, g := range b.Gates {
			m.row(g.Gate, map[bool]string{true: "passed", false: "**failed**"}[g.OK], m.text(g.Text))
		}
	}
	if b.Image != nil {
		m.image(*b.Image)
	}
	if b.Scan != nil {
		m.scan(b.Scan)
	}
	if b.Smoke != nil {
		m.line("\n### Run\n")
		if b.Smoke.Problem != "" {
			m.line("Not tried: %s", m.text(b.Smoke.Problem))
		}
		for _, c := range b.Smoke.Checks {
			m.line("- %s: %s, %s", c.Name, c.State, m.text(c.Text))
		}
	}
	if len(b.Suggestions) > 0 {
		m.line("\n### Suggestions\n")
		for _, s := range b.Suggestions {
			m.line("- %s (%s) %s", m.text(s.Title), m.code(fmt.Sprintf("%s:%s", s.File, lines(s.Lines))), saves(s))
		}
	}
	m.folded("Steps", func() {
		m.table("Outcome", "Step", "Time", "Cause")
		for _, s := range b.Steps {
			cause := ""
			if s.Cause != nil {
				cause = m.text(s.Cause.Text)
			}
			m.row(s.Outcome, m.code(oneLine(s.Name)), seconds(s.Seconds), cause)
		}
	})
	for _, note := range b.Notes {
		m.line("\n> %s", m.text(note))
	}
}

type markdown struct{ w io.Writer }

func (m markdown) line(format string, args ...any) { fmt.Fprintf(m.w, format+"\n", args...) }

// text escapes markup in a text on one line, so that the name of a file cannot make a link or a heading.
func (m markdown) text(s string) string {
	var b strings.Builder
	for _, r := range visible(strings.Join(strings.Fields(s), " "), nil) {
		if strings.ContainsRune("\\`*_{}[]<>()#+!|~&@", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// code quotes a text as code. It uses more backticks than the text has in a row, and replaces bars, which would end the
// cell of a table.
func (m markdown) code(s string) string {
	s = strings.ReplaceAll(visible(s, nil), "|", "¦")
	longest, run := 0, 0
	for _, r := range s {
		run++
		if r != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	ticks := strings.Repeat("`", longest+1)
	if longest > 0 {
		s = " " + s + " "
	}
	return ticks + s + ticks
}

func (m markdown) table(head ...string) {
	m.line("")
	m.row(head...)
	m.line("|%s", strings.Repeat("---|", len(head)))
}

func (m markdown) row(cells ...string) { m.line("| %s |", strings.Join(cells, " | ")) }

func (m markdown) folded(title string, inside func()) {
	m.line("\n<details><summary>%s</summary>", title)
	inside()
	m.line("\n</details>")
}

func (m markdown) image(a api.Image) {
	m.line("\n### Image\n")
	m.line("%s unpacked, %s compressed, %s, efficiency %.1f%%, %s that no container sees.", bytes(a.Unpacked), bytes(a.Stored),
		plural(len(a.Layers), "layer"), a.Efficiency*100, bytes(a.Hidden))
	m.folded("Layers", func() {
		m.table("#", "Size", "Compressed", "Hidden", "Instruction")
		for _, l := range a.Layers {
			m.row(fmt.Sprint(l.Number), bytes(l.Unpacked), bytes(l.Stored), bytes(l.Hidden), m.code(clip(oneLine(l.Instruction), 120)))
		}
	})
	m.folded("Biggest files", func() {
		m.table("Size", "Layer", "File")
		for _, f := range a.Biggest[:min(len(a.Biggest), 20)] {
			m.row(bytes(f.Size), fmt.Sprint(f.Layer), m.code(visible(f.Path, f.PathBytes)))
		}
	})
}

func (m markdown) scan(s *api.BuildScan) {
	m.line("\n### Vulnerabilities\n")
	if s.Scanner == "" {
		m.line("Not scanned: %s", m.text(notScanned(s)))
		return
	}
	m.line("%s.", m.text(scanned(s, time.Now())))
	if len(s.Findings) == 0 {
		return
	}
	m.folded("Findings", func() {
		m.table("Severity", "ID", "Package", "Installed", "Fixed in")
		const enough = 100 // a comment has a size limit
		for _, f := range s.Findings[:min(len(s.Findings), enough)] {
			m.row(f.Severity, m.text(f.ID), m.text(f.Package), m.text(f.Installed), m.text(f.Fixed))
		}
		if left := len(s.Findings) - enough; left > 0 {
			m.line("\nand %d more", left)
		}
	})
}
