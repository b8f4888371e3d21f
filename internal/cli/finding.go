package cli

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/stokerd/stoker/internal/api"
)

// problem prints what keeps a definition or a repository from being computed.
func (p printer) problem(name, text, hint string) {
	start := p.bad("problem") + "  "
	if name != "" {
		start += p.bold(name) + "  "
	}
	p.wrapped(start, text)
	if hint != "" {
		p.wrapped(strings.Repeat(" ", 9), p.dim("hint: "+hint))
	}
}

// findings prints findings and returns how many it left out because of limit,
// where 0 means no limit. dockerfiles maps the name of a definition to the path of
// its Dockerfile. Notes, which are about files that do no harm, are only counted
// once there are more than shownNotes of them.
func (p printer) findings(list []api.Finding, limit int, dockerfiles map[string]string) (left int) {
	isNote := func(f api.Finding) bool { return f.Severity == "note" }
	serious := slices.DeleteFunc(slices.Clone(list), isNote)
	hidden := len(list) - len(serious)
	if hidden > shownNotes {
		list = serious
	} else {
		hidden = 0
	}
	groups := alike(list)
	if limit > 0 && len(groups) > limit {
		for _, g := range groups[limit:] {
			left += len(g)
		}
		groups = groups[:limit]
	}
	for _, g := range groups {
		p.finding(g, dockerfiles[g[0].Definition])
	}
	if hidden > 0 {
		p.line(p.dim(fmt.Sprintf("%-9s%s on files that do no harm as it is: --json lists them", "", plural(hidden, "note"))))
	}
	return left
}

// finding prints a group of alike findings as one: the first, and the lines of the
// others. How far the file gets goes on a line of its own if the whole is too wide.
func (p printer) finding(group []api.Finding, dockerfile string) {
	f := group[0]
	label := fmt.Sprintf("%-7s", label(f.Rule))
	place := f.Path
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d", f.Path, f.Line)
	}
	what := f.Message
	if isSecret(f.Rule) {
		what = f.Rule
	}
	if len(group) > 1 {
		what += alsoOn(group[1:])
	}
	indent := len(label) + 2
	start := p.severity(f.Severity, label) + "  " + p.bold(p.fit(place, indent)) + "  "
	reach := p.reach(f, dockerfile, indent)
	switch whole := start + what + "  " + reach; {
	case reach == "":
		p.wrapped(start, what)
	case p.width == 0 || lipgloss.Width(whole) <= p.width:
		p.line(start + what + "  " + p.dim(reach))
	default:
		p.wrapped(start, what)
		p.wrapped(strings.Repeat(" ", indent), p.dim(reach))
	}
}

// alike groups adjacent findings that differ only in line, fingerprint and message.
func alike(list []api.Finding) (groups [][]api.Finding) {
	for i, f := range list {
		if i > 0 {
			before := list[i-1]
			before.Line, before.Fingerprint, before.Message = f.Line, f.Fingerprint, f.Message
			if f.Line > 0 && reflect.DeepEqual(before, f) {
				groups[len(groups)-1] = append(groups[len(groups)-1], f)
				continue
			}
		}
		groups = append(groups, []api.Finding{f})
	}
	return groups
}

// alsoOn lists the lines of further findings, and counts those after the first few.
func alsoOn(list []api.Finding) string {
	const enough = 4
	var lines []string
	for _, f := range list[:min(len(list), enough)] {
		lines = append(lines, fmt.Sprint(f.Line))
	}
	if more := len(list) - enough; more > 0 {
		lines = append(lines, fmt.Sprintf("%d more", more))
	}
	word := "lines"
	if len(list) == 1 {
		word = "line"
	}
	return fmt.Sprintf(", also on %s %s", word, series(lines))
}

// hyphen stands for "-" while text is wrapped: a private-use character of the same
// width, at which lipgloss does not break lines.
const hyphen = "\uE000"

// wrapped prints start and text, and breaks text into lines that fit the terminal,
// indented to where its first line begins.
func (p printer) wrapped(start, text string) {
	indent := lipgloss.Width(start)
	if p.width == 0 || indent+lipgloss.Width(text) <= p.width {
		p.line(start + text)
		return
	}
	if p.width-indent < 30 {
		p.line(strings.TrimRight(start, " "))
		indent = 9
		start = strings.Repeat(" ", indent)
	}
	// A hyphen is no place to break a line at: names have them, and options begin so.
	text = lipgloss.Wrap(strings.ReplaceAll(text, "-", hyphen), p.width-indent, "")
	for line := range strings.Lines(text) {
		p.line(start + strings.TrimSpace(strings.ReplaceAll(line, hyphen, "-")))
		start = strings.Repeat(" ", indent)
	}
}

// label is the kind of a finding in one word.
func label(rule string) string {
	switch rule {
	case "large-file":
		return "large"
	case "copy-source-missing":
		return "missing"
	case "copy-source-ignored":
		return "ignored"
	case "unreadable-file", "special-file":
		return "file"
	case "broken-link":
		return "link"
	}
	return "secret"
}

func isSecret(rule string) bool { return label(rule) == "secret" }

// reach says how far the file of a finding gets: into an image, a stage, the
// builder or nowhere. It is "" for rules whose message says so itself. The name of
// the step that takes the file is cut to fit a line that has others columns in use.
func (p printer) reach(f api.Finding, dockerfile string, others int) string {
	switch label(f.Rule) {
	case "missing", "ignored", "file", "link":
		return ""
	}
	_, step, _ := strings.Cut(f.Step, "] ")
	where := fmt.Sprintf("line %d", f.StepLine)
	if dockerfile != "" {
		where = fmt.Sprintf("%s:%d", dockerfile, f.StepLine)
	}
	enters := func(then string) string {
		then = fmt.Sprintf(" (%s), %s", where, then)
		return "enters " + p.fitStep(step, others+len("enters ")+lipgloss.Width(then)) + then
	}
	switch f.Reaches {
	case "final":
		return enters("ships in the final image")
	case "intermediate":
		return enters("stays in a stage that is thrown away")
	case "sent":
		return "is sent to the builder, and no step takes it"
	}
	return "no step uses it: ignore it"
}
