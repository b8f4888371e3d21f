package cli

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/report"
)

type contextOptions struct{ *options }

func newContextExplain(o *options) *cobra.Command {
	c := &contextOptions{options: o}
	var name string
	cmd := &cobra.Command{
		Use:   "explain PATH",
		Short: "Say which line of the ignore file decides a path, and which steps take it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var names []string
			if name != "" {
				names = append(names, name)
			}
			return c.explain(cmd, names, args[0])
		},
	}
	cmd.Flags().StringVar(&name, "build", "", "NAME of the build, where there are several")
	return cmd
}

func (c *contextOptions) explain(cmd *cobra.Command, names []string, target string) error {
	l := &local{options: c.options}
	p, err := l.picture(cmd.Context(), api.Query{Dir: c.Dir})
	if err != nil {
		return err
	}
	builds, err := report.Select(p, names)
	if err != nil {
		return err
	}
	told := false
	for _, b := range builds {
		if b.Problem != nil {
			return &api.Error{Code: api.BadInput, Message: b.Problem.Text, Hint: b.Problem.Hint}
		}
		main := b.Selection.Main
		rel, ok := inside(main.Root, c.absolute(target))
		if !ok {
			continue
		}
		told = true
		c.out.printf("%s  %s\n", c.out.bold(b.Definition.Name), rel)
		c.tellIgnore(main, rel, p.Relative(main.Ignore.Path))
		c.tellSteps(b.Selection, rel)
	}
	if !told {
		return usage("give a path as seen from the current folder", "%s is in no build context", target)
	}
	return nil
}

func inside(root, name string) (string, bool) {
	if root == "" {
		return "", false
	}
	if resolved, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
		name = filepath.Join(resolved, filepath.Base(name))
	}
	if resolved, err := filepath.EvalSymlinks(root); err == nil {
		root = resolved
	}
	rel, err := filepath.Rel(root, name)
	return filepath.ToSlash(rel), err == nil && filepath.IsLocal(rel)
}

func (c *contextOptions) tellIgnore(l buildctx.Local, rel, file string) {
	d := l.Explain(rel)
	for _, line := range d.Matched {
		mark := "  "
		if line == d.By {
			mark = "→ "
		}
		c.out.printf("  %s%s:%d  %s\n", mark, file, line.Number, line.Pattern)
	}
	switch {
	case d.Ignored:
		c.out.printf("  ignored\n")
	case len(d.Matched) == 0:
		c.out.printf("  in the context: no line of an ignore file matches\n")
	default:
		c.out.printf("  in the context\n")
	}
}

// tellSteps says which steps take the path, or for a directory anything in it.
func (c *contextOptions) tellSteps(s *buildctx.Selection, rel string) {
	var steps []int
	sent, there := false, false
	for f := range s.Main.All() {
		if f.Path != rel && !strings.HasPrefix(f.Path, path.Clean(rel)+"/") {
			continue
		}
		there, sent = true, sent || f.Sent
		steps = append(steps, f.Steps...)
	}
	slices.Sort(steps)
	switch {
	case !there:
		return
	case !sent:
		c.out.printf("  not sent: no step uses it\n")
	}
	for _, i := range slices.Compact(steps) {
		step := s.Plan.Steps[i]
		c.out.printf("  taken by %s (%s)\n", step.Name, fmt.Sprintf("line %d", step.Lines.From))
	}
}
