package cli

import (
	"context"
	"fmt"
	"reflect"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
)

type predictOptions struct {
	*options
	adHoc
	json bool
}

func newPredict(o *options) *cobra.Command {
	p := &predictOptions{options: o}
	cmd := &cobra.Command{
		Use:   "predict [NAME...]",
		Short: "Say which steps the next build will execute, and why",
		Long: `Say of each step whether the next build will reuse it, were it built now on the
builder: from the builds that the daemon saw there, what the builder holds, and
the files as they are. Where that cannot be known it says why.`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.run(cmd.Context(), args) },
	}
	p.register(cmd)
	p.registerSteps(cmd)
	p.registerCache(cmd)
	cmd.Flags().BoolVar(&p.json, "json", false, "print JSON")
	return cmd
}

func (p *predictOptions) run(ctx context.Context, args []string) error {
	query, err := p.query(p.options, args)
	if err != nil {
		return err
	}
	c, err := p.mustDaemon(ctx, "no daemon has seen what the builder did", "stoker up")
	if err != nil {
		return err
	}
	defer c.Close()
	answer, err := c.Predict(ctx, api.PredictRequest{Query: query})
	if err != nil {
		return err
	}
	if p.json {
		return p.out.json(answer)
	}
	p.print(answer)
	return nil
}

func (p *predictOptions) print(answer api.Predict) {
	for i, d := range answer.Definitions {
		if i > 0 {
			p.out.line()
		}
		p.definition(d)
	}
	if answer.Unread > 0 {
		p.hint("%s of the builder's history to be read still: ask again for what is unknown", plural(answer.Unread, "build"))
	}
}

// alikeCause reports whether two steps have the same outcome for the same cause,
// as a dozen unknown ones in a row often do.
func alikeCause(a, b api.StepPrediction) bool {
	return a.Outcome == b.Outcome && a.Cause != nil && b.Cause != nil && reflect.DeepEqual(a.Cause, b.Cause)
}

func nextSteps(n int) string {
	if n == 1 {
		return "next step"
	}
	return "next " + plural(n, "step")
}

func (p *predictOptions) definition(d api.Prediction) {
	out, d := p.out, shown(d)
	out.pieces(predictionHead(out, d))
	names, longest := make([]string, len(d.Steps)), 0
	for i, s := range d.Steps {
		names[i] = out.fitStep(s.Name, 20)
		longest = max(longest, lipgloss.Width(names[i]))
	}
	for i, s := range d.Steps {
		word := map[string]string{"hit": out.good("hit    "), "miss": out.bad("miss   "), "unknown": out.warn("unknown")}[s.Outcome]
		line := "  " + word + "  " + names[i]
		if s.Imported {
			line += " " + out.dim("(imported)")
		}
		if s.Seconds != nil && s.Outcome != "hit" {
			line += fmt.Sprintf("%*s  %6s", longest-lipgloss.Width(names[i]), "", seconds(*s.Seconds))
		}
		out.line(line)
		if s.Cause == nil || s.Cause.Kind == "input" || i > 0 && alikeCause(d.Steps[i-1], s) {
			continue
		}
		same := 0
		for _, next := range d.Steps[i+1:] {
			if !alikeCause(s, next) {
				break
			}
			same++
		}
		p.cause(*s.Cause, same)
	}
}

// predictionHead returns the pieces of the line above the steps of a prediction:
// its name, how many steps hit, and how long the build will about take.
func predictionHead(out printer, d api.Prediction) []string {
	head := []string{out.bold(d.Name), fmt.Sprintf("%d/%s hit", d.Hits, plural(len(d.Steps), "step"))}
	if d.Unknown > 0 {
		head = append(head, out.warn(count(d.Unknown)+" unknown"))
	}
	if d.Seconds != nil {
		about := "~" + seconds(*d.Seconds)
		if low, high := seconds(*d.SecondsLow), seconds(*d.SecondsHigh); low != high {
			about += fmt.Sprintf(" (%s to %s)", low, high)
		}
		head = append(head, about)
	}
	return head
}

// cause prints below a step why it misses or is unknown, and that the same steps
// after it share the cause.
func (p *predictOptions) cause(c api.PredictedCause, same int) {
	const indent = "           "
	text := c.Text
	if same > 0 {
		text += " (the same for the " + nextSteps(same) + ")"
	}
	for _, line := range wrap(text, p.out.width-len(indent)) {
		p.out.line(indent + p.out.dim(line))
	}
	p.out.versions(indent, c.Kind, c.Before, c.After)
}
