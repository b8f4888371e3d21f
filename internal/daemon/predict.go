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

// settleTime bounds how long an answer waits until builds that have just ended are entered
// in the builder's account. Results of builds that are not entered by then count as unknown.
const settleTime = 2 * time.Second

// mostLists is how often the builder is asked what it holds for one answer: again if a build is
// entered meanwhile, which its list may lack.
const mostLists = 3

// Predict answers `stoker predict`: it says what the builder's cache will do for each build
// that the request names.
func (d *Daemon) Predict(ctx context.Context, req api.PredictRequest) (api.Predict, error) {
	node := d.builder.current()
	var known account
	caughtUp := false
	if node != nil {
		known = d.account(node)
		caughtUp = d.settle(ctx, known, req.Dir)
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
	// The builder tells nobody of a prune or of its garbage collection, so it is asked.
	for range mostLists {
		if d.list(ctx, node); known.Listed() {
			break
		}
	}
	d.lookForUnseen(ctx, repo, picture)
	answer := api.Predict{Schema: api.PredictSchema, Builder: node.Info().Name, Definitions: []api.Prediction{}}
	if !caughtUp {
		answer.Unread = max(known.toRead(), 1) // at least one, even if all have just been read
	}
	p := predictor{daemon: d, node: node, known: known, caughtUp: caughtUp, repo: repo, picture: picture}
	// The builder knows a build before its event has reached the listener.
	if active, err := node.Active(ctx); err == nil {
		p.tracked = known.reruns.tracks(active)
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

// settle waits, for no longer than settleTime, until the builds that have ended are entered
// in the account and the images that the repository around dir wants are looked up. It
// reports whether all builds that had ended before the daemon listened are entered.
func (d *Daemon) settle(ctx context.Context, known account, dir string) (caughtUp bool) {
	soon, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	caughtUp = known.caughtUp.wait(soon)
	known.missed.settle(soon, settleTime)
	known.builds.settle(soon, settleTime) // before the images: a build may show that a tag has moved
	if repo, err := d.around(ctx, dir); err == nil {
		d.images.settle(soon, repo, settleTime)
	}
	return caughtUp
}

// A predictor says what a builder would do with the builds of one picture of a
// repository.
type predictor struct {
	daemon   *Daemon
	node     *buildkit.Builder
	known    account // of node
	caughtUp bool    // builds that had ended before the daemon listened are all entered
	tracked  bool    // builds that run and ignore the cache are all in known.reruns
	repo     *repository
	picture  *project.Picture
}

// predict predicts b, which must have a selection.
func (p predictor) predict(ctx context.Context, b *project.Build) (api.Prediction, error) {
	plan := b.Selection.Plan
	g := p.daemon.graphOf(ctx, p.node, p.repo, p.picture, b)
	held, whole := p.daemon.elsewhere(ctx, p.node, b.Definition, p.repo.barred(p.picture) == "")
	predict := func(g cache.Graph) (nodes []cache.Prediction, imported []bool) {
		return predictElsewhere(p.known, g, recordsOf(plan), held, whole)
	}
	nodes, imported := predict(g)
	if anew, ok := p.known.reruns.shared(plan); !ok || !p.tracked {
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
		Build: b, Graph: g, Nodes: nodes, Luck: p.known.Luck(g), Expected: expected, Reading: !p.caughtUp,
		Imported: imported, Withheld: p.repo.withheld(plan), Until: p.repo.barred(p.picture),
		Explain: p.explainer(ctx, b, nodes, earlier),
	}), nil
}

// doubt makes those predictions unknown that rest on something that may have changed
// without the daemon's knowledge.
func (p predictor) doubt(ctx context.Context, b *project.Build, nodes []cache.Prediction) {
	for i := range nodes {
		if !p.caughtUp && nodes[i].Reason == cache.NotSeen {
			nodes[i].Reason = cache.NotObserved // the reason is not a file, but builds yet to be read
		}
	}
	switch {
	case !p.node.Info().History: // it does not tell what others built
		unknown(nodes, cache.NotObserved)
	case b.Definition.Options.Unresolved(), !b.Selection.Current(ctx, repositoryImages{p.daemon.images, p.repo}): // a new picture will follow
		unknown(nodes, cache.NotResolved)
	}
}

// unknown makes all predictions unknown for one reason.
func unknown(nodes []cache.Prediction, why cache.Uncertainty) {
	for i := range nodes {
		nodes[i] = cache.Prediction{Forecast: cache.Unknown, Reason: why}
	}
}

// predictElsewhere predicts a build that also imports caches from outside of the builder.
// held has those that could be read, and whole says that these are all. imported marks the
// nodes whose results only such a cache has; it is nil if held is empty.
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
		// A builder prefers its own results. Of several other caches that have a key it
		// asks one, which may be one that could not be read.
		if !whole && !g.Nodes[i].NoCache && (n.Forecast == cache.WillMiss || imported != nil && imported[i]) {
			nodes[i] = cache.Prediction{Forecast: cache.Unknown, Reason: cache.ByImport}
		}
	}
	return nodes, imported
}

// doubtHits makes hits unknown, because a build that ignores the cache may be running the
// same steps. Hits of sources stay, and so do those that are hits in sure, which may be nil.
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

// doubtMisses makes misses unknown where anew says that a build which ignores the cache may
// run the same operation: it may have made the result by now.
func doubtMisses(nodes []cache.Prediction, anew []bool) {
	for i := range nodes {
		if anew[i] && nodes[i].Forecast == cache.WillMiss {
			nodes[i] = cache.Prediction{Forecast: cache.Unknown, Reason: cache.RunAnew}
		}
	}
}
