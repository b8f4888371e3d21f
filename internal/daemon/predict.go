package daemon

import (
	"context"
	"slices"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

// settleTime bounds how long an answer waits for builds that have just ended to be
// entered. Results of builds that are not entered by then count as unknown.
const settleTime = 2 * time.Second

// Predict answers `stoker predict`.
func (d *Daemon) Predict(ctx context.Context, req api.PredictRequest) (api.Predict, error) {
	node := d.builder.current()
	soon, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	var known account
	caught := false
	if node != nil {
		known = d.account(node)
		caught = known.caughtUp.wait(soon)
		known.missed.settle(soon, settleTime)
		known.builds.settle(soon, settleTime) // they may have shown that a tag has moved
	}
	if repo, err := d.around(ctx, req.Dir); err == nil && node != nil {
		d.images.settle(soon, repo, settleTime)
	}
	repo, picture, err := d.picture(ctx, req.Query)
	if err != nil {
		return api.Predict{}, err
	}
	builds, err := chosen(picture, req.Names)
	if err != nil {
		return api.Predict{}, err
	}
	if node == nil {
		return api.Predict{}, d.builder.missing()
	}
	// Nothing tells of a builder's garbage collection, nor of a prune.
	d.list(ctx, node)
	d.lookForUnseen(ctx, repo, picture)
	answer := api.Predict{Schema: api.PredictSchema, Builder: node.Info().Name, Definitions: []api.Prediction{}}
	if !caught {
		answer.Unread = max(known.toRead(), 1) // or they have just been read
	}
	p := predictor{daemon: d, node: node, known: known, caught: caught, repo: repo, picture: picture}
	// A build is told of when it begins, and noted a while after that.
	if active, err := node.Active(ctx); err == nil {
		p.noted = known.reruns.tracks(active)
	}
	for _, b := range builds {
		if b.Selection == nil {
			return api.Predict{}, problem(b.Problem)
		}
		told, err := p.predict(ctx, b)
		if err != nil {
			return api.Predict{}, err
		}
		repo.told.put(picture, node.Info().Name, told)
		answer.Definitions = append(answer.Definitions, told)
	}
	return answer, nil
}

// A predictor says what a builder would do with the builds of one picture of a
// repository.
type predictor struct {
	daemon  *Daemon
	node    *buildkit.Builder
	known   account
	caught  bool // the builds that ended before the connection are all entered
	noted   bool // those that run without the cache are known
	repo    *repository
	picture *project.Picture
}

// predict is for a build that has a selection.
func (p predictor) predict(ctx context.Context, b *project.Build) (api.Prediction, error) {
	plan := b.Selection.Plan
	g := p.daemon.graphOf(ctx, p.node, p.repo, p.picture, b)
	held, whole := p.daemon.elsewhere(ctx, p.node, b.Definition, p.repo.barred(p.picture) == "")
	predict := func(g cache.Graph) (nodes []cache.Prediction, imported []bool) {
		return predictElsewhere(p.known, g, recordsOf(plan), held, whole)
	}
	nodes, imported := predict(g)
	if anew, ok := p.known.reruns.shared(plan); !ok || !p.noted {
		doubtHits(g, nodes, nil)
	} else if slices.Contains(anew, true) {
		sure, _ := predict(beside(g, anew))
		doubtHits(g, nodes, sure)
		doubtMisses(nodes, anew)
	}
	p.doubt(ctx, b, nodes)
	expected, earlier, err := p.pastOf(b)
	if err != nil {
		return api.Prediction{}, err
	}
	return report.Prediction(report.Predicted{
		Build: b, Graph: g, Nodes: nodes, Luck: p.known.Luck(g), Expected: expected, Reading: !p.caught,
		Imported: imported, Withheld: p.repo.withheld(plan), Until: p.repo.barred(p.picture),
		Explain: p.explainer(ctx, b, nodes, earlier),
	}), nil
}

// doubt makes those predictions unknown that rest on something that may have changed
// without the daemon's knowledge.
func (p predictor) doubt(ctx context.Context, b *project.Build, nodes []cache.Prediction) {
	for i := range nodes {
		if !p.caught && nodes[i].Reason == cache.NotSeen {
			nodes[i].Reason = cache.NotObserved // not of a file: builds are still being read
		}
	}
	switch {
	case !p.node.Info().History: // what others built on it shows nowhere
		unknown(nodes, cache.NotObserved)
	case b.Definition.Options.Unresolved(), !b.Selection.Current(ctx, repositoryImages{p.daemon.images, p.repo}): // a picture is on its way
		unknown(nodes, cache.NotResolved)
	}
}

// unknown makes all predictions unknown for one reason.
func unknown(nodes []cache.Prediction, why cache.Uncertainty) {
	for i := range nodes {
		nodes[i] = cache.Prediction{Forecast: cache.Unknown, Reason: why}
	}
}

// predictElsewhere predicts a build that also looks into caches outside of the builder.
// held are those that could be read, and whole says that this is all of them. imported
// marks the nodes whose results only such a cache has; it is nil if held is empty.
func predictElsewhere(known account, g cache.Graph, records []string, held []*cache.RemoteCache, whole bool) (nodes []cache.Prediction, imported []bool) {
	nodes = known.Predict(g, records)
	if len(held) > 0 {
		own := nodes
		nodes, imported = known.Predict(g, records, held...), make([]bool, len(own))
		for i := range nodes {
			imported[i] = nodes[i].Forecast == cache.WillHit && own[i].Forecast != cache.WillHit
			if nodes[i].Reason == cache.PerhapsGone && own[i].Reason != cache.PerhapsGone {
				nodes[i].Reason = cache.ByImport
			}
		}
	}
	for i, n := range nodes {
		// What the builder holds itself it takes from there. If several other caches
		// have a key it asks one of them, which may be one that could not be read.
		if !whole && !g.Nodes[i].NoCache && (n.Forecast == cache.WillMiss || imported != nil && imported[i]) {
			nodes[i] = cache.Prediction{Forecast: cache.Unknown, Reason: cache.ByImport}
		}
	}
	return nodes, imported
}

// doubtHits makes hits unknown, but those of sources and those that sure has, too: a
// build that ignores the cache may be running the same steps.
func doubtHits(g cache.Graph, nodes, sure []cache.Prediction) {
	for i := range nodes {
		if sure != nil && sure[i].Forecast == cache.WillHit {
			continue
		}
		if nodes[i].Forecast == cache.WillHit && len(g.Nodes[i].Inputs) > 0 {
			nodes[i] = cache.Prediction{Forecast: cache.Unknown, Reason: cache.RunAnew}
		}
	}
}

// doubtMisses makes misses unknown that a build which ignores the cache may have made by
// now.
func doubtMisses(nodes []cache.Prediction, anew []bool) {
	for i := range nodes {
		if anew[i] && nodes[i].Forecast == cache.WillMiss {
			nodes[i] = cache.Prediction{Forecast: cache.Unknown, Reason: cache.RunAnew}
		}
	}
}
