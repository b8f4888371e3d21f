package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/report"
)

type diffOptions struct {
	*options
	adHoc
	build     string
	json, all bool
}

func newContextDiff(o *options) *cobra.Command {
	c := &diffOptions{options: o}
	cmd := &cobra.Command{
		Use:   "diff REF [REF2]",
		Short: "Compare the effective context with that of another commit",
		Long: `Compare the effective context and what is sent of it with those of a commit,
straight from git's objects: nothing is checked out, fetched or run. With REF2,
two commits are compared and not the work tree.

The builds are those of today, with the Dockerfile and the ignore files of each
side. Named contexts that are folders follow, each with its own ignore file. What
git does not track is told apart.`,
		Example: "  stoker context diff HEAD\n  stoker context diff v1.0 main --build api",
		Args:    cobra.RangeArgs(1, 2),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	c.register(cmd)
	f := cmd.Flags()
	f.StringVar(&c.build, "build", "", "NAME of the build (default: all)")
	f.BoolVarP(&c.all, "all", "a", false, "list all that differs")
	f.BoolVar(&c.json, "json", false, "print JSON")
	return cmd
}

func (c *diffOptions) run(cmd *cobra.Command, args []string) error {
	query, err := c.named(c.options, c.build)
	if err != nil {
		return err
	}
	req := api.ContextDiffRequest{Query: query, From: args[0]}
	if len(args) == 2 {
		req.To = args[1]
	}
	ctx := cmd.Context()
	answer, err := ask(ctx, c.options, query.AdHoc != nil, func(s source) (api.ContextDiff, error) {
		return s.ContextDiff(ctx, req)
	})
	if err != nil {
		return err
	}
	if c.json {
		err = c.out.json(answer)
	} else {
		c.print(answer)
	}
	for _, d := range answer.Definitions {
		if err == nil && d.Problem != "" {
			err = verdict(api.BadInput)
		}
	}
	return err
}

func (c *diffOptions) print(answer api.ContextDiff) {
	p := c.out
	from, to := sideName(answer.From), sideName(answer.To)
	for i, d := range answer.Definitions {
		if i > 0 {
			p.line()
		}
		if d.Problem != "" {
			p.problem(visible(d.Name, nil), visible(d.Problem, nil), d.Hint)
			continue
		}
		p.printf("%s  %s → %s\n", p.bold(visible(d.Name, nil)), from, to)
		c.context(d.Context, d.Sent, d.Changes, d.Untracked)
		for _, n := range d.Named {
			p.line()
			p.printf("%s  the named context %s\n", p.bold(visible(d.Name, nil)), p.bold(visible(n.Name, nil)))
			if n.Problem != "" {
				p.line(visible(n.Problem, nil))
				continue
			}
			c.context(n.Context, n.Sent, n.Changes, n.Untracked)
		}
	}
	c.notes(answer.Notes)
}

// context prints how one local context differs between the two sides.
func (c *diffOptions) context(context, sent api.SizeChange, changes []api.DiffEntry, untracked []api.DiffFolder) {
	c.out.printf("context  %s\nsent     %s\n", change(context), change(sent))
	c.changes(changes)
	c.untracked(untracked)
}

// sideName names a side: "v1.0 (3f2c1d9)" or "work tree".
func sideName(s api.DiffSide) string {
	if s.Commit == "" {
		return "work tree"
	}
	short := s.Commit[:min(7, len(s.Commit))]
	if ref := visible(s.Ref, nil); !strings.HasPrefix(s.Commit, ref) {
		return ref + " (" + short + ")"
	}
	return short
}

// change formats a size on both sides, and by how much it differs.
func change(s api.SizeChange) string {
	if s.From == s.To {
		return amount(s.From) + ", as before"
	}
	files := s.To.Files - s.From.Files
	text := fmt.Sprintf("%s → %s  (%s", amount(s.From), amount(s.To), signed(s.To.Bytes-s.From.Bytes))
	switch {
	case files > 0:
		text += ", +" + plural(files, "file")
	case files < 0:
		text += ", -" + plural(-files, "file")
	}
	return text + ")"
}

// signed formats a difference of sizes.
func signed(n int64) string {
	switch {
	case n > 0:
		return "+" + bytes(n)
	case n < 0:
		return "-" + bytes(-n)
	}
	return "0B"
}

func (c *diffOptions) changes(list []api.DiffEntry) {
	if len(list) == 0 {
		c.out.line("no file that git tracks differs")
		return
	}
	left := list[:0:0]
	if c.out.height > 0 && !c.all && len(list) > listed {
		list, left = list[:listed], list[listed:]
	}
	var rows [][]string
	names, notes := make([]string, len(list)), make([]string, len(list))
	for i, e := range list {
		names[i], notes[i] = visible(e.Path, e.PathBytes), remark(e)
	}
	const others = 20 // a difference, a kind of change, and the gaps
	wide, narrow := c.out.share(others, names, notes)
	for i, e := range list {
		rows = append(rows, []string{signed(report.Delta(e)), e.Change, shorten(names[i], wide), c.out.dim(shorten(notes[i], narrow))})
	}
	c.out.table([]string{" BYTES", "CHANGE", "PATH", "SENT"}, rows)
	if len(left) > 0 {
		c.hint("and %s: --all lists them", plural(len(left), "smaller change"))
	}
}

// remark says whether a changed path is or was sent, and whether it changed only
// because an ignore file did.
func remark(e api.DiffEntry) string {
	sent := func(f *api.DiffFile) bool { return f != nil && f.Sent }
	text := "not sent"
	switch {
	case e.From == nil && sent(e.To), e.To == nil && sent(e.From), sent(e.From) && sent(e.To):
		text = "sent"
	case sent(e.To) && e.From != nil:
		text = "now sent"
	case sent(e.From) && e.To != nil:
		text = "no longer sent"
	}
	switch {
	case e.Ignore && e.To == nil:
		text += ", ignored now"
	case e.Ignore:
		text += ", was ignored"
	}
	return text
}

func (c *diffOptions) untracked(list []api.DiffFolder) {
	if len(list) == 0 {
		return
	}
	var context, sent api.Size
	for _, f := range list {
		context.Files, context.Bytes = context.Files+f.Context.Files, context.Bytes+f.Context.Bytes
		sent.Files, sent.Bytes = sent.Files+f.Sent.Files, sent.Bytes+f.Sent.Bytes
	}
	c.out.line("not tracked by git, and in the context: " + amount(context) + "; " + amount(sent) + " of it sent")
	left := 0
	if c.out.height > 0 && !c.all && len(list) > listed/3 {
		list, left = list[:listed/3], len(list)-listed/3
	}
	var rows [][]string
	for _, f := range list {
		rows = append(rows, []string{bytes(f.Context.Bytes), count(f.Context.Files), c.out.fit(visible(f.Path, f.PathBytes), 18)})
	}
	c.out.table([]string{" BYTES", " FILES", "PATH"}, rows)
	if left > 0 {
		c.hint("and %s: --all lists them", plural(left, "smaller one"))
	}
}
