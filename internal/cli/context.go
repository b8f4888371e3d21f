package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
)

func newContext(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "context",
		Short: "Show what a build takes of the files on this machine",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	cmd.AddCommand(newContextLs(o), newContextSteps(o), newContextTree(o), newContextExplain(o), newContextDiff(o))
	return cmd
}

// listed is how many entries context ls prints to a terminal without --all. The
// largest ones are what matters.
const listed = 30

type lsOptions struct {
	*options
	adHoc
	json, all bool
	req       api.ContextRequest
}

func newContextLs(o *options) *cobra.Command {
	c := &lsOptions{options: o}
	cmd := &cobra.Command{
		Use:   "ls [NAME]",
		Short: "List the effective context of a build, the largest files first",
		Long: `List what the ignore file leaves of the context directory, the largest files
first, and which of it this build asks for: BuildKit only sends the paths that
the steps of the target use.

A terminal gets the 30 largest, a pipe all files. A step is named as stoker
prints it: by its index in a stage (3), stage and index ("build 3"), the line of
the Dockerfile (:7), or words of it ("COPY src").`,
		Example: "  stoker context ls api --sent\n  stoker context ls --step 'COPY src'\n" +
			"  stoker context ls -f docker/Dockerfile --target runtime .",
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	c.register(cmd)
	f := cmd.Flags()
	f.BoolVar(&c.json, "json", false, "print JSON")
	f.BoolVarP(&c.all, "all", "a", false, "list all entries, directories too")
	f.BoolVar(&c.req.Sent, "sent", false, "list only what is sent to BuildKit")
	f.BoolVar(&c.req.Unused, "unused", false, "list only what is sent and no step takes")
	f.BoolVar(&c.req.Shared, "shared", false, "list only what several steps take")
	f.StringVar(&c.req.Step, "step", "", "list only what one step takes: 3, \"build 3\", :LINE or words of it")
	f.StringVar(&c.req.Sort, "sort", "", "size or name (default size, and name for --json)")
	return cmd
}

func (c *lsOptions) run(cmd *cobra.Command, args []string) error {
	var err error
	if c.req.Query, err = c.one(c.options, "context ls", args); err != nil {
		return err
	}
	if !c.json {
		c.req.Files = !c.all
		if c.req.Sort == "" {
			c.req.Sort = api.SortSize
		}
		if c.out.height > 0 && !c.all {
			c.req.Limit = listed
		}
	}
	ctx := cmd.Context()
	answer, err := ask(ctx, c.options, c.req.AdHoc != nil, func(s source) (api.Context, error) {
		return s.Context(ctx, c.req)
	})
	if err != nil {
		return err
	}
	if c.json {
		return c.out.json(answer)
	}
	c.print(answer)
	return nil
}

// one is like [adHoc.query], for a command that takes only one build.
func (a *adHoc) one(o *options, command string, args []string) (api.Query, error) {
	query, err := a.query(o, args)
	if err == nil && len(query.Names) > 1 {
		err = usage("", "%s takes one NAME, and %d were given", command, len(query.Names))
	}
	return query, err
}

func (c *lsOptions) print(answer api.Context) {
	p := c.out
	p.sums(answer.Definition, answer.Context, answer.Sent)
	if answer.Listed != nil {
		p.line(c.filter(answer) + ": " + amount(*answer.Listed))
	}
	paths, taken := make([]string, len(answer.Entries)), make([]string, len(answer.Entries))
	for i, e := range answer.Entries {
		paths[i], taken[i] = visible(e.Path, e.PathBytes), p.sentFor(e)
	}
	const sizes = 11 // "1.23MB" or "hardlink", and the gaps between columns
	wide, narrow := p.share(sizes, paths, taken)
	var rows [][]string
	for i, e := range answer.Entries {
		size := bytes(e.Size)
		if e.Type != "file" {
			size = e.Type
		}
		steps := clip(taken[i], narrow)
		if !e.Sent {
			steps = p.dim(steps)
		}
		rows = append(rows, []string{size, shorten(paths[i], wide), steps})
	}
	if len(rows) > 0 {
		p.table([]string{" SIZE", "PATH", "SENT FOR"}, rows)
	}
	if answer.Left != nil {
		c.hint("and %s, %s: --all lists everything", plural(answer.Left.Files, "more file"), bytes(answer.Left.Bytes))
	}
	c.notes(answer.Notes)
}

// sums prints how much is in the context of a build, and how much of it is sent.
func (p printer) sums(name string, context, sent api.Size) {
	p.printf("%s  context %s   sent %s\n", p.bold(visible(name, nil)), amount(context), amount(sent))
}

// notes prints remarks on an answer to stderr.
func (o *options) notes(list []string) {
	for _, n := range list {
		o.err.wrapped(o.err.dim("note:")+" ", visible(n, nil))
	}
}

// filter says in words which entries were asked for.
func (c *lsOptions) filter(answer api.Context) string {
	var words []string
	if c.req.Sent {
		words = append(words, "sent")
	}
	if c.req.Unused {
		words = append(words, "sent, and taken by no step")
	}
	if c.req.Shared {
		words = append(words, "taken by several steps")
	}
	if c.req.Step != "" {
		words = append(words, "taken by "+stepName(answer.Step))
	}
	return strings.Join(words, ", ")
}

// pipedEach is the most columns that each step of a file gets in a pipe. It is less
// than pipedStep because the names are repeated for each file.
const pipedEach = 60

// sentFor says for which steps an entry is sent.
func (p printer) sentFor(e api.ContextEntry) string {
	switch {
	case !e.Sent:
		return "not sent"
	case len(e.Steps) == 0:
		return "sent, no step takes it"
	}
	steps := make([]string, len(e.Steps))
	for i, s := range e.Steps {
		steps[i] = stepName(s)
		if p.width == 0 {
			steps[i] = clip(steps[i], pipedEach)
		}
	}
	return strings.Join(steps, ", ")
}
