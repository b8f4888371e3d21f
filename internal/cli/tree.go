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
		// The sums, headings and notes around take some lines, and about one line in
		// four counts what a folder does not show.
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

// place sets in c.req the build and the folder that the arguments name. A single
// argument without a separator is taken for the name of a build; run tries it as a
// folder if no build has it.
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

// outline draws a tree on lines that have others columns in use, with narrow branches
// if wide ones do not fit. It also returns the width that the tree may take.
func (p printer) outline(entries []api.TreeNode, others int) (list []outlined, wide int) {
	for _, s := range []strokes{wideStrokes, narrowStrokes} {
		list = outline(entries, s)
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

// An outlined is a line of a tree: an entry, or a count of the entries of a folder that
// are not shown.
type outlined struct {
	branch, name  string
	folder        bool
	context, sent api.Size
}

// within returns the branch and the name of a line, cut to width. Only the name is cut.
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

// outline draws the branches of a tree, whose entries are in depth-first order. A
// folder that shows some of its entries gets a line that counts the others. Folders of
// which each holds only the next one share a line.
func outline(entries []api.TreeNode, s strokes) []outlined {
	o := outliner{strokes: s, entries: entries}
	o.draw(0, "", "")
	return o.lines
}

// An outliner collects the lines of a tree.
type outliner struct {
	strokes
	entries []api.TreeNode
	lines   []outlined
}

// draw adds the lines of entries[at] and of all below it, and returns the index of the
// entry that follows. branch begins the line of the entry, below those of all below it.
func (o *outliner) draw(at int, branch, below string) (next int) {
	at = o.own(at, branch)
	folder, end := o.entries[at], o.end(at)
	rest := outlined{branch: below + o.last, name: "and " + count(folder.Left) + " more", folder: true, context: folder.Context, sent: folder.Sent}
	first := at + 1
	for at = first; at < end; {
		e := o.entries[at]
		rest.context, rest.sent = without(rest.context, e.Context), without(rest.sent, e.Sent)
		if o.end(at) == end && folder.Left == 0 {
			at = o.draw(at, below+o.last, below+o.none)
		} else {
			at = o.draw(at, below+o.entry, below+o.past)
		}
	}
	if folder.Left > 0 && first < end {
		o.lines = append(o.lines, rest)
	}
	return end
}

// own adds the line of entries[at], and returns the index of the last entry on it: that
// of at, unless it is a folder that passes.
func (o *outliner) own(at int, branch string) (last int) {
	e := o.entries[at]
	l := outlined{branch: branch, name: visible(e.Path, e.PathBytes), folder: e.Type == "dir", context: e.Context, sent: e.Sent}
	if branch != "" {
		l.name = path.Base(l.name)
	}
	if l.folder && e.Path != "." {
		l.name += "/"
	}
	for ; at > 0 && o.passes(at); at++ {
		inner := o.entries[at+1]
		l.name += path.Base(visible(inner.Path, inner.PathBytes)) + "/"
	}
	o.lines = append(o.lines, l)
	return at
}

// passes reports whether entries[at] is a folder that holds only another folder.
func (o *outliner) passes(at int) bool {
	end := o.end(at)
	if at+1 == end || o.end(at+1) != end {
		return false
	}
	e, inner := o.entries[at], o.entries[at+1]
	return inner.Type == "dir" && inner.Context == e.Context && inner.Sent == e.Sent && e.Left == 0
}

// end returns the index after entries[at] and all below it.
func (o *outliner) end(at int) int {
	next := at + 1
	for next < len(o.entries) && o.entries[next].Depth > o.entries[at].Depth {
		next++
	}
	return next
}

// without returns what is left of whole without part.
func without(whole, part api.Size) api.Size {
	return api.Size{Files: whole.Files - part.Files, Bytes: whole.Bytes - part.Bytes}
}

// sentOf returns how much of what a line counts is sent: "all", "-" or a size.
func (l outlined) sentOf() string {
	switch {
	case l.sent.Files == 0:
		return "-"
	case l.sent == l.context:
		return "all"
	}
	return bytes(l.sent.Bytes)
}
