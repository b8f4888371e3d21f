package daemon

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

// remembered is how many earlier builds of a definition are searched for one that had the
// same results.
const remembered = 100

// Why answers `stoker why`.
func (d *Daemon) Why(ctx context.Context, req api.WhyRequest) (api.Why, error) {
	root, err := project.Root(ctx, req.Dir)
	if err != nil {
		return api.Why{}, &api.Error{Code: api.BadInput, Message: err.Error()}
	}
	if node := d.builder.current(); node != nil {
		d.account(node).builds.settle(ctx, settleTime)
	}
	r, err := d.recorded(root, req.Build)
	if err != nil {
		return api.Why{}, err
	}
	b, err := d.explained(r)
	if err != nil {
		return api.Why{}, err
	}
	var against *cache.Build
	if req.Against != "" {
		r, err := d.recorded(root, req.Against)
		if err != nil {
			return api.Why{}, err
		}
		a, err := d.explained(r)
		if err != nil {
			return api.Why{}, err
		}
		if a.Ref == b.Ref {
			return api.Why{}, &api.Error{Code: api.BadInput, Message: "a build differs in nothing from itself", Hint: "name another one with --against"}
		}
		against = &a
	}
	explanations, err := d.explain(b, against)
	if err != nil {
		return api.Why{}, err
	}
	return report.Why(b, explanations, req.Step, d.differences)
}

// differences returns what differs between two manifests.
func (d *Daemon) differences(before, after string) (list []content.Difference, err error) {
	err = d.store.Compare(before, after, func(diff content.Difference) bool {
		list = append(list, diff)
		return true
	})
	return list, err
}

// explained returns the build of a record, with its evidence if there is any.
func (d *Daemon) explained(r cache.Record) (cache.Build, error) {
	e, ok, err := d.store.Evidence(r.Builder, r.Ref)
	if err != nil || !ok {
		return cache.Build{Record: r}, err
	}
	return cache.Build{Record: r, Evidence: &e}, nil
}

// explain says why the steps of a build ran, by comparison with against or, if that is nil,
// with the earlier builds of its definition on the same builder.
func (d *Daemon) explain(b cache.Build, against *cache.Build) ([]cache.Explanation, error) {
	e := earlier{daemon: d, builder: b.Builder, evidence: map[int]*cache.Evidence{}}
	for r, err := range d.store.Records(store.Query{Repository: b.Repository, Definition: b.Definition, NewestFirst: true}) {
		if err != nil {
			return nil, fmt.Errorf("read builds: %w", err)
		}
		if r.Builder == b.Builder && r.Ref != b.Ref && !r.Completed.After(b.Completed) {
			e.records = append(e.records, r)
		}
		if len(e.records) == remembered {
			break
		}
	}
	explanations := cache.Explain(b, &e, against)
	return explanations, e.err
}

// earlier gives the builds of one definition that had ended on the same builder when the
// build to explain did. It reads their evidence from the store when it is asked for it.
type earlier struct {
	daemon   *Daemon
	builder  string
	records  []cache.Record
	evidence map[int]*cache.Evidence // read so far, by index in records
	err      error                   // the first error of reading
}

var _ cache.Earlier = (*earlier)(nil)

// Records implements [cache.Earlier].
func (e *earlier) Records() []cache.Record { return e.records }

// Evidence implements [cache.Earlier].
func (e *earlier) Evidence(i int) *cache.Evidence {
	if _, have := e.evidence[i]; !have {
		b, err := e.daemon.explained(e.records[i])
		e.err = cmp.Or(e.err, err)
		e.evidence[i] = b.Evidence
	}
	return e.evidence[i]
}

// Made implements [cache.Earlier].
func (e *earlier) Made(keys []string) int {
	refs := make([]string, len(e.records))
	for i, r := range e.records {
		refs[i] = r.Ref
	}
	first, err := e.daemon.store.FirstMade(e.builder, refs, keys)
	e.err = cmp.Or(e.err, err)
	return first
}

// recorded returns the build that name means: the one with that ref, the last one of the
// definition of that name, or the only one whose ref begins with it. For "" it is the last
// build of all.
func (d *Daemon) recorded(root, name string) (cache.Record, error) {
	name = path.Base("/" + name) // Docker Desktop and buildx write builder/node/ref
	if name == "/" {
		name = ""
	}
	var (
		matches []cache.Record
		last    *cache.Record
		names   []string
	)
	for r, err := range d.store.Records(store.Query{Repository: root, NewestFirst: true}) {
		switch {
		case err != nil:
			return cache.Record{}, fmt.Errorf("read builds: %w", err)
		case name == "" || r.Ref == name:
			return r, nil
		case r.Definition == name && last == nil:
			last = &r
		case strings.HasPrefix(r.Ref, name):
			matches = append(matches, r)
		}
		if !slices.Contains(names, r.Definition) && len(names) < 10 {
			names = append(names, r.Definition)
		}
	}
	switch {
	case last != nil:
		return *last, nil
	case len(matches) == 1:
		return matches[0], nil
	case len(matches) > 1:
		return cache.Record{}, &api.Error{
			Code: api.BadInput, Message: fmt.Sprintf("%q may mean %d builds", name, len(matches)), Hint: "give more of the ref: " + matches[0].Ref + " is the latest",
		}
	case name == "":
		e := &api.Error{Code: api.NotFound, Message: "no build of " + root + " was seen yet", Hint: "stoker up watches it; then build it, with any client"}
		if note := d.builder.wire().Note; note != "" {
			e.Hint = note
		}
		return cache.Record{}, e
	}
	e := &api.Error{Code: api.NotFound, Message: fmt.Sprintf("no build of %s is %q", root, name), Hint: "without a name, the last build is explained"}
	if len(names) > 0 {
		e.Hint += "; definitions that were built: " + strings.Join(names, ", ")
	}
	return cache.Record{}, e
}
