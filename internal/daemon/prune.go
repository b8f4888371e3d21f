package daemon

import (
	"context"
	"slices"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/ledger"
	"github.com/stokerd/stoker/internal/report"
)

// keepMade stores which steps a part of a build executed, so that prune can tell whose results
// the builder's cache has. names are the names of the steps that part.Plan.Ops refer to.
func (d *Daemon) keepMade(node *buildkit.Builder, repo *repository, definition string, part buildkit.Part, names []string) {
	var list []store.Made
	for i, op := range part.Plan.Ops {
		if part.Fates[i] != cache.Made || op.Record == "" || len(op.Steps) == 0 || op.Steps[0] >= len(names) {
			continue
		}
		list = append(list, store.Made{
			Record: []byte(d.store.Seal(op.Record)), Started: part.Runs[i].Started, Completed: part.Runs[i].Completed,
			Repository: repo.root, Definition: definition, Step: names[op.Steps[0]],
		})
	}
	if err := d.store.PutMade(d.account(node).name, time.Now(), list); err != nil {
		d.log.Error("store what a build executed", "error", err)
	}
}

// stepNames returns what the steps of a plan are called in records.
func stepNames(steps []dockerfile.Step) []string {
	names := make([]string, len(steps))
	for i, s := range steps {
		names[i] = s.Name
	}
	return names
}

// Prune answers `stoker prune`: it lists what the builder's cache holds and what could go, and
// first removes what the request names.
func (d *Daemon) Prune(ctx context.Context, req api.PruneRequest) (api.Prune, error) {
	node := d.builder.current()
	if node == nil {
		return api.Prune{}, d.builder.missing()
	}
	if err := d.awaitResumed(ctx); err != nil {
		return api.Prune{}, err
	}
	d.account(node).builds.settle(ctx, settleTime)
	held, err := d.holdings(ctx, node, req)
	if err != nil {
		return api.Prune{}, err
	}
	now := time.Now()
	if len(req.Remove) == 0 {
		return report.Prune(node.Info().Name, held, prunePolicy(req, now)), nil
	}
	removed, err := d.remove(ctx, node, req, held)
	if err != nil {
		return api.Prune{}, err
	}
	if held, err = d.holdings(ctx, node, req); err != nil {
		return api.Prune{}, err
	}
	answer := report.Prune(node.Info().Name, held, prunePolicy(req, now))
	answer.Removed = &removed
	return answer, nil
}

// prunePolicy returns the policy that a request asks for.
func prunePolicy(req api.PruneRequest, now time.Time) cache.Policy {
	p := cache.Policy{Keep: req.Keep, Others: req.All}
	if req.Older > 0 {
		p.UnusedSince = now.Add(-time.Duration(req.Older * float64(time.Second)))
	}
	return p
}

// remove removes those records of held that the request names and that [cache.Cold] lets go.
// It returns what went, also with an error.
func (d *Daemon) remove(ctx context.Context, node *buildkit.Builder, req api.PruneRequest, held []report.Holding) (sum api.PruneSum, err error) {
	var ids []string
	for _, i := range cache.Cold(report.Holdings(held), cache.Policy{Others: req.All}) {
		if slices.Contains(req.Remove, held[i].ID) {
			ids = append(ids, held[i].ID)
		}
	}
	err = node.Remove(ctx, ids, req.All, func(_ string, bytes int64) {
		sum.Records++
		sum.Bytes += bytes
	})
	d.list(ctx, node)
	return sum, err
}

// holdings returns what the builder holds, with the owner of each record and whether the next
// builds may need it, as far as that is known.
func (d *Daemon) holdings(ctx context.Context, node *buildkit.Builder, req api.PruneRequest) ([]report.Holding, error) {
	usage, err := node.DiskUsage(ctx)
	if err != nil {
		return nil, err
	}
	made, err := d.store.Made(d.account(node).name)
	if err != nil {
		return nil, err
	}
	byRecord := map[string][]store.Made{}
	for _, m := range made {
		byRecord[string(m.Record)] = append(byRecord[string(m.Record)], m)
	}
	only, err := d.prunable(ctx, req.Query)
	if err != nil {
		return nil, err
	}
	need := d.needs(ctx, node)
	list := make([]report.Holding, len(usage))
	for i, u := range usage {
		h := report.Holding{Usage: u}
		sealed := buildkit.Held{ID: u.ID, Created: u.Created}
		if u.Record != "" {
			sealed.Record = d.store.Seal(u.Record)
		}
		for _, m := range byRecord[sealed.Record] {
			if u.Record != "" && listsMade(m, sealed) {
				h.Owner = &api.PruneOwner{Repository: m.Repository, Definition: m.Definition, Step: m.Step}
			}
		}
		h.Eligible = only(h.Owner)
		h.Needed = u.Record != "" && need.takes(u.Kind, sealed) || h.Owner != nil && need.unread[h.Owner.Repository]
		list[i] = h
	}
	return list, nil
}

