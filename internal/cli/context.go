package cli

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
)

type contextOptions struct {
	*options
	adHoc
	json, all, sent bool
}

func newContext(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "context",
		Short: "Show what a build takes of the files on this machine",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	cmd.AddCommand(newContextLs(o), newContextExplain(o))
	return cmd
}

// listed is how many entries context ls prints unless all are asked for: the
// largest tell what is wrong.
const listed = 30

func newContextLs(o *options) *cobra.Command {
	c := &contextOptions{options: o}
	cmd := &cobra.Command{
		Use:   "ls [NAME]",
		Short: "List the effective context of a build, the largest files first",
		Long: `List what the ignore file leaves of the context directory, the largest files
first, and which of it this build asks for: BuildKit only sends the paths that
the steps of the target use.`,
		Example: "  stoker context ls api --sent\n  stoker context ls -f docker/Dockerfile --target runtime .",
		RunE:    func(cmd *cobra.Command, args []string) error { return c.ls(cmd, args) },
	}
	c.register(cmd)
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&c.all, "all", "a", false, "list all entries, directories too")
	cmd.Flags().BoolVar(&c.sent, "sent", false, "list only what is sent to BuildKit")
	return cmd
}

func (c *contextOptions) ls(cmd *cobra.Command, args []string) error {
	query, err := c.query(c.options, args)
	if err != nil {
		return err
	}
	if len(query.Names) > 1 {
		return usage("", "context ls takes one NAME, and %d were given", len(query.Names))
	}
	ctx := cmd.Context()
	answer, err := ask(ctx, c.options, query.AdHoc != nil, func(s source) (api.Context, error) {
		return s.Context(ctx, api.ContextRequest{Query: query})
	})
	if err != nil {
		return err
	}
	if c.sent {
		answer.Entries = slices.DeleteFunc(answer.Entries, func(e api.ContextEntry) bool { return !e.Sent })
	}
	if c.json {
		return c.out.json(answer)
	}
	c.print(answer)
	return nil
}

func (c *contextOptions) print(answer api.Context) {
	p := c.out
	p.printf("%s  context %s, %s   sent %s, %s\n", p.bold(answer.Definition),
		bytes(answer.Context.Bytes), plural(answer.Context.Files, "file"), bytes(answer.Sent.Bytes), plural(answer.Sent.Files, "file"))
	list := answer.Entries
	if !c.all {
		list = slices.DeleteFunc(slices.Clone(list), func(e api.ContextEntry) bool { return e.Type == "dir" })
	}
	slices.SortStableFunc(list, func(a, b api.ContextEntry) int { return -cmp.Compare(a.Size, b.Size) })
	left := 0
	if !c.all && len(list) > listed {
		left = len(list) - listed
		list = list[:listed]
	}
	var rows [][]string
	for _, e := range list {
		size := bytes(e.Size)
		if e.Type != "file" {
			size = e.Type
		}
		rows = append(rows, []string{size, p.fit(e.Path, 40), p.taken(e)})
	}
	p.table([]string{" SIZE", "PATH", "SENT FOR"}, rows)
	if left > 0 {
		c.hint("%s smaller: --all lists them", plural(left, "entry that is"))
	}
	for _, n := range answer.Notes {
		c.err.line(c.err.dim("note:"), n)
	}
}

// taken says for which steps an entry is sent.
func (p printer) taken(e api.ContextEntry) string {
	switch {
	case !e.Sent:
		return p.dim("not sent")
	case len(e.Steps) == 0:
		return "sent"
	}
	text := strings.Join(e.Steps, ", ")
	if p.width > 0 {
		text = shorten(text, 30)
	}
	return text
}
