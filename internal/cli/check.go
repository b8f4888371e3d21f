package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
)

type checkOptions struct {
	*options
	adHoc
	format                   string
	json                     bool
	context, sent, file, num string
}

func newCheck(o *options) *cobra.Command {
	c := &checkOptions{options: o}
	cmd := &cobra.Command{
		Use:   "check [NAME…]",
		Short: "Fail when a build context outgrows its budget or would carry a secret",
		Long: `Check holds every build of the repository, or those named, against its budget
and lists what is wrong with what they send. It needs neither a daemon nor Docker.

Exit status: 0 fine, 1 over a limit or a finding that is an error, 2 a file that
cannot be read as what it is.`,
		Example: "  stoker check --max-context 50MB --max-sent 20MB\n  stoker check -f docker/Dockerfile --target runtime .",
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd, args)
		},
	}
	c.register(cmd)
	f := cmd.Flags()
	f.StringVar(&c.format, "format", "text", "text or json")
	f.BoolVar(&c.json, "json", false, "same as --format json")
	f.StringVar(&c.context, "max-context", "", "limit for the effective context, as in 50MB; off for none")
	f.StringVar(&c.sent, "max-sent", "", "limit for what is sent to BuildKit")
	f.StringVar(&c.file, "max-file", "", "limit for a single file")
	f.StringVar(&c.num, "max-files", "", "limit for the number of files in the context")
	return cmd
}

func (c *checkOptions) run(cmd *cobra.Command, args []string) error {
	if c.json {
		c.format = "json"
	}
	if c.format != "text" && c.format != "json" {
		return usage("--format takes text or json", "unknown format %q", c.format)
	}
	flags, given, err := c.limits()
	if err != nil {
		return err
	}
	query, err := c.query(c.options, args)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	answer, err := ask(ctx, c.options, given || query.AdHoc != nil, func(s source) (api.Check, error) {
		if l, ok := s.(*local); ok {
			l.flags = flags
		}
		return s.Check(ctx, api.CheckRequest{Query: query})
	})
	if err != nil {
		return err
	}
	if c.format == "json" {
		if err := c.out.json(answer); err != nil {
			return err
		}
	} else {
		c.print(answer)
	}
	return outcome(answer)
}

// outcome returns the verdict of a check as an error, nil if it passed. BadInput counts
// more than a limit that is exceeded.
func outcome(answer api.Check) error {
	if answer.Problem != "" {
		return verdict(api.BadInput)
	}
	for _, d := range answer.Definitions {
		if d.Problem != "" {
			return verdict(api.BadInput)
		}
	}
	if !answer.OK {
		return verdict(api.Failed)
	}
	return nil
}

// limits returns the limits that flags set, and whether any did.
func (c *checkOptions) limits() (flags config.Flags, given bool, err error) {
	for _, l := range []struct {
		name, text string
		to         **int64
	}{
		{"--max-context", c.context, &flags.Context},
		{"--max-sent", c.sent, &flags.Sent},
		{"--max-file", c.file, &flags.File},
	} {
		if l.text == "" {
			continue
		}
		n, err := config.ParseSize(l.text)
		if err != nil {
			return flags, false, usage("", "%s: %v", l.name, err)
		}
		*l.to, given = &n, true
	}
	if c.num != "" {
		n, err := strconv.ParseInt(c.num, 10, 64)
		if err != nil || n < 0 {
			return flags, false, usage("give a number of files, 0 for no limit", "--max-files: %q is no number", c.num)
		}
		flags.FileCount, given = &n, true
	}
	return flags, given, nil
}

func (c *checkOptions) print(answer api.Check) {
	p, answer := c.out, shown(answer)
	var rows [][]string
	for _, d := range answer.Definitions {
		if d.Problem != "" {
			rows = append(rows, []string{p.bold(d.Name), "", "", "", p.bad("cannot be computed")})
			continue
		}
		verdict := p.good("ok")
		if len(d.Over) > 0 {
			verdict = p.bad("over: " + strings.Join(d.Over, ", "))
		}
		rows = append(rows, []string{
			p.bold(d.Name), within(bytes(d.Context.Bytes), d.Budget.Context, bytes), within(bytes(d.Sent.Bytes), d.Budget.Sent, bytes),
			within(count(d.Context.Files), int64(d.Budget.Files), func(n int64) string { return count(int(n)) }), verdict,
		})
	}
	p.table([]string{"BUILD", " CONTEXT", " SENT", " FILES", "BUDGET"}, rows)
	for _, d := range answer.Definitions {
		if d.Problem != "" {
			p.problem(d.Name, d.Problem, d.Hint)
		}
	}
	if answer.Problem != "" {
		p.problem("", answer.Problem, answer.Hint)
	}
	dockerfiles := map[string]string{}
	for _, d := range answer.Definitions {
		dockerfiles[d.Name] = d.Dockerfile
	}
	p.findings(answer.Findings, 0, dockerfiles)
	if why := failures(answer); len(why) > 0 {
		p.wrapped(p.bad("failed:")+" ", strings.Join(why, "; "))
	}
}

// failures says in a few words each why a check fails.
func failures(answer api.Check) []string {
	var why []string
	for _, d := range answer.Definitions {
		if d.Problem != "" {
			why = append(why, d.Name+" cannot be computed")
		}
		if len(d.Over) > 0 {
			why = append(why, d.Name+" is over the limit for "+strings.Join(d.Over, ", "))
		}
	}
	if answer.Problem != "" {
		why = append(why, "not all that is built was found")
	}
	errors := 0
	for _, f := range answer.Findings {
		if f.Severity == "error" {
			errors++
		}
	}
	if errors > 0 {
		why = append(why, plural(errors, "serious finding"))
	}
	return why
}

// within returns a value with its limit: "40MB/50MB". A limit of 0 is none.
func within(value string, limit int64, format func(int64) string) string {
	if limit == 0 {
		return value
	}
	return fmt.Sprintf("%s/%s", value, format(limit))
}
