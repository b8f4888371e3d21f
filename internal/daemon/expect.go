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
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/advise"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

// compared is how many earlier builds a predicted one is compared with. Each adds to the time
// that an answer takes.
const compared = 10

// past has what predictions need of the earlier builds of a repository, as long as there are
// no new ones. It is safe for concurrent use.
type past struct {
	mu       sync.Mutex // guards the fields below; held while records are read
	of       uint64     // builds.latest when it was read
	until    time.Time  // when it is to be read again at the latest: see observed
	expected map[string]cache.Expectation
	earlier  map[string]cache.Builds // by builder and definition, the latest first
}

// pastOf returns what to expect of a definition's next build, and its latest builds on the
// builder, the latest first and at most compared. The error is that of reading the store.
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

// pastOf is [Daemon.pastOf] of a build of the picture. A definition that was never built
// has the past of another that builds the same: a service of a compose file and a target
// of a bake file often do, but for a cache elsewhere or an arg that no step uses.
func (p predictor) pastOf(b *project.Build) (cache.Expectation, cache.Builds, error) {
	builder := p.node.Info().Name
	expected, earlier, err := p.daemon.pastOf(p.repo, builder, b.Definition.Name)
	for _, other := range p.picture.Builds {
		if err != nil || len(earlier) > 0 {
			break
		}
		if sameBuild(b, other) {
			expected, earlier, err = p.daemon.pastOf(p.repo, builder, other.Definition.Name)
		}
	}
	return expected, earlier, err
}

// sameBuild reports whether builds of a and b have the same operations, with the same files.
func sameBuild(a, b *project.Build) bool {
	if a.Selection == nil || b.Selection == nil {
		return false
	}
	one, two := a.Selection.Plan, b.Selection.Plan
	return a.Definition.Context == b.Definition.Context && maps.Equal(a.Definition.NamedContexts, b.Definition.NamedContexts) &&
		slices.EqualFunc(one.Requests, two.Requests, sameRequest) && reflect.DeepEqual(one.Ops, two.Ops)
}

// explainer returns a function that says why a step of b will run, if it goes as nodes
// predict, by comparison with earlier builds; nil if that cannot be said. The builds are
// compared when the function is first called.
func (p predictor) explainer(ctx context.Context, b *project.Build, nodes []cache.Prediction, earlier cache.Builds) func(step int) *api.WhyCause {
	g := gatherer{daemon: p.daemon, files: seenFiles{reader: p.repo.contents, name: b.Definition.Name, pictures: []*project.Picture{p.picture}}}
	explained := sync.OnceValues(func() (cache.Build, []cache.Explanation) {
		next, part := asIfBuilt(b, nodes)
		e := g.gather(ctx, p.daemon.givenBy(b.Definition), part)
		next.Evidence = &e
		return next, cache.Explain(next, earlier, nil)
	})
	return func(step int) *api.WhyCause {
		next, list := explained()
		c, err := report.WhyNext(next, step, list[step], g.differences)
		if err != nil {
			p.daemon.log.Warn("say why a step will run", "error", err)
			return nil
		}
		return c
	}
}

// asIfBuilt returns b as if it had just been built and had gone as predicted, without its
// evidence, and what became of each operation of its plan.
func asIfBuilt(b *project.Build, nodes []cache.Prediction) (cache.Build, buildkit.Part) {
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
			if nodes[i].Forecast != cache.WillMiss {
				continue
			}
			part.Fates[i], next.Steps[s].Outcome = cache.Made, cache.Executed
			if nodes[i].Cause == cache.TakesInput {
				next.Steps[s].Outcome = cache.Cascaded
			}
		}
	}
	return next, part
}

// givenBy returns the evidence that a build of def has before any of its steps: args and
// Dockerfile.
func (d *Daemon) givenBy(def buildctx.Definition) cache.Evidence {
	e := cache.Evidence{Args: map[string]string{}}
	for name, value := range def.Args {
		e.Args[name] = d.store.Digest(value)
	}
	if text, err := def.DockerfileText(); err == nil {
		e.Dockerfile = d.outline(def, text)
	}
	return e
}
