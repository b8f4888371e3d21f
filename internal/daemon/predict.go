package daemon

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/ledger"
	"github.com/stokerd/stoker/internal/report"
)

// settleTime bounds how long an answer waits for a build that has just ended to be
// entered. A prediction without it says that its results are not known.
const settleTime = 2 * time.Second

// An account is what the daemon knows of a builder's cache.
type account struct {
	*ledger.Ledger
	name   string
	copies *ledger.Snapshots
	builds *queue        // that have ended, and are not entered yet
	missed *queue        // the same of those that ended while nobody looked
	unread *atomic.Int64 // how many of missed are builds
	caught *gate         // shut until all of those are entered that had ended before the connection
	anew   *reruns
	// running counts the builds that run, stoker's own among them.
	running *atomic.Int64
}

// idle reports whether no build runs, and all that did are entered.
func (a account) idle() bool {
	return a.running.Load() == 0 && a.caught.isOpen() && a.missed.idle() && a.builds.idle()
}

// behind says that the builder may have built what nobody saw. It is called before
// anybody can ask what its next build would do.
func (a account) behind() {
	a.copies.Behind(!a.Seen().IsZero())
	a.caught.shut()
}

// toRead returns how many builds are still to be read of those that had ended before
// the connection.
func (a account) toRead() int {
	if a.caught.isOpen() {
		return 0
	}
	return max(int(a.unread.Load()), 1) // the list of them may be on its way
}

// account returns that of a builder, which lives as long as the daemon, and
// begins with what the last one knew. A builder that was wiped has other workers,
// and is another cache.
func (d *Daemon) account(node *buildkit.Builder) account {
	d.mu.Lock()
	defer d.mu.Unlock()
	info := node.Info()
	name := strings.Join(append([]string{info.Name, info.Address}, info.Workers...), " ")
	a, ok := d.accounts[name]
	if ok {
		return a
	}
	entries, err := d.store.Ledger(name)
	known, copies := ledger.Anew(d.store.Seal), ledger.NewSnapshots(d.store.Seal)
	if err == nil {
		known, err = ledger.Load(d.store.Seal, maps.All(entries))
	}
	if err == nil {
		if copies, err = ledger.LoadSnapshots(d.store.Seal, maps.All(entries)); err != nil {
			known = ledger.Anew(d.store.Seal) // they are kept together
		}
	}
	if err != nil {
		d.log.Warn("what was known of the builder's cache is lost", "error", err)
	}
	a = account{known, name, copies, newQueue(), newQueue(), new(atomic.Int64), &gate{}, newReruns(), new(atomic.Int64)}
	d.accounts[name] = a
	return a
}

// save stores what an account has learned. What is lost when that fails is tried
// again the next time.
func (d *Daemon) save(a account) {
	err := a.Save(func(anew bool, changes iter.Seq2[string, []byte]) error {
		return a.copies.Save(anew, func(more iter.Seq2[string, []byte]) error {
			return d.store.PutLedger(a.name, time.Now(), anew, both(changes, more))
		})
	})
	if err != nil {
		d.log.Error("store what is known of the builder's cache", "error", err)
	}
}

func both(a, b iter.Seq2[string, []byte]) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, seq := range []iter.Seq2[string, []byte]{a, b} {
			for key, value := range seq {
				if !yield(key, value) {
					return
				}
			}
		}
	}
}

// enter enters a finished build in the builder's ledger, or what one that did not
// succeed is presumed to have been.
func (d *Daemon) enter(ctx context.Context, node *buildkit.Builder, seen buildkit.Observed, presumed []buildkit.Part, files seenFiles) {
	known := d.account(node)
	for _, part := range slices.Concat(seen.Parts, presumed) {
		b := entryOf(node, part, files.sent(ctx, part.Plan).Built(part.Plan, files.site))
		b.Late, b.Broken = files.past != nil, len(seen.Parts) == 0
		b.Whole, b.Imports = !b.Broken, seen.Imports()
		known.Learn(b)
	}
	files.received(ctx, seen)
	known.Saw(seen.Record.Completed)
	if files.past == nil {
		d.list(ctx, node)
	}
}

// site returns where a build ran, and who sent its files.
func (d *Daemon) site(node *buildkit.Builder, j buildkit.Join) ledger.Site {
	site := ledger.Site{Snapshots: d.account(node).copies, Keys: []string{plainClient}}
	if j.LocalContext != "" {
		site.Keys = []string{node.SharedKey(j.LocalContext)}
	}
	return site
}

// siteOf returns where def is built next: whose client does that nobody knows.
func siteOf(node *buildkit.Builder, copies *ledger.Snapshots, def buildctx.Definition) ledger.Site {
	return ledger.Site{Snapshots: copies, Keys: []string{plainClient, node.SharedKey(def.Context)}}
}

// plainClient is the key of clients that give none.
const plainClient = ""

// entryOf is what is entered of a part of a build. What was perhaps lost is not: should
// the builder list it, nobody has seen it.
func entryOf(node *buildkit.Builder, part buildkit.Part, built cache.ContentFunc) ledger.Build {
	fates := slices.Clone(part.Fates)
	for i, lost := range part.Lost {
		if lost {
			fates[i] = cache.Untouched
		}
	}
	return ledger.Build{
		Graph: cache.NewGraph(part.Plan, cache.Keys(part.Plan.Ops, built), layered(node)),
		Fates: fates, Runs: part.Runs, Records: recordsOf(part.Plan),
	}
}

// contents returns the reader of a repository's files; without a repository, one that
// is never asked for any.
func (d *Daemon) contents(r *repository) *ledger.Reader {
	if r == nil {
		return ledger.NewReader()
	}
	return r.contents
}

