package cli

import (
	"bufio"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/client"
	"github.com/stokerd/stoker/internal/config"
)

// coldAfter is the default of --older if --keep is not given either.
const coldAfter = "7d"

type pruneOptions struct {
	*options
	older, keep    string
	all, yes, json bool
}

func newPrune(o *options) *cobra.Command {
	p := &pruneOptions{options: o}
	cmd := &cobra.Command{
		Use:   "prune [NAME…]",
		Short: "Show what the builder's cache holds and who uses it, and remove what is cold",
		Long: `Show what the builder keeps, by build and step, and what of it nobody has used for
a while. With --yes that is removed: by id, nothing but what was shown, and only
what builds that stoker saw have made. What the next build of anything that is
watched would take stays, with all that it builds on.

--all takes what nothing explains too, such as images, cache mounts and the
builds of others, and has you type yes.`,
		Example: "  stoker prune --older 168h\n  stoker prune --keep 20GB --yes",
		RunE:    func(cmd *cobra.Command, args []string) error { return p.run(cmd, args) },
	}
	f := cmd.Flags()
	f.StringVar(&p.older, "older", "", "what nobody has used for so long: 12h, 7d, 4w (default 7d, and any time with --keep)")
	f.StringVar(&p.keep, "keep", "", "no more than has to go for the cache to take this much: 20GB")
	f.BoolVarP(&p.all, "all", "a", false, "also what no build that stoker saw has made")
	f.BoolVarP(&p.yes, "yes", "y", false, "remove it")
	f.BoolVar(&p.json, "json", false, "print JSON")
	return cmd
}

func (p *pruneOptions) run(cmd *cobra.Command, names []string) error {
	req, err := p.request(names)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	c, err := p.mustDaemon(ctx, "no daemon has seen who made what the builder keeps", "stoker up")
	if err != nil {
		return err
	}
	defer c.Close()
	answer, err := c.Prune(ctx, req)
	if err != nil {
		return err
	}
	if p.yes && answer.Remove.Records > 0 {
		if p.all && !p.json {
			p.print(answer)
		}
		if answer, err = p.remove(cmd, c, req, answer); err != nil {
			return err
		}
	}
	if p.json {
		return p.out.json(answer)
	}
	p.print(answer)
	return nil
}

// request returns what the flags ask for.
func (p *pruneOptions) request(names []string) (api.PruneRequest, error) {
	req := api.PruneRequest{Query: api.Query{Dir: p.Dir, Names: names}, All: p.all}
	older := p.older
	if p.keep != "" {
		keep, err := config.ParseSize(p.keep)
		if err != nil || keep <= 0 {
			return req, usage("for example 20GB or 500MB; --older alone bounds no size", "--keep: %q is no size to keep", p.keep)
		}
		req.Keep = keep
	} else {
		older = cmp.Or(older, coldAfter)
	}
	if older != "" {
		window, err := parseWindow(older)
		if err != nil {
			return req, usage("for example 12h, 7d or 4w", "--older: %q is no length of time", older)
		}
		req.Older = window.Seconds()
	}
	return req, nil
}

// remove removes the records that answer marks, after the user has typed yes if --all
// was given. It returns what the builder has then.
func (p *pruneOptions) remove(cmd *cobra.Command, c *client.Client, req api.PruneRequest, answer api.Prune) (api.Prune, error) {
	for _, r := range answer.Records {
		if r.Remove {
			req.Remove = append(req.Remove, r.ID)
		}
	}
	if p.all {
		p.err.printf("type yes to remove %s from %s: ", pruneSum(answer.Remove), visible(answer.Builder, nil))
		if err := typedYes(cmd.Context(), cmd); err != nil {
			return answer, err
		}
	}
	return c.Prune(cmd.Context(), req)
}

// typedYes returns nil if the user types yes. If ctx ends first, the goroutine that
// reads stays until the process ends, because the read cannot be interrupted.
func typedYes(ctx context.Context, cmd *cobra.Command) error {
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		line <- text
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case text := <-line:
		if strings.TrimSpace(text) != "yes" {
			return usage("type yes, the whole word", "nothing was removed")
		}
	}
	return nil
}

