package daemon

import (
	"context"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

// Context answers `stoker context ls` and `steps`.
func (d *Daemon) Context(ctx context.Context, req api.ContextRequest) (api.Context, error) {
	p, b, err := d.build(ctx, req.Query)
	if err != nil {
		return api.Context{}, err
	}
	return report.Context(p, b, req)
}

// ContextTree answers `stoker context tree`.
func (d *Daemon) ContextTree(ctx context.Context, req api.ContextTreeRequest) (api.ContextTree, error) {
	_, p, err := d.picture(ctx, req.Query)
	if err != nil {
		return api.ContextTree{}, err
	}
	return report.ContextTree(p, req)
}

// ContextExplain answers `stoker context explain`.
func (d *Daemon) ContextExplain(ctx context.Context, req api.ContextExplainRequest) (api.ContextExplain, error) {
	_, p, err := d.picture(ctx, req.Query)
	if err != nil {
		return api.ContextExplain{}, err
	}
	return report.ContextExplain(p, req)
}

// ContextDiff answers `stoker context diff`.
func (d *Daemon) ContextDiff(ctx context.Context, req api.ContextDiffRequest) (api.ContextDiff, error) {
	repo, p, err := d.picture(ctx, req.Query)
	if err != nil {
		return api.ContextDiff{}, err
	}
	builds, err := report.Select(p, req.Names)
	if err != nil {
		return api.ContextDiff{}, err
	}
	c, err := repo.opener.Compare(ctx, p, req.From, req.To)
	if err != nil {
		return api.ContextDiff{}, report.NoCommit(err)
	}
	return report.ContextDiff(c, builds)
}

// build returns the one build that a query is about.
func (d *Daemon) build(ctx context.Context, q api.Query) (*project.Picture, *project.Build, error) {
	_, p, err := d.picture(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	b, err := one(p, q.Names)
	return p, b, err
}
