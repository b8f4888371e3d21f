package cli

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
)

type explainOptions struct {
	*options
	adHoc
	build string
	json  bool
}

func newContextExplain(o *options) *cobra.Command {
	c := &explainOptions{options: o}
	cmd := &cobra.Command{
		Use:   "explain PATH…",
		Short: "Say which line of the ignore file decides a path, and which steps take it",
		Long: `Say which line of the ignore file decides a path, which others match, and which
steps take it; of a folder also how much of it is in the context.

A PATH is as seen from the current folder, or else from the root of the
repository or of a build context. It need not exist: the rules answer all the
same.`,
		Example: "  stoker context explain src/cart.js node_modules\n  stoker context explain --build api .env",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	c.register(cmd)
	cmd.Flags().StringVar(&c.build, "build", "", "NAME of the build, where there are several")
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON")
	return cmd
}

// named returns the query for the build that --build names, for the one that the
// flags of a spell out with the current folder as its context, or for all builds.
func (a *adHoc) named(o *options, build string) (api.Query, error) {
	if build != "" && a.given() {
		return api.Query{}, usage("give one of them", "--build names a build, and other flags spell one out")
	}
	var args []string
	if build != "" {
		args = append(args, build)
	}
	return a.query(o, args)
}

func (c *explainOptions) run(cmd *cobra.Command, args []string) error {
	query, err := c.named(c.options, c.build)
	if err != nil {
		return err
	}
	req := api.ContextExplainRequest{Query: query, Paths: args}
	if slices.ContainsFunc(args, func(path string) bool { return !utf8.ValidString(path) }) {
		for _, path := range args {
			req.PathsBytes = append(req.PathsBytes, []byte(path))
		}
	}
	ctx := cmd.Context()
	answer, err := ask(ctx, c.options, query.AdHoc != nil, func(s source) (api.ContextExplain, error) {
		return s.ContextExplain(ctx, req)
	})
	if err != nil {
		return err
	}
	if c.json {
		err = c.out.json(answer)
	} else {
		c.print(answer)
	}
	var outside []string
	for _, p := range answer.Paths {
		if len(p.Builds) == 0 {
			outside = append(outside, visible(p.Path, p.PathBytes))
		}
	}
	switch {
	case err != nil:
		return err
	case len(outside) == 1:
		return usage("give a path as seen from the current folder", "%s is in no build context", outside[0])
	case len(outside) > 1:
		return usage("give paths as seen from the current folder", "%s are in no build context", strings.Join(outside, ", "))
	}
	return nil
}

func (c *explainOptions) print(answer api.ContextExplain) {
	for _, path := range answer.Paths {
		for _, b := range path.Builds {
			name := visible(b.Path, b.PathBytes)
			if b.Named != "" {
				name = visible(b.Named, nil) + ":" + name
			}
			if !path.Exists {
				name += c.out.dim("  (does not exist)")
			}
			c.out.printf("%s  %s\n", c.out.bold(visible(b.Definition, nil)), name)
			c.one(b, path.Exists)
		}
	}
}

func (c *explainOptions) one(b api.ExplainedBuild, exists bool) {
	p := c.out
	if b.Problem != "" {
		p.printf("  %s %s\n", p.bad("problem"), visible(b.Problem, nil))
		return
	}
	for _, line := range b.Matched {
		mark := "  "
		if b.By != nil && line == *b.By {
			mark = "→ "
		}
		p.printf("  %s%s:%d  %s\n", mark, visible(b.IgnoreFile, nil), line.Line, visible(line.Pattern, nil))
	}
	p.printf("  %s\n", verdictOf(b, exists))
	if b.Below != nil {
		c.below(*b.Below)
	}
	taken := "taken by"
	if !exists {
		taken = "would be taken by"
	}
	for _, s := range b.Steps {
		line := lineOf(s.Lines)
		p.printf("  %s %s (%s)\n", taken, p.fitStep(stepName(s.Name), len(taken)+len(line)+6), line)
	}
	switch in := b.Type != "" && b.Type != "dir" || b.Below != nil && b.Below.Context.Files > 0; {
	case !exists && !b.Ignored && len(b.Steps) == 0:
		p.printf("  would not be sent: no step uses it\n")
	case in && !b.Sent:
		p.printf("  not sent: no step uses it\n")
	case in && b.Sent && len(b.Steps) == 0:
		p.printf("  sent, and taken by no step\n")
	}
}

// verdictOf says in words whether a path is in the context, or would be if it existed.
func verdictOf(b api.ExplainedBuild, exists bool) string {
	text := "in the context"
	if !exists {
		text = "would be in the context"
	}
	switch {
	case b.Ignored && !exists:
		return "would be ignored"
	case b.Ignored && b.Below != nil && b.Below.Context.Files > 0:
		return "ignored, but for what is taken back in there"
	case b.Ignored:
		return "ignored"
	case len(b.Matched) == 0:
		return text + ": no line of an ignore file matches"
	}
	return text
}

func lineOf(l [2]int) string {
	if l[0] == l[1] {
		return "line " + lines(l)
	}
	return "lines " + lines(l)
}

func (c *explainOptions) below(b api.ExplainBelow) {
	text := "in there: nothing in the context"
	if b.Context.Files > 0 {
		text = fmt.Sprintf("in there: %s in the context, %s of it sent", amount(b.Context), amount(b.Sent))
	}
	if b.Ignored > 0 {
		text += ", " + plural(b.Ignored, "file") + " ignored"
	}
	c.out.wrapped("  ", text)
	const shown = 3
	for i, name := range b.Unread {
		if i == shown && len(b.Unread) > shown+1 {
			c.out.printf("  and %s\n", plural(len(b.Unread)-shown, "more folder"))
			return
		}
		c.out.printf("  ignored as a whole, and not looked into: %s\n", visible(name, nil))
	}
}
