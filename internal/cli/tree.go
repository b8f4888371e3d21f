package cli

import (
	"context"
	"os"
	"path"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
)

type treeOptions struct {
	*options
	adHoc
	build     string
	json, all bool
	req       api.ContextTreeRequest
}

func newContextTree(o *options) *cobra.Command {
	c := &treeOptions{options: o}
	cmd := &cobra.Command{
		Use:   "tree [NAME] [DIR]",
		Short: "Show which folders make up the effective context, the largest first",
		Long: `Show the folders and files of the effective context with the sums of what is in
them, the largest first, and how much of each is sent to BuildKit.

DIR is where to begin, as seen from the current folder; it says which build is
meant where only one has it in its context. A terminal gets the largest entries
that fit on it, a pipe everything; --depth says how deep. With flags that spell
out a build, DIR is its context directory.

Ignored files are not shown: what no build needs is not even looked at.`,
		Example: "  stoker context tree api\n  stoker context tree src --sent --depth 2",
		Args:    cobra.MaximumNArgs(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	c.register(cmd)
	f := cmd.Flags()
	f.StringVar(&c.build, "build", "", "NAME of the build, where a folder has the same name")
	f.IntVarP(&c.req.Depth, "depth", "d", 0, "show folders down to this depth (default: all)")
	f.BoolVar(&c.req.Sent, "sent", false, "count only what is sent to BuildKit")
	f.BoolVarP(&c.all, "all", "a", false, "show everything, however long")
	f.BoolVar(&c.json, "json", false, "print JSON")
	return cmd
}

func (c *treeOptions) run(cmd *cobra.Command, args []string) error {
	if c.req.Depth < 0 {
		return usage("0 shows all", "--depth cannot be %d", c.req.Depth)
	}
	if err := c.place(args); err != nil {
		return err
	}
	if c.out.height > 0 && !c.all && !c.json && c.req.Depth == 0 {
		// Some lines are the sums, headings and notes around, and about one of
		// four says what a folder does not show.
		const around = 6
		c.req.Limit = max((c.out.height-around)*3/4, 10)
	}
	answer, err := c.ask(cmd.Context())
	if isNotFound(err) && len(args) == 1 && c.build == "" && c.isFolder(args[0]) {
		c.req.Names, c.req.Path = nil, c.absolute(args[0])
		answer, err = c.ask(cmd.Context())
	}
	if err != nil {
		return err
	}
	if c.json {
		return c.out.json(answer)
	}
	c.print(answer)
	return nil
}

func (c *treeOptions) ask(ctx context.Context) (api.ContextTree, error) {
	return ask(ctx, c.options, c.req.AdHoc != nil, func(s source) (api.ContextTree, error) {
		return s.ContextTree(ctx, c.req)
	})
}

// place says which build and which folder the arguments mean. A single one
// without a separator is a name first, and a folder if no build has that name.
func (c *treeOptions) place(args []string) error {
	var err error
	if c.given() {
		c.req.Query, err = c.query(c.options, args)
		return err
	}
	if n := len(args); n == 2 || n == 1 && (c.build != "" || isPath(args[0])) {
		c.req.Path, args = c.absolute(args[n-1]), args[:n-1]
	}
	if c.build != "" {
		args = append(args, c.build)
	}
	if len(args) > 1 {
		return usage("", "context tree takes one NAME, and %d were given", len(args))
	}
	c.req.Query = api.Query{Dir: c.Dir, Names: args}
	return nil
}

func (c *treeOptions) isFolder(arg string) bool {
	fi, err := os.Stat(c.absolute(arg))
	return err == nil && fi.IsDir()
}

func (c *treeOptions) print(answer api.ContextTree) {
	p := c.out
	p.sums(answer.Definition, answer.Context, answer.Sent)
	if len(answer.Entries) == 0 {
		return
	}
	bar := 12
	if p.width > 0 {
		bar = min(max((p.width-40)/4, 0), bar)
	}
	const numbers = 34 // the columns beside, of at most 8, 7, 6 and 5
	list, wide := p.outline(answer.Entries, numbers+bar)
	var rows [][]string
	for _, l := range list {
		files, part := "", 0.0
		if total := answer.Entries[0].Context.Bytes; total > 0 {
			part = float64(l.context.Bytes) / float64(total)
		}
		if l.folder {
			files = count(l.context.Files)
		}
		rows = append(rows, []string{
			bytes(l.context.Bytes), l.sentOf(), files, l.within(wide), percent(part), strings.Repeat("█", int(part*float64(bar)+0.5)),
		})
	}
	p.table([]string{" SIZE", " SENT", " FILES", "PATH", " SHARE", ""}, rows)
	c.notes(answer.Notes)
}

// outline draws a tree as wide as it may be beside others, and returns that width
// too: with narrow branches if there is no room for wide ones.
func (p printer) outline(entries []api.TreeNode, others int) (list []outlined, wide int) {
	for _, s := range []strokes{wideStrokes, narrowStrokes} {
		list = s.outline(entries)
		texts, need := make([]string, len(list)), 0
		for i, l := range list {
			texts[i] = l.branch + l.name
			need = max(need, lipgloss.Width(texts[i]))
		}
		wide, _ = p.share(others, texts, nil)
		if need <= wide {
			break
		}
	}
	return list, wide
}

// An outlined is a line of a tree: an entry, or what of a folder is left out.
type outlined struct {
	branch, name  string
	folder        bool
	context, sent api.Size
}

// within returns the line's branch and name. The branch stays whole, since it says
// what the entry is in.
func (l outlined) within(width int) string {
	const least = 12 // of a name
	return l.branch + shorten(l.name, max(width-lipgloss.Width(l.branch), least))
}

// strokes are what the branches of a tree are drawn with.
type strokes struct{ entry, last, past, none string }

var (
	wideStrokes   = strokes{"├── ", "└── ", "│   ", "    "}
	narrowStrokes = strokes{"├ ", "└ ", "│ ", "  "}
)

// outline draws the branches of a tree. What a folder does not show is told
// where it shows something; else its own line says enough. Folders of which each
// holds the next one and nothing else are one line.
func (s strokes) outline(entries []api.TreeNode) []outlined {
	var list []outlined
	var draw func(at int, branch, below string) (next int)
	draw = func(at int, branch, below string) int {
		e := entries[at]
		l := outlined{branch: branch, name: visible(e.Path, e.PathBytes), folder: e.Type == "dir", context: e.Context, sent: e.Sent}
		if branch != "" {
			l.name = path.Base(l.name)
		}
		if l.folder && e.Path != "." {
			l.name += "/"
		}
		for ; at > 0 && passes(entries, at); at++ {
			e = entries[at+1]
			l.name += path.Base(visible(e.Path, e.PathBytes)) + "/"
		}
		list = append(list, l)
		rest := outlined{branch: below + s.last, name: "and " + count(e.Left) + " more", folder: true, context: e.Context, sent: e.Sent}
		at++
		for first := at; at < len(entries) && entries[at].Depth > e.Depth; {
			k := entries[at]
			rest.context.Files, rest.context.Bytes = rest.context.Files-k.Context.Files, rest.context.Bytes-k.Context.Bytes
			rest.sent.Files, rest.sent.Bytes = rest.sent.Files-k.Sent.Files, rest.sent.Bytes-k.Sent.Bytes
			next := at + 1
			for next < len(entries) && entries[next].Depth > k.Depth {
				next++
			}
			last := next == len(entries) || entries[next].Depth <= e.Depth
			if last && e.Left == 0 {
				at = draw(at, below+s.last, below+s.none)
			} else {
				at = draw(at, below+s.entry, below+s.past)
			}
			if last && e.Left > 0 && first < at {
				list = append(list, rest)
			}
		}
		return at
	}
	draw(0, "", "")
	return list
}

// passes reports whether a folder holds another one and nothing else.
func passes(entries []api.TreeNode, at int) bool {
	if at+1 == len(entries) {
		return false
	}
	e, in := entries[at], entries[at+1]
	if in.Depth <= e.Depth || in.Type != "dir" || in.Context != e.Context || in.Sent != e.Sent || e.Left > 0 {
		return false
	}
	after := at + 2
	for after < len(entries) && entries[after].Depth > in.Depth {
		after++
	}
	return after == len(entries) || entries[after].Depth < in.Depth
}

// sentOf says how much of what a line counts is sent.
func (l outlined) sentOf() string {
	switch {
	case l.sent.Files == 0:
		return "-"
	case l.sent == l.context:
		return "all"
	}
	return bytes(l.sent.Bytes)
}
