package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/image"
	"github.com/stokerd/stoker/internal/report"
)

type imageDiffOptions struct {
	*options
	imageSource
	all bool
}

func newImageDiff(o *options) *cobra.Command {
	c := &imageDiffOptions{options: o}
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two images: files, layers, configuration",
		Long: `Compare what containers of two images see: files that were added, removed or
changed in content, mode or owner, the largest first; how many layers both share;
and how their configurations differ, without values of environment variables.

` + imagePlaces,
		Example: "  stoker image diff shop:1.4 shop:1.5\n  stoker image diff before.tar oci:after --json",
		Args:    cobra.ExactArgs(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.run(cmd, args[0], args[1]) },
	}
	c.register(cmd)
	cmd.Flags().BoolVarP(&c.all, "all", "a", false, "list all files")
	return cmd
}

func (c *imageDiffOptions) run(cmd *cobra.Command, refA, refB string) error {
	opts := image.Options{Secrets: image.NoSecrets, Contents: true}
	a, err := c.analyse(cmd.Context(), c.options, refA, opts)
	if err != nil {
		return err
	}
	b, err := c.analyse(cmd.Context(), c.options, refB, opts)
	if err != nil {
		return err
	}
	d, err := image.Diff(a, b)
	if err != nil {
		return err
	}
	limit := 0
	if c.out.height > 0 && !c.all && !c.json {
		limit = listed
	}
	answer := report.ImageDiff(a, b, d, limit)
	if c.json {
		return c.out.json(answer)
	}
	c.print(shown(answer))
	return nil
}

func (c *imageDiffOptions) print(d api.ImageDiff) {
	p := c.out
	for _, s := range []api.ImageSide{d.A, d.B} {
		p.line(p.bold(p.fit(s.Name, 0)))
		p.fact("holds", fmt.Sprintf("%s unpacked, %s stored, %s, %s", bytes(s.Unpacked), bytes(s.Stored), plural(s.Layers, "layer"), plural(s.Files, "file")))
	}
	p.fact("shared", fmt.Sprintf("%s, %s", plural(d.Shared.Files, "layer"), bytes(d.Shared.Bytes)))
	p.fact("added", amount(d.Added))
	p.fact("removed", amount(d.Removed))
	p.fact("changed", fmt.Sprintf("%s, %s", signed(d.Changed.Bytes), plural(d.Changed.Files, "file")))
	var rows [][]string
	for _, f := range d.Files {
		mark := map[string]string{"added": "+", "removed": "-", "changed": "~"}[f.Change]
		rows = append(rows, []string{mark, signed(f.B - f.A), p.fit(f.Path, 40), strings.Join(f.What, ", ")})
	}
	if len(rows) > 0 {
		p.line()
		p.table([]string{"", " SIZE", "PATH", "CHANGE"}, rows)
	}
	if d.Left > 0 {
		c.hint("and %s: --all lists everything", plural(d.Left, "more path"))
	}
	if len(d.Config) > 0 {
		p.line()
	}
	for _, k := range d.Config {
		name := k.Field
		if k.Name != "" {
			name += " " + k.Name
		}
		p.wrapped(p.bold(name)+"  ", configChange(k))
	}
}

// configChange says how a field of the configuration differs.
func configChange(k api.ImageConfigChange) string {
	switch {
	case k.Field == "env" && k.A == "":
		return "added"
	case k.B == "":
		return strings.TrimSpace("removed " + strings.TrimPrefix(k.A, "set"))
	case k.A == "":
		return "added " + k.B
	case k.Field == "env":
		return "another value"
	}
	return k.A + " → " + k.B
}
