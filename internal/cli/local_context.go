package cli

import (
	"context"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

// Context answers as the daemon does.
func (l *local) Context(ctx context.Context, req api.ContextRequest) (api.Context, error) {
	p, b, err := l.withoutFindings().build(ctx, req.Query)
	if err != nil {
		return api.Context{}, err
	}
	return report.Context(p, b, req)
}

// build reads the repository, and returns the one build that q asks for. If q names
// none, the repository must have only one.
func (l *local) build(ctx context.Context, q api.Query) (*project.Picture, *project.Build, error) {
	p, err := l.picture(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	name := ""
	if len(q.Names) > 0 {
		name = q.Names[0]
	}
	b, err := report.One(p, name)
	return p, b, err
}

// ContextTree answers as the daemon does.
func (l *local) ContextTree(ctx context.Context, req api.ContextTreeRequest) (api.ContextTree, error) {
	p, err := l.withoutFindings().picture(ctx, req.Query)
	if err != nil {
		return api.ContextTree{}, err
	}
	return report.ContextTree(p, req)
}

// ContextExplain answers as the daemon does.
func (l *local) ContextExplain(ctx context.Context, req api.ContextExplainRequest) (api.ContextExplain, error) {
	p, err := l.withoutFindings().picture(ctx, req.Query)
	if err != nil {
		return api.ContextExplain{}, err
	}
	return report.ContextExplain(p, req)
}

// ContextDiff answers as the daemon does.
func (l *local) ContextDiff(ctx context.Context, req api.ContextDiffRequest) (api.ContextDiff, error) {
	p, err := l.withoutFindings().picture(ctx, req.Query)
	if err != nil {
		return api.ContextDiff{}, err
	}
	builds, err := report.Select(p, req.Names)
	if err != nil {
		return api.ContextDiff{}, err
	}
	opener, _, err := l.withoutFindings().opener(p.Root)
	if err != nil {
		return api.ContextDiff{}, err
	}
	c, err := opener.Compare(ctx, p, req.From, req.To)
	if err != nil {
		return api.ContextDiff{}, report.NoCommit(err)
	}
	return report.ContextDiff(c, builds)
}

// withoutFindings returns a copy of l that does not search files for secrets.
func (l *local) withoutFindings() *local {
	return &local{options: l.options, flags: l.flags, bare: true}
}
