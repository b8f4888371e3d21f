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
	"github.com/stokerd/stoker/internal/ledger"
	"github.com/stokerd/stoker/internal/project"
)

// An account is what the daemon knows of a builder's cache. Copies share what they hold.
type account struct {
	*ledger.Ledger
	name   string            // of the cache, in the store
	copies *ledger.Snapshots // of local files that the builder has
	builds *queue            // enters the builds that end while the daemon listens
	missed *queue            // enters those that had ended before it did
	unread *atomic.Int64     // how many builds missed has still to enter
	caught *gate             // opens when missed has entered all of them
	anew   *reruns           // the builds that ignore it
	// running counts the builds that run, stoker's own among them.
	running *atomic.Int64
}

// idle reports whether no build runs, and all that did are entered.
func (a account) idle() bool {
	return a.running.Load() == 0 && a.caught.isOpen() && a.missed.idle() && a.builds.idle()
}

// begins notes that a build begins, which ignores the cache if one is not nil, and
// returns what is to be called when it has ended.
func (a account) begins(one *rerun) (ended func()) {
	a.running.Add(1)
	end := a.anew.begin(one)
	return func() { end(); a.running.Add(-1) }
}

// behind says that the builder may have built what nobody saw. It is called before
// anybody can ask what its next build would do.
func (a account) behind() {
	a.copies.Behind(!a.Seen().IsZero())
	a.caught.shut()
}

// toRead returns how many of the builds that had ended before the daemon listened are
// still to be entered.
func (a account) toRead() int {
	if a.caught.isOpen() {
		return 0
	}
	return max(int(a.unread.Load()), 1) // their list may be on its way
}

// account returns the account of a builder, which lives as long as the daemon and begins
// with what the last daemon knew. A builder that was wiped has other workers, so it has
// another account.
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
	a = account{
		Ledger: known, name: name, copies: copies,
		builds: newQueue(), missed: newQueue(), unread: new(atomic.Int64), caught: &gate{},
		anew: newReruns(), running: new(atomic.Int64),
	}
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

// enter enters a finished build in the builder's account. presumed are the parts of a
// build that did not succeed, held what the caches elsewhere hold that it looked into, nil
// if that is not known.
func (d *Daemon) enter(ctx context.Context, node *buildkit.Builder, seen buildkit.Observed, presumed []buildkit.Part, held []*cache.RemoteCache, files seenFiles) {
	known := d.account(node)
	for _, part := range slices.Concat(seen.Parts, presumed) {
		b := entryOf(node, part, files.sent(ctx, part.Plan).Built(part.Plan, files.site))
		b.Late, b.Broken = files.past != nil, len(seen.Parts) == 0
		b.Whole, b.Imports, b.Elsewhere = !b.Broken, seen.Imports(), held
		d.learn(ctx, node, b)
	}
	files.received(ctx, seen)
	known.Saw(seen.Record.Completed)
	if files.past == nil {
		d.list(ctx, node)
	}
}

// learn enters one build in the builder's account.
func (d *Daemon) learn(ctx context.Context, node *buildkit.Builder, b ledger.Build) {
	known := d.account(node)
	if len(b.Elsewhere) > 0 {
		if held, err := node.Held(ctx); err == nil {
			known.Recheck(held)
		}
	}
	known.Learn(b)
}

// site returns where a build ran and which client sent its files.
func (d *Daemon) site(node *buildkit.Builder, j buildkit.Join) ledger.Site {
	site := ledger.Site{Snapshots: d.account(node).copies, Keys: []string{plainClient}}
	if j.LocalContext != "" {
		site.Keys = []string{node.SharedKey(j.LocalContext)}
	}
	return site
}

// siteOf returns where def will be built next. Which client will send its files is not
// known: any that buildx or a plain client could be.
func siteOf(node *buildkit.Builder, copies *ledger.Snapshots, def buildctx.Definition) ledger.Site {
	return ledger.Site{Snapshots: copies, Keys: []string{plainClient, node.SharedKey(def.Context)}}
}

// plainClient stands for clients that do not name what they send.
const plainClient = ""

// entryOf returns what is learned from a part of a build. built tells the content of the
// files that it took. Operations whose results may be lost count as not seen: should the
// builder list such a result, its origin is unknown.
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

// graphOf returns the operations of the next build of b, which has a selection, with the
// keys that node will look them up by.
func (d *Daemon) graphOf(ctx context.Context, node *buildkit.Builder, repo *repository, p *project.Picture, b *project.Build) cache.Graph {
	plan := b.Selection.Plan
	site := siteOf(node, d.account(node).copies, b.Definition)
	keys := cache.Keys(plan.Ops, repo.contents.Content(ctx, plan, b.Definition.Name, site, p))
	return cache.NewGraph(plan, keys, layered(node)).Planned(plan)
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

// layered reports whether the builder also looks an image up by its layers, as BuildKit
// before 0.34 does.
func layered(node *buildkit.Builder) bool {
	var major, minor int
	n, _ := fmt.Sscanf(strings.TrimPrefix(node.Info().Version, "v"), "%d.%d", &major, &minor)
	return n == 2 && major == 0 && minor < 34
}

// recordsOf returns, for each operation of a plan, the name that disk usage lists its
// result by.
func recordsOf(plan *dockerfile.Plan) []string {
	records := make([]string, len(plan.Ops))
	for i, op := range plan.Ops {
		records[i] = op.Record
	}
	return records
}
