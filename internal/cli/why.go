package cli

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/report"
)

// whyFiles is how many of the files behind a miss are printed. JSON has all.
const whyFiles = 6

type whyOptions struct {
	*options
	step, against string
	json, all     bool
}

func newWhy(o *options) *cobra.Command {
	w := &whyOptions{options: o}
	cmd := &cobra.Command{
		Use:   "why [REF | NAME]",
		Short: "Say why the steps of a finished build ran",
		Long: `Say of each step of a finished build what became of it, and of those that ran
what made them run: the file, ARG, ENV, base image or edit of the Dockerfile, or
that the result was dropped from the cache. The build is the last one, the last
one of a definition, or that of a ref, which may be shortened.`,
		Example: "  stoker why api\n  stoker why x3k9 --step \"RUN npm ci\"\n  stoker why --against m2p4",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return w.run(cmd.Context(), args) },
	}
	f := cmd.Flags()
	f.StringVar(&w.step, "step", "", "only one step: 3, \"build 3\", :LINE or words of it")
	f.StringVar(&w.against, "against", "", "compare with the build of this ref, and not with the nearest")
	f.BoolVar(&w.all, "all", false, "print all files")
	f.BoolVar(&w.json, "json", false, "print JSON")
	return cmd
}

func (w *whyOptions) run(ctx context.Context, args []string) error {
	req := api.WhyRequest{Dir: w.Dir, Step: w.step, Against: w.against}
	if len(args) > 0 {
		req.Build = args[0]
	}
	c, err := w.mustDaemon(ctx, "no daemon runs, and only a daemon keeps what builds were made of", "stoker up; then build")
	if err != nil {
		return err
	}
	defer c.Close()
	answer, err := c.Why(ctx, req)
	if err != nil {
		return err
	}
	if w.json {
		return w.out.json(answer)
	}
	w.print(answer)
	return nil
}

func (w *whyOptions) print(answer api.Why) {
	p, answer := w.out, shown(answer)
	head := []string{p.bold(answer.Definition), "build " + answer.Ref, fmt.Sprintf("%d/%s hit", answer.Hits, plural(answer.Needed, "step")), seconds(answer.Seconds)}
	switch answer.Status {
	case "failed":
		head = append(head, p.bad("failed"))
	case "canceled":
		head = append(head, p.warn("interrupted"))
	}
	p.pieces(head)
	if answer.Error != "" {
		p.line("  " + p.bad(p.fit(answer.Error, 2)))
	}
	against, several := "", false
	for _, s := range answer.Steps {
		if compared(s) {
			several = several || against != "" && against != s.Against
			against = s.Against
		}
	}
	for _, s := range answer.Steps {
		p.step(s)
		if s.Cause == nil {
			continue
		}
		for _, c := range append([]api.WhyCause{*s.Cause}, s.More...) {
			w.cause(c)
		}
		if several && compared(s) {
			p.line("            " + p.dim("against build "+s.Against))
		}
	}
	if against != "" && !several {
		p.line(p.dim("compared with build " + against))
	}
	w.notes(answer.Notes)
}

// step prints on one line whether a step was reused, and how long it took.
func (p printer) step(s api.WhyStep) {
	word := fmt.Sprintf("%-8s", s.Outcome)
	switch s.Outcome {
	case "hit", "imported", "joined":
		word = p.good(word)
	case "executed", "failed":
		word = p.bad(word)
	case "cascaded":
		word = p.warn(word)
	default:
		word = p.dim(word)
	}
	line := "  " + word + "  " + p.fitStep(oneLine(s.Name), 20)
	if s.Seconds > 0 {
		line += "  " + seconds(s.Seconds)
	}
	p.line(line)
}

// compared reports whether the cause of a step was found by comparing it with another
// build.
func compared(s api.WhyStep) bool { return s.Against != "" && s.Cause != nil && s.Cause.Kind != "gone" }

