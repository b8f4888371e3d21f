package cli

import (
	"context"
	"maps"
	"slices"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/cache/prewarm"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

type warmOptions struct {
	*options
	adHoc
	level              string
	cacheFrom, cacheTo []string
	json               bool
}

func newWarm(o *options) *cobra.Command {
	w := &warmOptions{options: o}
	cmd := &cobra.Command{
		Use:   "warm [NAME…]",
		Short: "Warm the builder's cache now",
		Long: `Have the builder run the steps of the builds now, without an image as result, so
that the next build finds them in its cache. First it is said what runs where.
With --cache-from they are fetched from another cache where that has them, with
--cache-to they are written to one.

Typed by you, this is leave for this one run, whether the repository is allowed
or not.`,
		RunE: func(cmd *cobra.Command, args []string) error { return w.run(cmd.Context(), args) },
	}
	w.register(cmd)
	w.registerSteps(cmd)
	cmd.Flags().StringVar(&w.level, "level", "", "how far: base (images), deps (dependencies) or all (default: prewarm.level)")
	cmd.Flags().StringArrayVar(&w.cacheFrom, "cache-from", nil, "look into this cache, too, as for docker buildx build")
	cmd.Flags().StringArrayVar(&w.cacheTo, "cache-to", nil, "write the steps to this cache, as for docker buildx build")
	cmd.Flags().BoolVar(&w.json, "json", false, "print JSON, one event a line")
	return cmd
}

func (w *warmOptions) run(ctx context.Context, args []string) error {
	if w.level != "" {
		if level, err := config.ParseLevel(w.level); err != nil || level == config.LevelOff {
			return usage("one of base, deps and all", "--level: %q is no level of warming", w.level)
		}
	}
	query, err := w.query(w.options, args)
	if err != nil {
		return err
	}
	req := api.WarmRequest{Query: query, Level: w.level}
	if req.CacheFrom, err = w.caches("--cache-from", "src", w.cacheFrom); err != nil {
		return err
	}
	if req.CacheTo, err = w.caches("--cache-to", "dest", w.cacheTo); err != nil {
		return err
	}
	_, err = ask(ctx, w.options, query.AdHoc != nil, func(s source) (struct{}, error) {
		return struct{}{}, s.Warm(ctx, req, w.progress)
	})
	return err
}

// progress prints an event: the outcome of a definition to stdout, the rest to stderr.
func (w *warmOptions) progress(e api.WarmEvent) {
	if w.json {
		_ = w.out.json(e) // the exit status says how it went even if stdout is closed
		return
	}
	e = shown(e)
	name := w.err.bold(e.Definition)
	switch e.State {
	case "ready":
		w.out.line(w.out.bold(e.Definition), w.out.good("ready"), "in", seconds(e.Seconds))
		if e.Unread > 0 {
			w.hint("%s of --cache-from could not be read: what it alone holds was run instead", plural(e.Unread, "cache"))
		}
	case "failed", "skipped":
		w.out.wrapped(w.out.bold(e.Definition)+" "+w.out.bad(e.State)+": ", e.Message)
		if e.Hint != "" {
			w.hint("%s", e.Hint)
		}
	case "plan":
		w.err.wrapped(name+"  ", e.Message)
	default:
		w.err.line(name, w.err.dim(e.State), w.err.fitStep(e.Step, lipgloss.Width(e.Definition+e.State)+2))
	}
}

// Warm warms as the daemon does, on a builder that it looks for itself.
func (l *local) Warm(ctx context.Context, req api.WarmRequest, progress func(api.WarmEvent)) error {
	p, err := l.picture(ctx, req.Query)
	if err != nil {
		return err
	}
	builds, err := report.Select(p, req.Names)
	if err != nil {
		return err
	}
	level := prewarm.Level(p.Config.Prewarm.Level.String())
	if req.Level != "" {
		level = prewarm.Level(req.Level)
	}
	works := map[*project.Build]prewarm.Work{}
	for _, b := range builds {
		if b.Problem == nil {
			works[b] = prewarm.Work{
				Definition: b.Definition, Plan: b.Selection.Plan, Level: level,
				CacheFrom: report.Caches(req.CacheFrom), CacheTo: report.Caches(req.CacheTo),
			}
		}
	}
	if err := prewarm.CheckCaches(slices.Collect(maps.Values(works))); err != nil {
		return report.UselessCaches(err)
	}
	node, done, err := l.connect(ctx, p.Config.Builder)
	if err != nil {
		return err
	}
	defer done()
	return warmAll(ctx, node, builds, works, progress)
}

// warmAll reports what will run where, and then warms one build after another. A build
// that fails does not keep the others from being warmed; the error is then a verdict.
func warmAll(ctx context.Context, node *buildkit.Builder, builds []*project.Build, works map[*project.Build]prewarm.Work, progress func(api.WarmEvent)) error {
	failed := 0
	fail := func(name, message, hint string) {
		failed++
		progress(api.WarmEvent{Definition: name, State: "failed", Message: message, Hint: hint})
	}
	for _, b := range builds {
		if w, ok := works[b]; ok {
			progress(api.WarmEvent{Definition: b.Definition.Name, State: "plan", Message: w.Describe() + " on " + node.Info().Name})
		}
	}
	for _, b := range builds {
		if b.Problem != nil {
			fail(b.Definition.Name, b.Problem.Text, b.Problem.Hint)
			continue
		}
		began := time.Now()
		unread, err := works[b].Do(ctx, node, func(step string) {
			progress(api.WarmEvent{Definition: b.Definition.Name, State: "step", Step: step})
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			fail(b.Definition.Name, err.Error(), "")
		default:
			progress(api.WarmEvent{Definition: b.Definition.Name, State: "ready", Seconds: time.Since(began).Seconds(), Unread: unread})
		}
	}
	if failed > 0 {
		return verdict(api.Failed) // progress has the reasons
	}
	return nil
}
