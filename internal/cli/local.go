package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/cache/store"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/advise"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/ipc"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

// builderWait bounds how long a look on the spot waits for a builder: one that
// is there answers in milliseconds, and nobody waits for one that is not.
const builderWait = 2 * time.Second

// A local answers on the spot, from the disk.
type local struct {
	*options
	flags config.Flags
	bare  bool // findings are not asked for, so no file is read for secrets
}

// picture looks at the repository around q.Dir, or at the definition that q
// spells out.
func (l *local) picture(ctx context.Context, q api.Query) (*project.Picture, error) {
	root, err := project.Root(ctx, q.Dir)
	if err != nil {
		return nil, err
	}
	opener, allowed, err := l.opener(root)
	if err != nil {
		return nil, err
	}
	var adHoc []buildctx.Definition
	if q.AdHoc != nil {
		adHoc = append(adHoc, report.Definition(*q.AdHoc))
	}
	return opener.Open(ctx, root, allowed, adHoc...)
}

// opener returns what makes pictures of the repository, and whether its owner
// has consented.
func (l *local) opener(root string) (o *project.Opener, allowed bool, err error) {
	user, err := config.ReadUser(config.UserPath(l.Getenv))
	if err != nil {
		return nil, false, err
	}
	o = &project.Opener{User: user, Flags: l.flags, Env: l.env()}
	if !l.bare {
		o.Secrets = project.NewSecretCache()
	}
	return o, l.remember(root, o), nil
}

// kept opens the store of the daemon that does not run; nil if nothing was ever
// stored, or a daemon has it open.
func (l *local) kept() (*store.Store, error) {
	paths, err := ipc.Locate(l.Getenv)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(paths.Store); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	s, err := store.Open(paths.Store)
	if errors.Is(err, store.ErrLocked) {
		return nil, nil
	}
	return s, err
}

// remember gives the opener what the store knows: base images that were looked
// up, and builds that were observed. It reports whether the repository's owner
// has consented; where the store cannot be read, nobody has.
func (l *local) remember(root string, opener *project.Opener) (allowed bool) {
	s, err := l.kept()
	if err != nil || s == nil {
		return false
	}
	defer s.Close()
	if images, err := s.Images(); err == nil {
		opener.Resolver = images
	}
	if learnt, err := s.Learnt(root, time.Now()); err == nil {
		var defs []buildctx.Definition
		for _, l := range learnt {
			defs = append(defs, l.Definition(nil))
		}
		opener.Learnt = func() []buildctx.Definition { return defs }
	}
	r, ok, err := s.Repository(root)
	return err == nil && ok && r.Allowed && r.Owner == project.Owner(root)
}

// Check answers as the daemon does.
func (l *local) Check(ctx context.Context, req api.CheckRequest) (api.Check, error) {
	p, err := l.picture(ctx, req.Query)
	if err != nil {
		return api.Check{}, err
	}
	return report.Check(p, req.Names)
}

// Stats answers from what a daemon has left. That there is nothing is an *api.Error
// of code NoDaemon: only a daemon sees builds.
func (l *local) Stats(ctx context.Context, req api.StatsRequest) (api.Stats, error) {
	since := time.Now().Add(-time.Duration(req.Since * float64(time.Second)))
	query := store.Query{Since: since, Definition: req.Definition}
	if req.Dir != "" {
		root, err := project.Root(ctx, req.Dir)
		if err != nil {
			return api.Stats{}, err
		}
		query.Repository = root
	}
	s, err := l.kept()
	if err != nil {
		return api.Stats{}, err
	}
	if s == nil {
		return api.Stats{}, &api.Error{Code: api.NoDaemon, Message: "no daemon runs, and only a daemon sees builds", Hint: "stoker up; then build"}
	}
	records, err := buildsIn(s, query)
	past, pastErr := buildsIn(s, store.Query{Repository: query.Repository})
	_, watched, storeErr := s.Repository(query.Repository)
	blames, blamesErr := s.Blames(since)
	if err := errors.Join(err, pastErr, storeErr, blamesErr, s.Close()); err != nil {
		return api.Stats{}, err
	}
	var names []string
	if req.Definition != "" && watched && len(records) == 0 {
		if p, err := l.withoutFindings().picture(ctx, api.Query{Dir: req.Dir}); err == nil {
			names = p.Names()
		}
	}
	for _, r := range past {
		names = append(names, r.Definition)
	}
	if err := report.NoBuilds(query.Repository, req.Definition, watched, names); err != nil {
		return api.Stats{}, err
	}
	return report.Stats(since, cache.Stats(slices.Values(records), func(r cache.Record) []cache.Blame {
		return blames[store.BuildID{Builder: r.Builder, Ref: r.Ref}]
	})), nil
}

// costs returns the median seconds of the steps of a repository's builds; none
// are known while a daemon has the store.
func (l *local) costs(root string) (advise.Costs, error) {
	records, err := l.records(store.Query{Since: time.Now().Add(-advise.CostWindow), Repository: root})
	if err != nil {
		return nil, err
	}
	return advise.CostsOf(cache.Stats(slices.Values(records), nil)), nil
}

func (l *local) records(q store.Query) ([]cache.Record, error) {
	s, err := l.kept()
	if err != nil || s == nil {
		return nil, err
	}
	defer s.Close()
	return buildsIn(s, q)
}

func buildsIn(s *store.Store, q store.Query) ([]cache.Record, error) {
	var list []cache.Record
	for r, err := range s.Records(q) {
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// Status pictures the repository around dir and looks for a builder.
func (l *local) Status(ctx context.Context, dir string) (api.Status, error) {
	p, err := l.picture(ctx, api.Query{Dir: dir})
	if err != nil {
		return api.Status{}, err
	}
	r := report.Repository(p)
	records, err := l.records(store.Query{Since: time.Now().Add(-report.Window), Repository: p.Root})
	if err != nil {
		return api.Status{}, err
	}
	for i := range r.Definitions {
		d := &r.Definitions[i]
		d.Warm = api.Warmth{State: "off", Reason: "no daemon runs"}
		report.AddBuilds(d, slices.DeleteFunc(slices.Clone(records), func(r cache.Record) bool { return r.Definition != d.Name }))
	}
	return api.Status{
		Schema: api.StatusSchema, Builder: l.builder(ctx, p.Config.Builder), Repositories: []api.Repository{r},
	}, nil
}

// connect looks for the builder that explicit names, "" for any, and connects. Done
// lets go of it, and of what else answered. The error says what was tried, and what
// to do.
func (o *options) connect(ctx context.Context, explicit string) (node *buildkit.Builder, done func(), err error) {
	found, err := buildkit.Discover(ctx, o.surroundings(), explicit)
	if err != nil {
		return nil, nil, &api.Error{Code: api.BadInput, Message: "builder: " + err.Error()}
	}
	if len(found.Builders) == 0 {
		return nil, nil, &api.Error{Code: api.NoBuilder, Message: found.Problem(), Hint: found.Hint()}
	}
	return found.Builders[0], func() { letGo(found) }, nil
}

func letGo(found buildkit.Discovery) {
	for _, b := range found.Builders {
		b.Close()
	}
}

// builder looks for a builder and lets go of it.
func (l *local) builder(ctx context.Context, explicit string) api.Builder {
	ctx, cancel := context.WithTimeout(ctx, builderWait)
	defer cancel()
	found, err := buildkit.Discover(ctx, l.surroundings(), explicit)
	if err != nil {
		return api.Builder{Problem: "no builder answers: " + err.Error()}
	}
	defer letGo(found)
	return report.Builder(found)
}
