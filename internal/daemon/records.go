package daemon

import (
	"context"
	"strings"
	"sync"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
)

// record enters a finished build in the builder's account, and stores it if it is of a
// watched repository, else puts it into the backlog. during is nil if the daemon did not see
// the build begin.
func (d *Daemon) record(ctx context.Context, node *buildkit.Builder, ev buildkit.Event, during *span) {
	known := d.account(node)
	err := d.enterAndStore(ctx, node, ev, during)
	if err != nil && !known.backlog.has(ev.Ref) {
		d.log.Error("store a finished build", "ref", ev.Ref, "error", err)
	}
	if err != nil || ctx.Err() == nil {
		d.noted(known.backlog.build(ev.Ref, err))
	}
}

// enterAndStore is record without the backlog. The error is that of storing the build.
func (d *Daemon) enterAndStore(ctx context.Context, node *buildkit.Builder, ev buildkit.Event, during *span) error {
	if err := d.recall(ctx, ev); err != nil {
		return nil // ctx has ended
	}
	if d.isRecorded(node, ev) {
		if d.account(node).backlog.has(ev.Ref) {
			return d.blameAgain(node.Info().Name, ev.Ref) // all but that is stored
		}
		return nil
	}
	seen, err := node.Observe(ctx, ev)
	if err != nil {
		if ctx.Err() == nil {
			d.log.Warn("read a finished build", "ref", ev.Ref, "error", err)
		}
		return nil
	}
	repo, def := d.belongs(ctx, ev, seen, during.start())
	files := d.filesOf(ctx, node, seen, during, repo)
	files.attribute(def, seen.Join)
	presumed := repo.presume(ctx, ev, seen, files.watched(), def)
	if during != nil || ev.Completed.After(d.account(node).Seen()) {
		var held []*cache.RemoteCache
		if during != nil {
			held = d.brought(ctx, node, repo, ev.Imports())
		}
		d.enter(ctx, node, seen, presumed.parts, held, files)
	}
	if during != nil && node == d.builder.current() {
		for _, part := range seen.Parts {
			d.images.doubt(imagesIn(part.Plan), d.all())
		}
	}
	if repo == nil {
		return nil
	}
	if (def.Context == "" || def.Origin == buildctx.Observed) && repo.learn(ctx, ev, seen.Join, def) {
		_, def = d.belongs(ctx, ev, seen, during.start())
		files.attribute(def, seen.Join)
	}
	files.undescribed = def.Context == ""
	seen.Record.Repository, seen.Record.Definition = repo.root, def.Name
	if def.Shown != "" {
		seen.Unname()
	}
	seen.Describe(describer(ctx, def))
	explained, err := d.keep(ctx, ev, seen, presumed, files, repo, def)
	if during != nil {
		d.count(repo, seen, during.pictures(repo))
	}
	if err != nil {
		return err
	}
	if explained != nil {
		err = d.blame(cache.Build{Record: seen.Record, Evidence: explained})
	}
	d.log.Debug("build recorded", "ref", ev.Ref, "repository", repo.root, "definition", def.Name)
	d.afterRecord(ctx, node, repo, seen)
	return err
}

// recall gives back to repositories the values of build args that they learnt from this
// build and lost in a restart, since values are kept in memory only. An error means that
// ctx has ended.
func (d *Daemon) recall(ctx context.Context, ev buildkit.Event) error {
	for _, r := range d.all() {
		if !r.recall(ev) {
			continue
		}
		if err := r.do(ctx, r.open); err != nil && ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// isRecorded reports whether this generation of a build is in the store and entered in the
// node's account. A daemon that is killed in between leaves it in the store alone.
func (d *Daemon) isRecorded(node *buildkit.Builder, ev buildkit.Event) bool {
	if last := d.account(node).Seen(); !last.IsZero() && ev.Completed.After(last) {
		return false
	}
	have, ok, err := d.store.Record(node.Info().Name, ev.Ref)
	return err == nil && ok && have.Generation >= ev.Generation
}

// afterRecord does what follows from a build of repo that was stored: it has summaries of
// builds read again, and trusts the commit that is checked out if this build was of it and on
// this machine.
func (d *Daemon) afterRecord(ctx context.Context, node *buildkit.Builder, repo *repository, seen buildkit.Observed) {
	d.madeBy(node, seen, repo)
	repo.builds.stale()
	if s := repo.state.Load(); s != nil && s.picture != nil && !s.trusted &&
		repo.builtHere(node, seen, s.picture.Head.Commit) && seen.Record.Created.After(s.head) {
		repo.trust(s.picture.Head.Commit)
		if err := repo.do(ctx, repo.reconsider); err != nil {
			return
		}
	}
	d.board.changed()
}

// builtHere reports whether a build succeeded and was surely of the files in r: buildx, in
// its state on this machine, names a folder of r, or the client names the commit, on a
// builder that only this machine reaches. The text of a Dockerfile is not enough, as it may
// be that of another clone, and a shared builder has builds of other people.
func (r *repository) builtHere(node *buildkit.Builder, seen buildkit.Observed, commit string) bool {
	if seen.Record.Status != cache.Completed {
		return false
	}
	if seen.Join.LocalContext != "" {
		return r.holds(seen.Join) > 0
	}
	address := node.Info().Address
	local := strings.HasPrefix(address, "unix://") || strings.HasPrefix(address, "npipe://")
	return local && commit != "" && seen.Join.VCSRevision == commit
}

// describer returns a function that finds the instruction of a step and its line in the
// Dockerfile of def. The Dockerfile is converted when the function is first called.
func describer(ctx context.Context, def buildctx.Definition) func(cache.Step) (string, int, bool) {
	steps := sync.OnceValue(func() map[place]planned { return plannedSteps(ctx, def) })
	return func(s cache.Step) (string, int, bool) {
		p, ok := steps()[place{s.Stage, s.Platform, s.Index, s.Total}]
		return p.instruction, p.line, ok
	}
}

// A place tells the steps of a build apart.
type place struct {
	stage, platform string
	index, total    int // of the steps of the stage, as in "3/7"
}

// planned is how the Dockerfile writes a step.
type planned struct {
	instruction string
	line        int
}

// plannedSteps returns the steps of def; nil if its Dockerfile cannot be converted.
func plannedSteps(ctx context.Context, def buildctx.Definition) map[place]planned {
	p, err := dockerfile.Convert(ctx, def.Input(), nil)
	if err != nil {
		return nil
	}
	steps := map[place]planned{}
	for _, s := range p.Steps {
		steps[place{s.Stage, s.Platform, s.Index, s.Total}] = planned{s.Instruction, s.Lines.From}
	}
	return steps
}
