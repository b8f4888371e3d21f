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

// An account is what the daemon knows of one builder's cache, and the work that keeps this
// up to date. To enter a build in it is to learn what the build left in the cache. Copies
// of an account share everything, and are safe for concurrent use.
type account struct {
	*ledger.Ledger
	name     string            // its key in the store
	copies   *ledger.Snapshots // copies that the builder has of local files
	builds   *queue            // enters builds that end while the daemon listens
	missed   *queue            // enters builds that had ended before it listened
	unread   *atomic.Int64     // number of builds in missed
	caughtUp *gate             // open once missed has entered all of them
	backlog  *backlog          // what of all this is not stored
	reruns   *reruns           // builds that ignore the cache
	running  *atomic.Int64     // number of builds that run, stoker's own included
}

// idle reports whether no build runs, and every build that ended is entered.
func (a account) idle() bool {
	return a.running.Load() == 0 && a.caughtUp.isOpen() && a.missed.idle() && a.builds.idle()
}

// begin notes that a build begins. one is its rerun if it ignores the cache, else nil. The
// caller calls end once, when the build has ended.
func (a account) begin(one *rerun) (end func()) {
	a.running.Add(1)
	ended := a.reruns.begin(one)
	return func() { ended(); a.running.Add(-1) }
}

// fallBehind notes that the builder may have run builds that the daemon did not see. It is
// called before anybody can ask for predictions from this builder.
func (a account) fallBehind() {
	a.copies.Behind(!a.Seen().IsZero())
	a.caughtUp.shut()
}

// toRead returns how many of the builds that had ended before the daemon listened are
// still to be entered: at least one until all are, since the builder's list of them may
// not have been read yet.
func (a account) toRead() int {
	if a.caughtUp.isOpen() {
		return 0
	}
	return max(int(a.unread.Load()), 1)
}

// account returns the account of a builder. It is made when first asked for, from what the
// last daemon stored, and lives as long as the daemon. Its name has the ids of the
// builder's workers, which change when the builder is wiped: then the account is a new one.
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
			known = ledger.Anew(d.store.Seal) // stored together, so both or neither
		}
	}
	if err != nil {
		d.log.Warn("what was known of the builder's cache is lost", "error", err)
	}
	a = account{
		Ledger: known, name: name, copies: copies,
		builds: newQueue(), missed: newQueue(), unread: new(atomic.Int64), caughtUp: &gate{},
		backlog: newBacklog(), reruns: newReruns(), running: new(atomic.Int64),
	}
	d.accounts[name] = a
	return a
}

// save stores what an account has learned since the last save. If that fails, the next
// save stores it, which storeBacklog sees to.
func (d *Daemon) save(a account) {
	err := a.Save(func(anew bool, changes iter.Seq2[string, []byte]) error {
		write := d.store.UpdateLedger
		if anew {
			write = d.store.ReplaceLedger
		}
		return a.copies.Save(anew, func(more iter.Seq2[string, []byte]) error {
			return write(a.name, time.Now(), concat(changes, more))
		})
	})
	again := a.backlog.unsaved()
	if err != nil && !again {
		d.log.Error("store what is known of the builder's cache", "error", err)
	}
	d.noted(a.backlog.saved(err))
}

// concat yields the pairs of a, then those of b.
func concat(a, b iter.Seq2[string, []byte]) iter.Seq2[string, []byte] {
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

// enter enters a finished build in the builder's account: each of its parts, and the files
// that it was sent. presumed are the parts of a build that did not succeed. held is what
// the caches hold that the build imported, nil if that is not known.
func (d *Daemon) enter(ctx context.Context, node *buildkit.Builder, seen buildkit.Observed, presumed []buildkit.Part, held []*cache.RemoteCache, files seenFiles) {
	known := d.account(node)
	for _, part := range slices.Concat(seen.Parts, presumed) {
		b := entryOf(node, part, files.sent(ctx, part).Built(part.Plan, files.site))
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

// learn enters one part of a build in the builder's account. If the build may have brought
// results from other caches, the builder is asked first what it holds.
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
// known, so it has the keys of buildx and of a client that names none.
func siteOf(node *buildkit.Builder, copies *ledger.Snapshots, def buildctx.Definition) ledger.Site {
	return ledger.Site{Snapshots: copies, Keys: []string{plainClient, node.SharedKey(def.Context)}}
}

// plainClient is the key of clients that give no key to the files that they send.
const plainClient = ""

// entryOf returns what an account learns from a part of a build. built returns the content
// of the files that it took. Operations whose results may be lost count as untouched, so
// that such a result, should the builder list it, is of unknown origin.
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

// contents returns the reader of the files of r. If r is nil, that is a new one, which
// nobody asks for files.
func (d *Daemon) contents(r *repository) *ledger.Reader {
	if r == nil {
		return ledger.NewReader()
	}
	return r.contents
}

// graphOf returns the operations of the next build of b, with the cache keys that node will
// look them up by. b must have a selection.
func (d *Daemon) graphOf(ctx context.Context, node *buildkit.Builder, repo *repository, p *project.Picture, b *project.Build) cache.Graph {
	plan := b.Selection.Plan
	site := siteOf(node, d.account(node).copies, b.Definition)
	keys := cache.Keys(plan.Ops, repo.contents.Content(ctx, plan, b.Definition.Name, site, p))
	return cache.NewGraph(plan, keys, layered(node)).Planned(plan)
}

// list asks the builder what it holds, enters that in its account, and saves the account
// also if the builder does not answer.
func (d *Daemon) list(ctx context.Context, node *buildkit.Builder) {
	known := d.account(node)
	defer d.save(known)
	enter, none, idle := known.Asking(), known.copies.Asking(), known.idle()
	held, err := node.Held(ctx)
	// If no copies of local files are listed, all that were known are gone: but only if no
	// build runs or is still to be entered, which may have had files sent to new copies.
	dropped := err == nil && idle && known.copies.Any() && !anyLocal(held)
	// What goes has to lack in a second list, too. One may miss what is let go while it is
	// made (BuildKit: cache.cacheManager.DiskUsage, equalMutable).
	if err == nil && (dropped || known.Lacks(held)) {
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

// anyLocal reports whether one of held is a copy of local files.
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

// recordsOf returns, for each operation of a plan, the name under which the builder's disk
// usage lists its result.
func recordsOf(plan *dockerfile.Plan) []string {
	records := make([]string, len(plan.Ops))
	for i, op := range plan.Ops {
		records[i] = op.Record
	}
	return records
}
