package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/cache/prewarm"
	"github.com/stokerd/stoker/cache/store"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

// The states of a definition's warmth; api.Warmth documents them.
const (
	warmWaiting = "waiting"
	warmRunning = "warming"
	warmReady   = "ready"
	warmFailed  = "failed"
)

// warm warms one definition, as far as the owner of its repository has allowed. The scheduler
// calls it, with a context that ends when the definition is touched again.
func (d *Daemon) warm(ctx context.Context, job prewarm.Job) {
	d.mu.Lock()
	repo := d.repositories[job.Repository]
	d.mu.Unlock()
	if repo == nil {
		return
	}
	s := repo.state.Load()
	if s == nil || s.picture == nil {
		return
	}
	build, ok := s.picture.Find(job.Definition)
	if !ok || build.Selection == nil || repo.unwarmed(build.Definition) != "" {
		return
	}
	level, reason := repo.levelFor(s, build.Definition)
	if level.Rank() > prewarm.Base.Rank() && !repo.takesPulls() {
		// Set before looking, so that publish does not miss that git settles meanwhile.
		repo.heldBack.Store(true)
		why, moved := repo.unsettled(ctx, s.picture)
		if moved {
			// No event told that HEAD moved. The new picture has the definition warmed
			// again, so an error, that the repository or the daemon ends, is no loss.
			_ = repo.do(ctx, repo.open)
			return
		}
		if why == "" {
			repo.heldBack.Store(false)
		} else {
			level, reason = prewarm.Base, why+": only base images are pulled meanwhile"
		}
	}
	if err := d.warmTo(ctx, repo, build, d.work(repo, build, level), reason, func(api.WarmEvent) {}); err != nil && ctx.Err() == nil {
		d.log.Warn("warm", "repository", job.Repository, "definition", job.Definition, "error", err)
	}
}

// levelFor is [repository.level] for one definition: some cannot be built ahead, and of those
// only base images are pulled.
func (r *repository) levelFor(s *state, def buildctx.Definition) (prewarm.Level, string) {
	level, reason := r.level(s)
	switch {
	case level.Rank() <= prewarm.Base.Rank():
	case def.NoCache:
		return prewarm.Base, "it is built without the cache: only base images are pulled"
	case def.Options.Unresolved():
		return prewarm.Base, "its host-gateway has an address that only your own client knows: only base images are pulled"
	case len(def.Linked) > 0:
		return prewarm.Base, "it starts from the result of another target: only base images are pulled"
	}
	return level, reason
}

// leastQuiet is the shortest quiet time that a repository's own file may ask for. It gives
// git the time to move HEAD after it has written files: see unsettled.
const leastQuiet = 500 * time.Millisecond

// touch has the warmer warm a definition once the repository is quiet. A warm-up of it that
// is running ends.
func (r *repository) touch(b *project.Build, cfg config.Config) {
	if b.Selection == nil || cfg.Prewarm.Level == config.LevelOff {
		return
	}
	r.daemon.warmer.Touch(prewarm.Job{Repository: r.root, Definition: b.Definition.Name}, max(cfg.Prewarm.Quiet, leastQuiet))
}

// touchAll touches all definitions of the repository.
func (r *repository) touchAll() {
	if s := r.state.Load(); s != nil && s.picture != nil {
		for _, b := range s.picture.Builds {
			r.touch(b, s.picture.Config)
		}
	}
}

// unwarmed returns why a definition is not warmed at all, "" if it is. It concerns only
// definitions that no file declares and that were learnt from a build.
func (r *repository) unwarmed(def buildctx.Definition) string {
	switch {
	case def.Origin != buildctx.Observed:
		return ""
	case !r.allowed():
		return "builds that nothing declares are not warmed until you run: stoker allow"
	case len(def.UnknownArgs) > 0:
		return "the values of its build args are not known any more"
	}
	return ""
}

// level returns how far a repository may be warmed unasked, and why no further.
func (r *repository) level(s *state) (prewarm.Level, string) {
	level := levelOf(s.picture.Config.Prewarm.Level)
	if level.Rank() <= prewarm.Base.Rank() {
		return level, ""
	}
	if !r.allowed() {
		return prewarm.Base, "only base images are pulled until you run: stoker allow"
	}
	if !r.trusted(s.picture) {
		return prewarm.Base, "HEAD moved to commits that you neither made nor built: only base images are pulled until you build, or run: stoker allow --pulls"
	}
	return level, ""
}

func levelOf(l config.Level) prewarm.Level { return prewarm.Level(l.String()) }

