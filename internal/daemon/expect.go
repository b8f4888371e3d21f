package daemon

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/internal/advise"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

// compared is how many builds a predicted one is compared with: each adds to the time
// that an answer takes.
const compared = 10

// A past is what a prediction needs of the builds of a repository, read once for as
// long as there is no new one. It is safe for concurrent use.
type past struct {
	mu       sync.Mutex // guards the fields below; held while records are read
	of       uint64     // which builds it was read from: see builds.news
	until    time.Time  // when it is read again: the window moves on
	expected map[string]cache.Expectation
	earlier  map[string]cache.Builds // by builder and definition, the latest first
}

// pastOf returns what to expect of a definition, and its latest builds.
func (d *Daemon) pastOf(r *repository, builder, definition string) (cache.Expectation, cache.Builds, error) {
	p := &r.past
	p.mu.Lock()
	defer p.mu.Unlock()
	if news := r.builds.latest(); p.of != news || time.Now().After(p.until) {
		var failed error
		q := store.Query{Since: time.Now().Add(-advise.CostWindow), Repository: r.root, NewestFirst: true, Borrow: true}
		p.expected = cache.Expect(records(d.store.Records(q), &failed))
		if failed != nil {
			return cache.Expectation{}, nil, fmt.Errorf("read builds: %w", failed)
		}
		p.of, p.until, p.earlier = news, time.Now().Add(observed), map[string]cache.Builds{}
	}
	key := builder + "\x00" + definition
	if _, have := p.earlier[key]; !have {
		var found cache.Builds
		for rec, err := range d.store.Records(store.Query{Repository: r.root, Definition: definition, NewestFirst: true}) {
			if err != nil {
				return cache.Expectation{}, nil, fmt.Errorf("read builds: %w", err)
			}
			if rec.Builder == builder {
				found = append(found, cache.Build{Record: rec})
			}
			if len(found) == compared {
				break
			}
		}
		for i := range found {
			var err error
			if found[i], err = d.explained(found[i].Record); err != nil {
				return cache.Expectation{}, nil, err
			}
		}
		p.earlier[key] = found
	}
	return p.expected[definition], p.earlier[key], nil
}

// pastOfBuild is pastOf for a build of p. One that was never seen has the past of
// another of the same: a service of a compose file and a target of a bake file often
// are, but for a cache elsewhere or an arg that no step uses.
func (d *Daemon) pastOfBuild(r *repository, builder string, p *project.Picture, b *project.Build) (cache.Expectation, cache.Builds, error) {
	expected, earlier, err := d.pastOf(r, builder, b.Definition.Name)
	for _, other := range p.Builds {
		if err != nil || len(earlier) > 0 {
			break
		}
		if sameBuild(b, other) {
			expected, earlier, err = d.pastOf(r, builder, other.Definition.Name)
		}
	}
	return expected, earlier, err
}

// sameBuild reports whether two definitions have a builder do the same, with the same
// files.
func sameBuild(a, b *project.Build) bool {
	if a.Selection == nil || b.Selection == nil {
		return false
	}
	one, two := a.Selection.Plan, b.Selection.Plan
	return a.Definition.Context == b.Definition.Context && maps.Equal(a.Definition.NamedContexts, b.Definition.NamedContexts) &&
		slices.EqualFunc(one.Requests, two.Requests, sameRequest) && reflect.DeepEqual(one.Ops, two.Ops)
}

// explainNext returns why steps of a build that was predicted will run, by
// comparison with those before it.
func (d *Daemon) explainNext(ctx context.Context, r *repository, p *project.Picture, b *project.Build, nodes []cache.Prediction, earlier cache.Builds) func(step int) *api.WhyCause {
	g := gatherer{daemon: d, files: seenFiles{reader: r.contents, name: b.Definition.Name, pictures: []*project.Picture{p}}}
	explained := sync.OnceValues(func() (cache.Build, []cache.Explanation) {
		plan := b.Selection.Plan
		next := cache.Build{Record: cache.Record{Definition: b.Definition.Name, Completed: time.Now()}}
		for _, s := range plan.Steps {
			next.Steps = append(next.Steps, cache.Step{
				Name: s.Name, Stage: s.Stage, Platform: s.Platform, Index: s.Index, Total: s.Total, Line: s.Lines.From, Outcome: cache.Hit,
			})
		}
		part := buildkit.Part{Plan: plan, Fates: make([]cache.Fate, len(plan.Ops)), Lines: make([]int, len(plan.Ops))}
		for i, op := range plan.Ops {
			part.Traits = append(part.Traits, op.Traits)
			for _, s := range op.Steps {
				part.Lines[i] = plan.Steps[s].Lines.From
				if nodes[i].Forecast == cache.WillMiss {
					part.Fates[i] = cache.Made
					next.Steps[s].Outcome = cache.Executed
					if nodes[i].Cause == cache.TakesInput {
						next.Steps[s].Outcome = cache.Cascaded
					}
				}
			}
		}
		e := cache.Evidence{Args: map[string]string{}}
		for name, value := range b.Definition.Args {
			e.Args[name] = d.store.Digest(value)
		}
		if text, err := b.Definition.DockerfileText(); err == nil {
			e.Dockerfile = d.outline(b.Definition, text)
		}
		e = g.gather(ctx, e, part)
		next.Evidence = &e
		return next, cache.Explain(next, earlier, nil)
	})
	return func(step int) *api.WhyCause {
		next, list := explained()
		c, err := report.WhyNext(next, step, list[step], func(before, after string) (list []content.Difference, err error) {
			i := slices.IndexFunc(g.taken, func(m *content.Manifest) bool { return m.Digest().String() == after })
			if i < 0 {
				return nil, nil
			}
			err = d.store.CompareWith(before, g.taken[i], func(diff content.Difference) bool { list = append(list, diff); return true })
			return list, err
		})
		if err != nil {
			d.log.Warn("say why a step will run", "error", err)
			return nil
		}
		return c
	}
}