func pruneSum(s api.PruneSum) string { return bytes(s.Bytes) + ", " + plural(s.Records, "record") }

func (p *pruneOptions) print(answer api.Prune) {
	out, answer := p.out, shown(answer)
	held := pruneSum(answer.Held)
	needed := bytes(answer.Needed.Bytes) + " needed"
	out.pieces([]string{"builder  " + out.bold(out.fit(answer.Builder, len("builder  "))), held, needed})
	var rows [][]string
	for _, g := range pruneGroups(answer.Records) {
		remove := ""
		if g.remove.Records > 0 {
			remove = bytes(g.remove.Bytes)
		}
		_, instruction, _ := strings.Cut(g.owner.Step, "] ")
		rows = append(rows, []string{
			g.owner.Definition, out.fitStep(stepName(instruction), 58), count(g.held.Records), bytes(g.held.Bytes), ago(g.last), remove,
		})
	}
	if len(rows) > 0 {
		out.table([]string{"BUILD", "STEP", " RECORDS", " SIZE", "LAST USED", " GOES"}, rows)
	}
	if len(answer.Others) > 0 {
		var parts []string
		for _, k := range answer.Others {
			parts = append(parts, pruneKinds[k.Kind]+" "+bytes(k.Bytes))
		}
		out.line("others  " + strings.Join(parts, ", "))
	}
	if answer.Shared.Records > 0 {
		out.line("images  " + pruneSum(answer.Shared) + " are in images of Docker, too, and stay while those do")
	}
	p.conclude(answer)
}

// pruneKinds are what kinds of records are called.
var pruneKinds = map[string]string{
	"step": "steps", "cache-mount": "cache mounts", "image": "image layers", "local-files": "sent files",
	"git": "git checkouts", "download": "downloads", "internal": "the builder's own",
}

// conclude prints what was removed, or would be.
func (p *pruneOptions) conclude(answer api.Prune) {
	switch {
	case answer.Removed != nil:
		p.out.line(p.out.good("removed"), pruneSum(*answer.Removed))
		if answer.Remove.Records > 0 {
			p.hint("%s stayed: in use, or other records build on it", pruneSum(answer.Remove))
		}
	case answer.Remove.Records == 0:
		p.out.line("nothing is cold")
	case !p.yes:
		p.out.line("would remove " + pruneSum(answer.Remove))
		p.hint("--yes removes it")
	}
}

// A pruneGroup is what the builder keeps of one step.
type pruneGroup struct {
	owner        api.PruneOwner
	held, remove api.PruneSum
	last         time.Time
}

// pruneGroups sums up records by step, the largest step first. Records without an owner
// are left out.
func pruneGroups(records []api.PruneRecord) []*pruneGroup {
	type id struct{ repository, definition, instruction string }
	groups := map[id]*pruneGroup{}
	var list []*pruneGroup
	for _, r := range records {
		if r.Owner == nil {
			continue
		}
		// Without its number, which changes with the steps above it.
		_, instruction, _ := strings.Cut(r.Owner.Step, "] ")
		key := id{r.Owner.Repository, r.Owner.Definition, instruction}
		g := groups[key]
		if g == nil {
			g = &pruneGroup{owner: *r.Owner}
			groups[key], list = g, append(list, g)
		}
		g.held.Records++
		g.held.Bytes += r.Bytes
		if r.Remove {
			g.remove.Records++
			g.remove.Bytes += r.Bytes
		}
		if r.LastUsed.After(g.last) {
			g.last = r.LastUsed
		}
	}
	slices.SortStableFunc(list, func(a, b *pruneGroup) int { return cmp.Compare(b.held.Bytes, a.held.Bytes) })
	return list
}

// ago formats how long ago something was.
func ago(t time.Time) string {
	if d := time.Since(t); d >= time.Minute {
		return units.HumanDuration(d) + " ago"
	}
	return "just now"
}