// warmTo does the work of warming b, and stores what came of it. reason says why b is not
// warmed further than that, "" if it is. tell is called with each step and with the outcome,
// unless ctx ends.
func (d *Daemon) warmTo(ctx context.Context, r *repository, b *project.Build, work prewarm.Work, reason string, tell func(api.WarmEvent)) error {
	name, level := b.Definition.Name, work.Level
	node := d.builder.current()
	if node == nil {
		return d.builder.missing()
	}
	began := time.Now()
	d.keepWarmth(r, name, warmRunning, level, reason)
	if s, err := r.fresh(ctx); err == nil && s.picture != nil {
		since := time.Now()
		work.Done = func(request buildkit.Request, solved buildkit.Solved) {
			d.enterOwn(ctx, node, r, request, solved, s.picture, since)
		}
	}
	ended := d.account(node).begin(nil)
	unread, err := work.Do(ctx, node, func(step string) {
		tell(api.WarmEvent{Definition: name, State: "step", Step: step})
	})
	ended()
	state := warmReady
	var failure *buildkit.SolveError
	switch {
	case ctx.Err() != nil:
		d.keepWarmth(r, name, warmWaiting, level, "interrupted")
		return ctx.Err()
	case err != nil && (errors.As(err, &failure) && failure.Unavailable() || d.builder.current() != node):
		// When a builder is connected again, builder.run has everything warmed anew.
		state, reason = warmWaiting, "the builder went away"
	case err != nil:
		state, reason = warmFailed, err.Error()
	case reason != "":
		state = warmWaiting
	}
	d.keepWarmth(r, name, state, level, reason)
	event := api.WarmEvent{Definition: name, State: state, Seconds: time.Since(began).Seconds(), Message: reason, Unread: unread}
	if state == warmWaiting && err == nil {
		event.State = warmReady // as far as work goes
	}
	tell(event)
	return err
}

// work returns what warming b to a level takes. Images are pulled by name only where they
// may be looked up.
func (d *Daemon) work(r *repository, b *project.Build, level prewarm.Level) prewarm.Work {
	return prewarm.Work{
		Definition: b.Definition, Plan: b.Selection.Plan, Level: level,
		Pulls: func(base dockerfile.Base) bool { return r.mayLookUp(d.images.asNamed(base.Ref)) },
	}
}

// forgetRunning marks the warm-ups of the repository at root as interrupted that ran when the
// last daemon ended.
func (d *Daemon) forgetRunning(root string) {
	kept, err := d.store.Warmths(root)
	if err != nil {
		d.log.Error("read warmth", "error", err)
	}
	for _, w := range kept {
		if w.State != warmRunning {
			continue
		}
		w.State, w.Reason = warmWaiting, "interrupted"
		if err := d.store.PutWarmth(w); err != nil {
			d.log.Error("store warmth", "error", err)
		}
	}
}

// keepWarmth stores and shows how warm a definition is.
func (d *Daemon) keepWarmth(r *repository, definition, state string, level prewarm.Level, reason string) {
	err := d.store.PutWarmth(store.Warmth{
		Repository: r.root, Definition: definition, Level: string(level), State: state, Reason: reason, At: time.Now(),
	})
	if err != nil {
		d.log.Error("store warmth", "error", err)
	}
	d.board.changed()
}

// Warm answers `stoker warm`. The user typed the command, which is consent for this run. The
// error says how many builds could not be warmed; progress is called with what came of each.
func (d *Daemon) Warm(ctx context.Context, req api.WarmRequest, progress func(api.WarmEvent)) error {
	r, picture, err := d.picture(ctx, req.Query)
	if err != nil {
		return err
	}
	level, err := requestedLevel(req, picture.Config)
	if err != nil {
		return err
	}
	builds, err := chosen(picture, req.Names)
	if err != nil {
		return err
	}
	node := d.builder.current()
	if node == nil {
		return d.builder.missing()
	}
	works := map[*project.Build]prewarm.Work{}
	for _, b := range builds {
		if b.Selection != nil {
			w := d.work(r, b, level)
			w.CacheFrom, w.CacheTo = report.Caches(req.CacheFrom), report.Caches(req.CacheTo)
			works[b] = w
		}
	}
	if err := prewarm.CheckCaches(slices.Collect(maps.Values(works))); err != nil {
		return report.UselessCaches(err)
	}
	for _, b := range builds {
		if w, ok := works[b]; ok {
			progress(api.WarmEvent{Definition: b.Definition.Name, State: "plan", Message: w.Describe() + " on " + node.Info().Name})
		}
	}
	release := d.warmer.Hold()
	defer release()
	failed := 0
	for _, b := range builds {
		if b.Selection == nil {
			failed++
			progress(api.WarmEvent{Definition: b.Definition.Name, State: warmFailed, Message: b.Problem.Text, Hint: b.Problem.Hint})
			continue
		}
		if err := d.warmTo(ctx, r, b, works[b], "", progress); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			failed++
		}
	}
	if failed > 0 {
		return &api.Error{Code: api.Failed, Message: fmt.Sprintf("%d of %d builds could not be warmed", failed, len(builds))}
	}
	return nil
}

// requestedLevel returns the level that a request names, or if it names none, that of cfg.
func requestedLevel(req api.WarmRequest, cfg config.Config) (prewarm.Level, error) {
	if req.Level == "" {
		return levelOf(cfg.Prewarm.Level), nil
	}
	parsed, err := config.ParseLevel(req.Level)
	if err != nil {
		return "", &api.Error{Code: api.BadInput, Message: err.Error(), Hint: "one of base, deps, all"}
	}
	return levelOf(parsed), nil
}