// list asks the builder what it holds.
func (d *Daemon) list(ctx context.Context, node *buildkit.Builder) {
	known := d.account(node)
	defer d.save(known) // builds were entered, whether the builder answers or not
	enter, none, idle := known.Asking(), known.copies.Asking(), known.idle()
	held, err := node.Held(ctx)
	// What is let go while the builder lists it can be missing there, and is not again
	// (BuildKit: cache.cacheManager.DiskUsage, equalMutable).
	// A build that is not entered yet may have had its files sent to a copy that is gone.
	dropped := err == nil && idle && known.copies.Any() && !anyLocal(held)
	if dropped {
		held, err = node.Held(ctx)
	}
	if err != nil {
		known.Unlisted()
		if ctx.Err() == nil {
			d.log.Warn("what the builder holds is not known", "error", err)
		}
		return
	}
	enter(held)
	if dropped && !anyLocal(held) && known.idle() {
		none()
	}
}

func anyLocal(held []buildkit.Held) bool {
	return slices.ContainsFunc(held, func(h buildkit.Held) bool { return h.Local })
}

// layered reports whether the builder also knows an image by its layers.
func layered(node *buildkit.Builder) bool {
	var major, minor int
	n, _ := fmt.Sscanf(strings.TrimPrefix(node.Info().Version, "v"), "%d.%d", &major, &minor)
	return n == 2 && major == 0 && minor < 34
}

// unknown takes all predictions back.
func unknown(nodes []cache.Prediction, why cache.Uncertainty) {
	for i := range nodes {
		nodes[i] = cache.Prediction{Forecast: cache.Unknown, Reason: why}
	}
}

// predictElsewhere predicts a build that looks into other caches, too, which hold held;
// whole says that it looks into no others. imported are the nodes whose result only
// they have.
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
		// What the builder holds itself it takes from there; of caches elsewhere it asks
		// one, if several have a key.
		if !whole && !g.Nodes[i].NoCache && (n.Forecast == cache.WillMiss || imported != nil && imported[i]) {
			nodes[i] = cache.Prediction{Forecast: cache.Unknown, Reason: cache.ByImport}
		}
	}
	return nodes, imported
}

// doubtHits takes back that what is made will not be, but where sure says it, too.
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

// recordsOf returns what the results of a plan's operations are listed as.
func recordsOf(plan *dockerfile.Plan) []string {
	records := make([]string, len(plan.Ops))
	for i, op := range plan.Ops {
		records[i] = op.Record
	}
	return records
}

// Predict answers `stoker predict`.
func (d *Daemon) Predict(ctx context.Context, req api.PredictRequest) (api.Predict, error) {
	node := d.builder.current()
	soon, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	if repo, err := d.around(ctx, req.Dir); err == nil && node != nil {
		d.images.settle(soon, repo, settleTime)
	}
	repo, p, err := d.picture(ctx, req.Query)
	if err != nil {
		return api.Predict{}, err
	}
	builds, err := chosen(p, req.Names)
	if err != nil {
		return api.Predict{}, err
	}
	if node == nil {
		return api.Predict{}, d.builder.missing()
	}
	known := d.account(node)
	caught := known.caught.wait(soon)
	known.missed.settle(soon, settleTime)
	known.builds.settle(soon, settleTime)
	// Nothing tells of a builder's garbage collection, nor of a prune.
	d.list(ctx, node)
	d.lookForUnseen(ctx, repo, p)
	answer := api.Predict{Schema: api.PredictSchema, Builder: node.Info().Name, Definitions: []api.Prediction{}}
	if !caught {
		answer.Unread = max(known.toRead(), 1) // or they have just been read
	}
	for _, b := range builds {
		if b.Selection == nil {
			return api.Predict{}, problem(b.Problem)
		}
		plan := b.Selection.Plan
		site := siteOf(node, known.copies, b.Definition)
		keys := cache.Keys(plan.Ops, repo.contents.Content(ctx, plan, b.Definition.Name, site, p))
		g := cache.NewGraph(plan, keys, layered(node)).Planned(plan)
		held, whole := d.elsewhere(ctx, node, b.Definition, repo.barred(p) == "")
		nodes, imported := predictElsewhere(known, g, recordsOf(plan), held, whole)
		for i := range nodes {
			if !caught && nodes[i].Reason == cache.NotSeen {
				nodes[i].Reason = cache.NotObserved // of no file: builds are still read
			}
		}
		if ops, unknown := known.anew.now(); unknown {
			doubtHits(g, nodes, nil)
		} else if len(ops) > 0 {
			sure, _ := predictElsewhere(known, beside(g, ops), recordsOf(plan), held, whole)
			doubtHits(g, nodes, sure)
		}
		if !node.Info().History { // what others built on it shows nowhere
			unknown(nodes, cache.NotObserved)
		} else if b.Definition.Options.Unresolved() || !b.Selection.Current(ctx, repositoryImages{d.images, repo}) { // a picture is on its way
			unknown(nodes, cache.NotResolved)
		}
		expected, earlier, err := d.pastOfBuild(repo, node.Info().Name, p, b)
		if err != nil {
			return api.Predict{}, err
		}
		told := report.Prediction(report.Predicted{
			Build: b, Graph: g, Nodes: nodes, Luck: known.Luck(g), Expected: expected, Reading: !caught,
			Imported: imported, Withheld: repo.withheld(plan), Until: repo.barred(p),
			Explain: d.explainNext(ctx, repo, p, b, nodes, earlier),
		})
		repo.told.put(p, node.Info().Name, told)
		answer.Definitions = append(answer.Definitions, told)
	}
	return answer, nil
}
