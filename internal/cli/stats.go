package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/client"
)

type statsOptions struct {
	*options
	since     string
	name      string // of the definition, "" for all
	json, all bool
}

func newStats(o *options) *cobra.Command {
	s := &statsOptions{options: o}
	cmd := &cobra.Command{
		Use:   "stats [NAME]",
		Short: "Show hit rates, time saved and lost, and what breaks the cache most",
		Long: `Sum up the builds that any client made of this repository on the builder:
which steps were reused, the time that saved, and what broke the cache.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd.Context(), args) },
	}
	cmd.Flags().StringVar(&s.since, "since", "7d", "how far back: 12h, 7d, 4w")
	cmd.Flags().BoolVar(&s.all, "all", false, "builds of every repository")
	cmd.Flags().BoolVar(&s.json, "json", false, "print JSON")
	return cmd
}

func (s *statsOptions) run(ctx context.Context, args []string) error {
	window, err := parseWindow(s.since)
	if err != nil {
		return err
	}
	req := api.StatsRequest{Since: window.Seconds(), Dir: s.Dir}
	if s.all {
		req.Dir = ""
	}
	if len(args) > 0 {
		req.Definition, s.name = args[0], args[0]
	}
	answer, err := s.answer(ctx, req)
	if err != nil {
		return err
	}
	if s.json {
		return s.out.json(answer)
	}
	s.print(answer)
	return nil
}

// answer asks the daemon. Without one it sums up what earlier daemons stored.
func (s *statsOptions) answer(ctx context.Context, req api.StatsRequest) (api.Stats, error) {
	c, err := s.daemon(ctx)
	if err == nil {
		defer c.Close()
		return c.Stats(ctx, req)
	}
	if !isUnreachable(err) && !errors.Is(err, client.ErrNoDaemon) {
		return api.Stats{}, err
	}
	answer, lookErr := (&local{options: s.options}).Stats(ctx, req)
	if lookErr != nil {
		return api.Stats{}, lookErr
	}
	if !errors.Is(err, client.ErrNoDaemon) {
		e := explain(err)
		s.hint("%s; %s", e.Message, e.Hint)
		return answer, nil
	}
	s.hint("no daemon runs: these are the builds that one saw before; `stoker up` sees the next")
	return answer, nil
}

// parseWindow parses a positive duration in Go's syntax, or in days or weeks: "12h",
// "7d", "4w".
func parseWindow(text string) (time.Duration, error) {
	days := map[string]int{"d": 1, "w": 7}
	for unit, n := range days {
		if number, ok := strings.CutSuffix(text, unit); ok {
			if v, err := strconv.ParseFloat(number, 64); err == nil && v > 0 && v < 36500 {
				return time.Duration(v * float64(n) * 24 * float64(time.Hour)), nil
			}
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return d, nil
	}
	return 0, usage("for example 12h, 7d or 4w", "--since: %q is no length of time", text)
}

func (s *statsOptions) print(answer api.Stats) {
	p, answer := s.out, shown(answer)
	of := ""
	if s.name != "" {
		of = " of " + visible(s.name, nil)
	}
	if len(answer.Definitions) == 0 {
		p.line("no builds" + of + " since " + answer.Since.Local().Format("2006-01-02 15:04"))
		return
	}
	for i, d := range answer.Definitions {
		if i > 0 {
			p.line()
		}
		rate := "-"
		if d.HitRate != nil {
			rate = percent(*d.HitRate)
		}
		head := []string{p.bold(d.Name), plural(d.Builds, "build"), rate + " hits", "mean " + seconds(d.MeanSeconds),
			p.good("saved " + seconds(d.SecondsSaved)), p.warn("lost " + seconds(d.SecondsLost))}
		if d.Failed > 0 {
			head = append(head, p.bad(count(d.Failed)+" failed"))
		}
		if d.Interrupted > 0 {
			head = append(head, p.warn(count(d.Interrupted)+" interrupted"))
		}
		p.pieces(head)
		if d.RemoteCache != nil {
			s.remoteCache(*d.RemoteCache)
		}
		s.steps(d.Steps)
		for _, b := range d.Breakers {
			cost := "  " + plural(b.Times, "time") + "  cost " + seconds(b.SecondsLost)
			p.line(p.warn("breaker") + "  " + p.fitStep(b.Name, len("breaker  ")+len(cost)) + cost)
			s.behind(b)
		}
	}
}

// remoteCache prints what caches elsewhere cost and saved. What they saved is a range, because
// a hit may come from one or be the builder's own.
func (s *statsOptions) remoteCache(c api.RemoteCacheStats) {
	p := s.out
	list := []string{"remote cache", plural(c.Builds, "build")}
	for _, cost := range []struct {
		name    string
		seconds float64
	}{{"export", c.ExportSeconds}, {"import", c.ImportSeconds}, {"fetch", c.FetchSeconds}} {
		if cost.seconds > 0 {
			list = append(list, cost.name+" "+seconds(cost.seconds))
		}
	}
	least, most := seconds(c.SecondsSaved), seconds(c.SecondsSavedAtMost)
	switch {
	case c.Imported+c.MaybeImported == 0:
		list = append(list, p.warn("nothing imported"))
	case c.SecondsSavedAtMost == 0: // the time of none is known
	case least == most:
		list = append(list, p.good("saved "+most))
	case c.SecondsSaved == 0:
		list = append(list, p.good("saved at most "+most))
	default:
		list = append(list, p.good("saved "+least+" to "+most))
	}
	if c.Unknown > 0 {
		list = append(list, plural(c.Unknown, "hit")+" of unknown worth")
	}
	p.pieces(list)
}

// steps prints a line for each step. Names come last, so that the numbers are aligned
// however long a RUN is.
func (s *statsOptions) steps(list []api.StepStats) {
	head := []string{" HITS", " MISSES", " MEDIAN", " SAVED", " LOST", "STEP"}
	var rows [][]string
	for _, st := range list {
		if st.Hits+st.Misses == 0 {
			continue // no build got as far as this step
		}
		rows = append(rows, []string{count(st.Hits), count(st.Misses), seconds(st.MedianSeconds), seconds(st.SecondsSaved), seconds(st.SecondsLost), st.Name})
	}
	last := len(head) - 1
	others := 0
	for _, w := range widths(head[:last], rows) {
		others += w + 2
	}
	for _, row := range rows {
		row[last] = s.out.fitStep(row[last], others)
	}
	s.out.table(head, rows)
}

// breakerCauses is how many causes of a breaker are printed. JSON has all.
const breakerCauses = 3

// behind prints what broke a step: "package.json broke RUN npm ci 9 times, 4m12s".
func (s *statsOptions) behind(b api.Breaker) {
	for _, c := range b.Causes[:min(len(b.Causes), breakerCauses)] {
		what := map[string]string{
			"base": "another base image", "dockerfile": "an edit of the Dockerfile", "no-cache": "--no-cache", "gone": "a pruned or collected result",
			"secret": "the mount of a secret", "ssh": "the mount of an ssh agent", "download": "another download", "per-build": "FROM local files",
			"platform": "another platform", "options": "options of the build", "arg": "ARG " + c.Name, "env": "ENV " + c.Name, "files": c.Path,
		}[c.Kind]
		if c.Kind == "env" && c.Name == "" {
			what = "the base image's environment"
		}
		_, step, _ := strings.Cut(b.Costliest, "] ")
		if step == "" {
			_, step, _ = strings.Cut(b.Name, "] ")
		}
		const indent = "         "
		times := fmt.Sprintf(" %s, %s", plural(c.Times, "time"), seconds(c.SecondsLost))
		what += " broke "
		s.out.wrapped(indent, what+s.out.fitStep(step, len(indent)+lipgloss.Width(what)+len(times))+times)
	}
}
