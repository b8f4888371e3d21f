package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/internal/advise"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
)

// Suggest answers `stoker suggest`.
func (d *Daemon) Suggest(ctx context.Context, req api.SuggestRequest) (api.Suggest, error) {
	repo, p, err := d.picture(ctx, req.Query)
	if err != nil {
		return api.Suggest{}, err
	}
	builds, err := chosen(p, req.Names)
	if err != nil {
		return api.Suggest{}, err
	}
	history, err := repo.changes(ctx, p, advise.Commits)
	if err != nil {
		return api.Suggest{}, err
	}
	if history, err = history.Assuming(ctx, p, builds); err != nil {
		return api.Suggest{}, err
	}
	costs, err := d.costs(repo)
	if err != nil {
		return api.Suggest{}, err
	}
	if req.Together {
		answers, made := advise.Together(ctx, repo.opener, p, builds, history, costs, req.Rules)
		return advise.WireTogether(p, req, answers, made, history), ctx.Err()
	}
	return advise.Wire(p, req, advise.Suggest(ctx, p, builds, history, costs), history), ctx.Err()
}

// Replay answers `stoker replay`.
func (d *Daemon) Replay(ctx context.Context, req api.ReplayRequest) (api.Replay, error) {
	if req.Commits < 1 || req.Commits > advise.MostCommits {
		return api.Replay{}, &api.Error{Code: api.BadInput, Message: fmt.Sprintf("%d commits cannot be replayed", req.Commits)}
	}
	repo, p, err := d.picture(ctx, req.Query)
	if err != nil {
		return api.Replay{}, err
	}
	b, err := one(p, req.Names)
	if err != nil {
		return api.Replay{}, err
	}
	history, err := repo.changes(ctx, p, req.Commits)
	if err != nil {
		return api.Replay{}, err
	}
	if history, err = history.Assuming(ctx, p, []*project.Build{b}); err != nil {
		return api.Replay{}, err
	}
	costs, err := d.costs(repo)
	if err != nil {
		return api.Replay{}, err
	}
	return advise.Replay(ctx, p, b, history, costs, req.With)
}

// costs returns how long the steps of a repository's definitions took when they ran, within
// advise.CostWindow.
func (d *Daemon) costs(r *repository) (advise.Costs, error) {
	var failed error
	q := store.Query{Since: time.Now().Add(-advise.CostWindow), Repository: r.root, Borrow: true}
	costs := advise.CostsOf(cache.Stats(records(d.store.Records(q), &failed), nil))
	if failed != nil {
		return nil, fmt.Errorf("read builds: %w", failed)
	}
	return costs, nil
}

// countSuggestions counts the suggestions for status whenever recount is poked, until ctx
// ends.
func (r *repository) countSuggestions(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.recount:
		}
		s := r.state.Load()
		if s == nil || s.picture == nil {
			continue
		}
		r.daemon.lookForUnseen(ctx, r, s.picture)
		history, err := r.changes(ctx, s.picture, advise.Commits)
		n := 0
		if err == nil {
			n, err = r.daemon.countOf(ctx, r, s.picture, history)
		}
		if err != nil {
			if ctx.Err() == nil {
				r.log.Warn("count suggestions", "error", err)
			}
			continue
		}
		if r.suggestions.Swap(int64(n)) != int64(n) {
			r.daemon.board.changed()
		}
	}
}

// countOf returns how many suggestions there are for the builds of p.
func (d *Daemon) countOf(ctx context.Context, r *repository, p *project.Picture, history advise.History) (int, error) {
	costs, err := d.costs(r)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, a := range advise.Suggest(ctx, p, p.Builds, history, costs) {
		n += len(a.Suggestions)
	}
	return n, ctx.Err()
}
