package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/client"
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
	c, err := p.daemon(ctx)
	if errors.Is(err, client.ErrNoDaemon) {
		return &api.Error{Code: api.NoDaemon, Message: "no daemon has seen what the builder did", Hint: "stoker up"}
	}
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
	for i, d := range answer.Definitions {
		if i > 0 {
			p.out.line()
		}
		p.print(d)
	}
	return nil
}

func (p *predictOptions) print(d api.Prediction) {
	out, d := p.out, shown(d)
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
	out.line(strings.Join(head, "  "))
	for _, s := range d.Steps {
		word := map[string]string{"hit": out.good("hit    "), "miss": out.bad("miss   "), "unknown": out.warn("unknown")}[s.Outcome]
		line := []string{"  " + word, " " + out.fitStep(s.Name, 20)}
		if s.Seconds != nil && s.Outcome != "hit" {
			line = append(line, " "+seconds(*s.Seconds))
		}
		out.line(line...)
		if s.Cause != nil && s.Cause.Kind != "input" {
			out.line("           " + out.dim(out.fit(s.Cause.Text, 11)))
		}
	}
}