// listsMade reports whether the builder's record h is the result of m.
func listsMade(m store.Made, h buildkit.Held) bool {
	return ledger.Result{Record: string(m.Record), Run: buildkit.Run{Started: m.Started, Completed: m.Completed}}.Lists(h)
}

// prunable returns a function that reports whether a record may go, given its owner: anything
// may if the query names no definitions, else only what is theirs.
func (d *Daemon) prunable(ctx context.Context, q api.Query) (func(*api.PruneOwner) bool, error) {
	if len(q.Names) == 0 {
		return func(*api.PruneOwner) bool { return true }, nil
	}
	repo, p, err := d.picture(ctx, api.Query{Dir: q.Dir})
	if err != nil {
		return nil, err
	}
	if _, err := chosen(p, q.Names); err != nil {
		return nil, err
	}
	return func(o *api.PruneOwner) bool {
		return o != nil && o.Repository == repo.root && slices.Contains(q.Names, o.Definition)
	}, nil
}

// needs is what the next builds of all that is watched may take from the builder's cache. Keys
// are sealed names of records, but for those of unread.
type needs struct {
	results map[string][]ledger.Result // results that they will take, by record
	ids     map[string]bool            // of results that they will take
	records map[string]bool            // of steps about which the ledger is in doubt: any result may be taken
	mounts  map[string]bool            // of cache mounts
	unread  map[string]bool            // roots of repositories of which it is not known what they need
}

// takes reports whether a build may take the record h of that kind.
func (n needs) takes(kind buildkit.Kind, h buildkit.Held) bool {
	if kind == buildkit.CacheMount {
		return n.mounts[h.Record]
	}
	return n.ids[h.ID] || n.records[h.Record] || slices.ContainsFunc(n.results[h.Record], func(r ledger.Result) bool { return r.Lists(h) })
}

// needs returns what the next builds need from node's cache.
func (d *Daemon) needs(ctx context.Context, node *buildkit.Builder) needs {
	n := needs{results: map[string][]ledger.Result{}, ids: map[string]bool{}, records: map[string]bool{}, mounts: map[string]bool{}, unread: map[string]bool{}}
	known := d.account(node)
	for _, repo := range d.all() {
		s, err := repo.fresh(ctx)
		if err != nil || s.picture == nil {
			n.unread[repo.root] = true
			continue
		}
		for _, b := range s.picture.Builds {
			if b.Selection == nil {
				n.unread[repo.root] = true
				continue
			}
			plan := b.Selection.Plan
			g := d.graphOf(ctx, node, repo, s.picture, b)
			for _, r := range known.Results(g) {
				if r.ID != "" {
					n.ids[r.ID] = true
				} else {
					n.results[r.Record] = append(n.results[r.Record], r)
				}
			}
			records := recordsOf(plan)
			for i, p := range known.Predict(g, records) {
				if records[i] == "" {
					continue
				}
				sealed := d.store.Seal(records[i])
				n.mounts[sealed] = true
				n.records[sealed] = n.records[sealed] || p.Forecast == cache.Unknown
			}
		}
	}
	return n
}

// madeBy stores which steps a finished build executed: see keepMade.
func (d *Daemon) madeBy(node *buildkit.Builder, seen buildkit.Observed, repo *repository) {
	names := make([]string, len(seen.Record.Steps))
	for i, s := range seen.Record.Steps {
		names[i] = s.Name
	}
	for _, part := range seen.Parts {
		d.keepMade(node, repo, seen.Record.Definition, part, names)
	}
}
