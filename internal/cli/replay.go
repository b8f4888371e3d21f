package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/advise"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
)

type replayOptions struct {
	*options
	adHoc
	commits int
	with    string
	json    bool
}

func newReplay(o *options) *cobra.Command {
	r := &replayOptions{options: o}
	cmd := &cobra.Command{
		Use:   "replay [NAME]",
		Short: "Replay the history against a Dockerfile, without building",
		Long: `Compute which steps of a Dockerfile the last commits would have run, had each
been built, and how long that takes: today's Dockerfile beside the one that
stoker suggests, or beside any file.`,
		RunE: func(cmd *cobra.Command, args []string) error { return r.run(cmd.Context(), args) },
	}
	r.register(cmd)
	f := cmd.Flags()
	f.IntVarP(&r.commits, "commits", "n", 200, "how many commits of the first-parent line to replay")
	f.StringVar(&r.with, "with", "", "replay this Dockerfile, beside today's")
	f.BoolVar(&r.json, "json", false, "print JSON")
	return cmd
}

func (r *replayOptions) run(ctx context.Context, args []string) error {
	if r.commits < 1 || r.commits > advise.MostCommits {
		return usage("for example -n 200", "-n %d is not between 1 and %d", r.commits, advise.MostCommits)
	}
	query, err := r.query(r.options, args)
	if err != nil {
		return err
	}
	if len(query.Names) > 1 {
		return usage("", "replay takes one NAME")
	}
	req := api.ReplayRequest{Query: query, Commits: r.commits}
	if r.with != "" {
		text, err := os.ReadFile(r.absolute(r.with))
		if err != nil {
			return usage("name a Dockerfile", "read --with: %v", err)
		}
		req.With = &api.ReplayFile{Name: filepath.ToSlash(r.with), Text: text}
	}
	answer, err := ask(ctx, r.options, query.AdHoc != nil, func(src source) (api.Replay, error) { return src.Replay(ctx, req) })
	if err != nil {
		return err
	}
	if r.json {
		return r.out.json(answer)
	}
	r.print(answer)
	return nil
}

// barWidth is the width of the bar of a step, in columns.
const barWidth = 12

func (r *replayOptions) print(a api.Replay) {
	p, a := r.out, shown(a)
	if a.Builds == 0 {
		p.wrapped("", p.bold(a.Definition)+": nothing to replay: "+cmp.Or(a.Note, "no commits"))
		return // a rate of no builds is none
	}
	of := "commit"
	if a.Saves {
		of = "observed save"
	}
	p.wrapped("", fmt.Sprintf("%s  %s", p.bold(a.Definition), p.dim("last "+plural(a.Builds, of)+", each as if built")))
	if a.Note != "" {
		p.wrapped("", p.warn("note: ")+a.Note)
	}
	p.line()
	room := r.room(a)
	r.chart(room, a.Dockerfile, a.Steps, a.Builds, a.HitRate, a.SecondsPerBuild)
	costs := a.Costs
	if c := a.Compared; c != nil {
		title := c.Dockerfile + " as suggested (" + c.Rule + ")"
		if c.Rule == "" {
			title = c.Dockerfile + " as it is today"
		}
		p.line()
		r.chart(room, title, c.Steps, a.Builds, c.HitRate, c.SecondsPerBuild)
		if c.Costs == api.CostsPrior {
			costs = c.Costs
		}
	}
	p.line()
	what := "seconds are medians of this repository's builds"
	if costs == api.CostsPrior {
		what = "seconds are partly built-in guesses: not every step was seen yet"
	}
	p.wrapped("", p.dim(what+"; transfer, pulls and export come on top"))
}

// room returns the width of the longest step name of all charts, so that their bars
// are aligned.
func (r *replayOptions) room(a api.Replay) (room int) {
	steps := a.Steps
	if a.Compared != nil {
		steps = append(slices.Clip(steps), a.Compared.Steps...)
	}
	for _, s := range steps {
		room = max(room, lipgloss.Width(r.name(s)))
	}
	return room
}

func (r *replayOptions) name(s api.ReplayStep) string { return r.out.fitStep(s.Name, barWidth+18) }

// chart prints the steps of one Dockerfile, with a bar for the share of builds in which
// each was reused. rate is the hit rate of all steps, perBuild is in seconds.
func (r *replayOptions) chart(room int, title string, steps []api.ReplayStep, builds int, rate, perBuild float64) {
	p := r.out
	p.line(p.bold(title))
	for _, s := range steps {
		hits := 0.0
		if builds > 0 {
			hits = float64(s.Hits) / float64(builds)
		}
		name := r.name(s)
		full := int(hits*barWidth + 0.5)
		bar := strings.Repeat("█", full) + p.dim(strings.Repeat("░", barWidth-full))
		p.printf("  %s%s  %s %4s %7s\n", name, strings.Repeat(" ", room-lipgloss.Width(name)), bar, percent(hits), seconds(s.Seconds))
	}
	p.line("  " + p.bold(seconds(perBuild)+" per build") + ", hit rate " + percent(rate))
}

// Replay answers as the daemon does.
func (l *local) Replay(ctx context.Context, req api.ReplayRequest) (api.Replay, error) {
	p, b, err := l.withoutFindings().build(ctx, req.Query)
	if err != nil {
		return api.Replay{}, err
	}
	history, err := new(advise.Memory).Read(ctx, p, req.Commits)
	if err != nil {
		return api.Replay{}, err
	}
	if history, err = history.Assuming(ctx, p, []*project.Build{b}); err != nil {
		return api.Replay{}, err
	}
	costs, err := l.costs(p.Root)
	if err != nil {
		return api.Replay{}, err
	}
	return advise.Replay(ctx, p, b, history, costs, req.With)
}
