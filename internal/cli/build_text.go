package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/report"
)

// How many files and vulnerabilities are printed. JSON and HTML have more.
const (
	buildFiles    = 5
	buildFindings = 10
)

// print prints the report as text: how the build went, and then what deserves a look.
func (c *buildOptions) print(b api.BuildReport) {
	p := c.out
	head := []string{p.bold(b.Definition), "built in " + seconds(b.Seconds), fmt.Sprintf("%d/%s hit", b.Hits, plural(b.Needed, "step"))}
	if b.Status != "completed" {
		word := p.bad("failed")
		if b.Status == "canceled" {
			word = p.warn("interrupted")
		}
		head = []string{p.bold(b.Definition), word, "after " + seconds(b.Seconds)}
	}
	p.pieces(head)
	if b.Error != "" {
		p.fact("error", p.bad(b.Error))
	}
	if b.Digest != "" {
		p.fact("image", b.Digest+handedOn(b))
	}
	c.printBuildSteps(b.Steps)
	if b.Image != nil {
		c.printBuildImage(*b.Image)
	}
	c.printScan(b.Scan)
	c.printSmoke(b.Smoke)
	if len(b.Suggestions) > 0 {
		p.line()
		p.line(p.dim("what would make it better"))
		for _, s := range b.Suggestions {
			p.wrapped("  ", strings.TrimSpace(s.Title+"  "+saves(s))+"  "+p.dim(fmt.Sprintf("%s:%s %s", s.File, lines(s.Lines), s.Rule)))
		}
	}
	c.notes(b.Notes)
	if len(b.Gates) > 0 && b.Status == "completed" {
		p.line()
		for _, g := range b.Gates {
			word := p.good("passed")
			if !g.OK {
				word = p.bad("failed")
			}
			p.wrapped(word+"  ", g.Gate+": "+g.Text)
		}
	}
}

func handedOn(b api.BuildReport) string {
	var words []string
	for _, did := range []struct {
		is   bool
		word string
	}{{b.Pushed, "pushed"}, {b.Signed, "signed"}, {b.Loaded, "loaded"}} {
		if did.is {
			words = append(words, did.word)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return ", " + strings.Join(words, " and ") + " as " + strings.Join(b.Tags, " and ")
}

func saves(s api.BuildAdvice) string {
	var words []string
	if s.SavesSeconds >= 0.5 { // see suggest.Little
		words = append(words, "saves "+seconds(s.SavesSeconds)+" per build")
	}
	if s.SavesBytes > 0 {
		words = append(words, "saves "+about(s.SavesBytes, s.SavesSeconds, s.Costs))
	}
	return strings.Join(words, ", ")
}

func (c *buildOptions) printBuildSteps(steps []api.WhyStep) {
	p := c.out
	for _, s := range steps {
		p.step(s)
		if s.Cause != nil {
			p.wrapped("            ", s.Cause.Text)
			p.versions("            ", s.Cause.Kind, s.Cause.Before, s.Cause.After)
		}
	}
}

func (c *buildOptions) printBuildImage(a api.Image) {
	p := c.out
	p.line()
	p.fact("holds", fmt.Sprintf("%s unpacked, %s compressed, %s, %s, for %s", bytes(a.Unpacked), bytes(a.Stored),
		plural(len(a.Layers), "layer"), plural(a.Files, "file"), a.Platform))
	i := imageOptions{options: c.options, all: true}
	i.printFacts(withoutFrom(a))
	i.printLayers(a.Layers)
	if n := min(len(a.Biggest), buildFiles); n > 0 {
		p.line()
		p.line(p.dim("the biggest files"))
		for _, f := range a.Biggest[:n] {
			p.line(fmt.Sprintf("  %8s  layer %-2d  %s", bytes(f.Size), f.Layer, p.fit(visible(f.Path, f.PathBytes), 22)))
		}
	}
	i.printLeftovers(a.Leftovers[:min(len(a.Leftovers), buildFiles)])
	c.more(len(a.Leftovers) - buildFiles)
	i.printSecrets(a.Secrets[:min(len(a.Secrets), buildFindings)])
	c.more(len(a.Secrets) - buildFindings)
	c.notes(a.Notes)
}

// more says that left more entries are not printed.
func (c *buildOptions) more(left int) {
	if left > 0 {
		c.out.line("  " + c.out.dim(fmt.Sprintf("and %d more (--json, --html)", left)))
	}
}

// withoutFrom removes from an image what the report says elsewhere.
func withoutFrom(a api.Image) api.Image {
	a.From = "the result of this build"
	return a
}

func (c *buildOptions) printScan(s *api.BuildScan) {
	if s == nil {
		return
	}
	p := c.out
	p.line()
	if s.Scanner == "" {
		p.fact("scan", p.warn("not scanned: ")+notScanned(s))
		return
	}
	p.fact("scan", scanned(s, time.Now()))
	for _, f := range s.Findings[:min(len(s.Findings), buildFindings)] {
		level := "warning"
		if f.Severity == "critical" || f.Severity == "high" {
			level = "error"
		}
		fixed := "no fix"
		if f.Fixed != "" {
			fixed = "fixed in " + f.Fixed
		}
		p.wrapped(fmt.Sprintf("  %s ", p.severity(level, fmt.Sprintf("%-8s", f.Severity))),
			fmt.Sprintf("%s  %s %s, %s  %s", f.ID, f.Package, f.Installed, fixed, p.dim(f.Title)))
	}
	c.more(len(s.Findings) - buildFindings)
}

func notScanned(s *api.BuildScan) string {
	var words []string
	for _, t := range s.Tried {
		if strings.HasSuffix(t.Reason, " is not installed") {
			words = append(words, t.Reason)
		} else {
			words = append(words, t.Scanner+": "+t.Reason)
		}
	}
	if s.Hint != "" {
		words = append(words, s.Hint)
	}
	return strings.Join(words, "; ")
}

// scanned says what the scanner found, and how old its database is.
func scanned(s *api.BuildScan, now time.Time) string {
	var words []string
	for _, n := range []struct {
		count int
		word  string
	}{{s.Critical, "critical"}, {s.High, "high"}, {s.Medium, "medium"}, {s.Low, "low"}, {s.Unknown, "of unknown severity"}} {
		if n.count > 0 {
			words = append(words, fmt.Sprintf("%d %s", n.count, n.word))
		}
	}
	text := "no known vulnerabilities"
	if len(words) > 0 {
		text = strings.Join(words, ", ")
	}
	text += ", by " + strings.TrimSpace(s.Scanner+" "+s.Version)
	if old, ok := report.DatabaseAge(s, now); ok {
		text += ", whose database is " + age(old) + " old"
	} else {
		text += ", which does not tell how old its database is"
	}
	return text
}

func (c *buildOptions) printSmoke(s *api.BuildSmoke) {
	if s == nil {
		return
	}
	p := c.out
	p.line()
	switch {
	case s.Problem != "":
		p.fact("run", p.bad("not tried: ")+s.Problem)
		return
	case s.Memory > 0:
		p.fact("run", fmt.Sprintf("ready within %s, %s of memory", seconds(s.Seconds), bytes(s.Memory)))
	case s.How != "":
		p.fact("run", s.How)
	default:
		p.fact("run", "never ready")
	}
	for _, check := range s.Checks {
		word := fmt.Sprintf("%-7s", check.State)
		switch check.State {
		case "passed":
			word = p.good(word)
		case "failed":
			word = p.bad(word)
		default:
			word = p.dim(word)
		}
		p.wrapped("  "+word+"  "+fmt.Sprintf("%-7s", check.Name), check.Text)
	}
}