// oneLine replaces each run of white space by one space.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// cause prints why a step was not reused, with the files that changed.
func (w *whyOptions) cause(c api.WhyCause) {
	const indent = "            "
	p := w.out
	if c.Kind == "input" {
		p.line(indent + p.dim(p.fit(c.Text, len(indent))))
		return
	}
	for _, line := range wrap(c.Text, p.width-len(indent)) {
		p.line(indent + line)
	}
	p.versions(indent, c.Kind, c.Before, c.After)
	if len(c.Paths) < 2 {
		return
	}
	show := c.Paths
	if len(show) > whyFiles && !w.all {
		show = show[:whyFiles-1]
	}
	for _, f := range show {
		p.line(indent + "  " + p.fit(report.PathText(f), len(indent)+2))
	}
	if rest := c.Paths[len(show):]; len(rest) > 0 {
		more := "and " + count(len(rest)) + " more"
		if dir := above(rest); dir != "" {
			more += " below " + dir + "/"
		}
		p.line(indent + "  " + p.dim(p.fit(more, len(indent)+2)))
	}
}

// versions prints the two versions of what a cause of the given kind is about, one per
// line. It prints none for images and platforms, whose versions are in the cause's text.
func (p printer) versions(indent, kind, before, after string) {
	if before == after || kind == "base" || kind == "platform" {
		return
	}
	room := pipedStep
	if p.width > 0 {
		room = max(p.width-len(indent)-len("- "), 12)
	}
	before, after = apart(before, after, room)
	for _, version := range []struct{ sign, text string }{{"- ", before}, {"+ ", after}} {
		if version.text != "" {
			p.line(indent + p.dim(version.sign+version.text))
		}
	}
}

// apart shortens two versions of a text to one line each of up to width columns, such
// that their difference can be seen. It cuts off the beginning that long ones have in
// common, and marks white space if nothing else differs.
func apart(before, after string, width int) (was, is string) {
	was, is = oneLine(before), oneLine(after)
	if was == is {
		was, is = spaced(before), spaced(after)
	}
	if was == "" || is == "" || lipgloss.Width(was) <= width && lipgloss.Width(is) <= width {
		return clip(was, width), clip(is, width)
	}
	a, b := []rune(was), []rune(is)
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	if skip := same - width/3; lipgloss.Width(string(a[:same])) > width/2 && skip > 1 {
		was, is = "…"+string(a[skip:]), "…"+string(b[skip:])
	}
	return clip(was, width), clip(is, width)
}

// spaced replaces white space by visible marks, except single spaces between words.
func spaced(text string) string {
	marks := map[rune]rune{' ': '·', '\t': '→', '\n': '↵'}
	runes := []rune(text)
	blank := func(i int) bool { return i >= 0 && i < len(runes) && marks[runes[i]] != 0 }
	for i := 0; i < len(runes); i++ {
		from := i
		for blank(i) {
			i++
		}
		if i == from || i == from+1 && runes[from] == ' ' && from > 0 && i < len(runes) {
			continue
		}
		for j := from; j < i; j++ {
			runes[j] = marks[runes[j]]
		}
	}
	return string(runes)
}

// above returns the deepest directory that all paths are in, "" for the top.
func above(paths []api.WhyPath) string {
	dir := strings.Split(path.Dir(paths[0].Path), "/")
	for _, p := range paths[1:] {
		other := strings.Split(path.Dir(p.Path), "/")
		n := 0
		for n < len(dir) && n < len(other) && dir[n] == other[n] {
			n++
		}
		dir = dir[:n]
	}
	if slices.Equal(dir, []string{"."}) {
		return ""
	}
	return strings.Join(dir, "/")
}

// wrap breaks text between words into lines of up to width runes, and indents all but
// the first by two. A width of 0 or less is no limit.
func wrap(text string, width int) []string {
	if width <= 0 {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines = append(lines, line)
			line = "  "
		} else if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
