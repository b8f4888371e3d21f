package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

// Up answers `stoker up`: it watches a repository, and returns when its first picture is ready.
func (d *Daemon) Up(ctx context.Context, req api.UpRequest) (api.Status, error) {
	root, err := rootAround(ctx, req.Dir)
	if err != nil {
		return api.Status{}, err
	}
	repo, err := d.begin(root)
	if err != nil {
		return api.Status{}, err
	}
	if req.Allow || req.Pulls {
		if err := d.consent(ctx, root, true, req.Pulls); err != nil {
			return api.Status{}, err
		}
	}
	select {
	case <-repo.ready:
	case <-repo.ended:
		return api.Status{}, errEnded
	case <-ctx.Done():
		return api.Status{}, ctx.Err()
	}
	return d.status(), nil
}

// rootAround returns the root of the repository around dir, which is a folder in any case.
func rootAround(ctx context.Context, dir string) (string, error) {
	root, err := project.Root(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &api.Error{Code: api.BadInput, Message: "there is no folder " + dir, Hint: "name a folder that exists"}
	}
	if err != nil {
		return "", &api.Error{Code: api.BadInput, Message: err.Error()}
	}
	if fi, err := os.Stat(root); err != nil || !fi.IsDir() {
		return "", &api.Error{Code: api.BadInput, Message: root + " is not a folder", Hint: "name the folder that it is in"}
	}
	return root, nil
}

// begin watches the repository at root from now on, also after a restart of the daemon.
func (d *Daemon) begin(root string) (*repository, error) {
	d.turn.Lock()
	defer d.turn.Unlock()
	if _, err := d.amend(root, func(rec *store.Repository) { rec.Watched = true }); err != nil {
		return nil, err
	}
	return d.watch(root)
}

// Down answers `stoker down`: it stops watching a repository, or ends the daemon.
func (d *Daemon) Down(ctx context.Context, req api.DownRequest) (api.Done, error) {
	if req.All {
		// The answer is on its way before the listener closes.
		d.stop()
		return api.Done{Message: "the daemon ends"}, nil
	}
	repo, err := d.around(ctx, req.Dir)
	if err != nil {
		return api.Done{}, err
	}
	// A folder that is gone may be that of a repository, and a name that was mistyped
	// is not meant to stand for the repository around it.
	if _, err := os.Lstat(req.Dir); errors.Is(err, fs.ErrNotExist) && filepath.Clean(req.Dir) != repo.root {
		return api.Done{}, &api.Error{
			Code: api.NotFound, Message: fmt.Sprintf("there is no folder %s, and it is not watched", req.Dir), Hint: "stoker status --all shows what is watched",
		}
	}
	if err := d.forget(repo); err != nil {
		return api.Done{}, err
	}
	return api.Done{Message: repo.root + " is no longer watched"}, nil
}

// forget stops watching repo, and returns when its goroutine has ended.
func (d *Daemon) forget(repo *repository) error {
	d.turn.Lock()
	defer d.turn.Unlock()
	if _, err := d.amend(repo.root, func(rec *store.Repository) { rec.Watched = false }); err != nil {
		return err
	}
	d.mu.Lock()
	delete(d.repositories, repo.root)
	d.mu.Unlock()
	repo.end()
	<-repo.ended
	d.warmer.Forget(repo.root)
	d.images.forget(repo)
	d.chooseBuilder()
	d.board.changed()
	return nil
}

// picture returns what a query is about: the picture of its repository, with everything that
// was written before the call, or one of the definition that the query brings. Errors are for
// the user.
func (d *Daemon) picture(ctx context.Context, q api.Query) (*repository, *project.Picture, error) {
	repo, err := d.around(ctx, q.Dir)
	if err != nil {
		return nil, nil, err
	}
	if q.AdHoc != nil {
		p, err := repo.opener.Open(ctx, repo.root, repo.allowed(), report.Definition(*q.AdHoc))
		if err != nil {
			return nil, nil, problem(repo.explain(err))
		}
		return repo, p, nil
	}
	s, err := repo.fresh(ctx)
	if err != nil {
		return nil, nil, err
	}
	if s.picture == nil {
		return nil, nil, problem(s.problem)
	}
	return repo, s.picture, nil
}

// problem returns the error of a request that cannot be answered because of p.
func problem(p *project.Problem) error {
	return &api.Error{Code: api.BadInput, Message: p.Text, Hint: p.Hint}
}

// chosen returns the builds with the given names, or all if none is given.
func chosen(p *project.Picture, names []string) ([]*project.Build, error) {
	return report.Select(p, names)
}

// one returns the one build that a command is about.
func one(p *project.Picture, names []string) (*project.Build, error) {
	name := ""
	if len(names) > 0 {
		name = names[0]
	}
	return report.One(p, name)
}

// Check answers `stoker check`.
func (d *Daemon) Check(ctx context.Context, req api.CheckRequest) (api.Check, error) {
	_, p, err := d.picture(ctx, req.Query)
	if err != nil {
		return api.Check{}, err
	}
	return report.Check(p, req.Names)
}

// Stats answers `stoker stats`.
func (d *Daemon) Stats(ctx context.Context, req api.StatsRequest) (api.Stats, error) {
	if node := d.builder.current(); node != nil {
		d.account(node).builds.settle(ctx, settleTime)
	}
	since := time.Now().Add(-time.Duration(req.Since * float64(time.Second)))
	q := store.Query{Since: since, Definition: req.Definition, Borrow: true}
	if req.Dir != "" {
		root, err := project.Root(ctx, req.Dir)
		if err != nil {
			return api.Stats{}, &api.Error{Code: api.BadInput, Message: err.Error()}
		}
		q.Repository = root
	}
	blames, err := d.store.Blames(since)
	if err != nil {
		return api.Stats{}, err
	}
	var failed error
	list := cache.Stats(records(d.store.Records(q), &failed), func(r cache.Record) []cache.Blame {
		return blames[store.BuildID{Builder: r.Builder, Ref: r.Ref}]
	})
	if failed != nil {
		return api.Stats{}, fmt.Errorf("read builds: %w", failed)
	}
	if len(list) == 0 {
		if err := d.noBuilds(ctx, req, q.Repository); err != nil {
			return api.Stats{}, err
		}
	}
	return report.Stats(since, list), nil
}

// noBuilds returns the error of a request for builds of a folder or a definition that does not
// exist. It is nil if that exists and was only not built.
func (d *Daemon) noBuilds(ctx context.Context, req api.StatsRequest, root string) error {
	var names []string
	watched := false
	if root != "" {
		_, err := d.around(ctx, req.Dir)
		watched = err == nil
		if _, p, err := d.picture(ctx, api.Query{Dir: req.Dir}); err == nil {
			names = p.Names()
		}
	}
	var failed error
	for r := range records(d.store.Records(store.Query{Repository: root, Borrow: true}), &failed) {
		names = append(names, r.Definition)
	}
	if failed != nil {
		return fmt.Errorf("read builds: %w", failed)
	}
	return report.NoBuilds(root, req.Definition, watched, names)
}

// records yields the records of seq up to the first error, which it stores in failed.
func records(seq iter.Seq2[cache.Record, error], failed *error) iter.Seq[cache.Record] {
	return func(yield func(cache.Record) bool) {
		for r, err := range seq {
			if err != nil {
				*failed = err
				return
			}
			if !yield(r) {
				return
			}
		}
	}
}
