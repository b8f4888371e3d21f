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

// builderWait bounds how long status without a daemon waits for a builder. A
// running one answers in milliseconds.
const builderWait = 2 * time.Second

// A local answers without a daemon: it reads the repository anew for each question,
// and what earlier daemons kept in the store.
type local struct {
	*options
	flags config.Flags
	bare  bool // no findings are wanted, so no file is searched for secrets
}

// picture reads the repository around q.Dir, and adds the definition that q spells
// out, if it does.
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

// opener returns an opener for the repository at root, and whether its owner has
// allowed builds of it.
func (l *local) opener(root string) (o *project.Opener, allowed bool, err error) {
	user, err := config.ReadUser(config.UserPath(l.Getenv))
	if err != nil {
		return nil, false, err
	}
	o = &project.Opener{User: user, Flags: l.flags, Env: l.env()}
	if !l.bare {
		o.Secrets = project.NewSecretCache()
	}
	return o, l.recall(root, o), nil
}

// openStore opens the daemon's store. The store is nil, without an error, if nothing
// was ever stored or a daemon has it open.
func (l *local) openStore() (*store.Store, error) {
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

// recall gives the opener what the store knows: base images that were looked up,
// and builds that were observed. It reports whether the repository's owner has
// allowed builds of it; if the store cannot be read, no one has.
func (l *local) recall(root string, opener *project.Opener) (allowed bool) {
	s, err := l.openStore()
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

// Stats answers from the store of earlier daemons. If there is none, the error is an
// *api.Error of code NoDaemon: only a daemon observes builds.
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
	s, err := l.openStore()
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

// costs returns the median seconds of the steps of a repository's builds. It knows
// none while a daemon has the store open.
func (l *local) costs(root string) (advise.Costs, error) {
	records, err := l.records(store.Query{Since: time.Now().Add(-advise.CostWindow), Repository: root})
	if err != nil {
		return nil, err
	}
	return advise.CostsOf(cache.Stats(slices.Values(records), nil)), nil
}

// records returns the stored builds that match q, none while a daemon has the store
// open.
func (l *local) records(q store.Query) ([]cache.Record, error) {
	s, err := l.openStore()
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

// Status reports on the repository around dir, and on the builder that it looks for.
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

// connect looks for the builder that explicit names, or for any if it is "", and
// connects to it. The caller calls done when it needs the builder no more. The error
// is an *api.Error that says which builders were tried, and what to do.
func (o *options) connect(ctx context.Context, explicit string) (node *buildkit.Builder, done func(), err error) {
	found, err := buildkit.Discover(ctx, o.surroundings(), explicit)
	if err != nil {
		return nil, nil, &api.Error{Code: api.BadInput, Message: "builder: " + err.Error()}
	}
	if len(found.Builders) == 0 {
		return nil, nil, &api.Error{Code: api.NoBuilder, Message: found.Problem(), Hint: found.Hint()}
	}
	return found.Builders[0], func() { closeAll(found) }, nil
}

// closeAll closes the connections to all builders that a discovery found.
func closeAll(found buildkit.Discovery) {
	for _, b := range found.Builders {
		b.Close()
	}
}

// builder says which builder a daemon would use, or why there is none. It waits at
// most builderWait.
func (l *local) builder(ctx context.Context, explicit string) api.Builder {
	ctx, cancel := context.WithTimeout(ctx, builderWait)
	defer cancel()
	found, err := buildkit.Discover(ctx, l.surroundings(), explicit)
	if err != nil {
		return api.Builder{Problem: "no builder answers: " + err.Error()}
	}
	defer closeAll(found)
	return report.Builder(found)
}
