package cli

import (
	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
)

type stepsOptions struct {
	*options
	adHoc
	json bool
}

func newContextSteps(o *options) *cobra.Command {
	c := &stepsOptions{options: o}
	cmd := &cobra.Command{
		Use:   "steps [NAME]",
		Short: "Show how much each COPY, ADD and bind mount takes",
		Long: `Show how many files and bytes each COPY, ADD and bind mount of a build takes,
what is sent and no step takes, and what several steps take.`,
		Example: "  stoker context steps api\n  stoker context ls --step 3   # the files of one",
		RunE:    func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	c.register(cmd)
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON")
	return cmd
}

func (c *stepsOptions) run(cmd *cobra.Command, args []string) error {
	query, err := c.one(c.options, "context steps", args)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	answer, err := ask(ctx, c.options, query.AdHoc != nil, func(s source) (api.Context, error) {
		return s.Context(ctx, api.ContextRequest{Query: query, Unused: true, Files: true})
	})
	if err != nil {
		return err
	}
	if c.json {
		return c.out.json(api.ContextSteps{
			Schema: api.ContextStepsSchema, Definition: answer.Definition, Dockerfile: answer.Dockerfile,
			Context: answer.Context, Sent: answer.Sent, Unused: answer.Unused, Shared: answer.Shared,
			Steps: answer.Steps, Notes: answer.Notes,
		})
	}
	c.print(answer)
	return nil
}

func (c *stepsOptions) print(answer api.Context) {
	p := c.out
	p.sums(answer.Definition, answer.Context, answer.Sent)
	if len(answer.Steps) == 0 {
		p.line("no step takes files of this machine")
	} else {
		var rows [][]string
		for _, s := range answer.Steps {
			mounted := ""
			if s.Mount {
				mounted = " (mounted)"
			}
			name := p.fitStep(stepName(s.Name), 27+len(mounted)) + p.dim(mounted)
			rows = append(rows, []string{bytes(s.Takes.Bytes), count(s.Takes.Files), ":" + lines(s.Lines), name})
		}
		p.table([]string{" SIZE", " FILES", " LINE", "STEP"}, rows)
	}
	if answer.Unused.Files > 0 {
		p.line("sent, and taken by no step: " + amount(answer.Unused) + "  " + p.dim("(context ls --unused)"))
	}
	if answer.Shared.Files > 0 {
		p.line("taken by several steps: " + amount(answer.Shared) + "  " + p.dim("(context ls --shared)"))
	}
	c.notes(answer.Notes)
}
