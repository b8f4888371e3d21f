package daemon

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
)

// record learns from a finished build what the builder's cache holds now, and keeps the
// build if it is of a watched repository. during is nil if nobody saw it run.
func (d *Daemon) record(ctx context.Context, node *buildkit.Builder, ev buildkit.Event, during *span) {
	if err := d.recall(ctx, ev); err != nil || d.isRecorded(node, ev) {
		return
	}
	seen, err := node.Observe(ctx, ev)
	if err != nil {
		if ctx.Err() == nil {
			d.log.Warn("read a finished build", "ref", ev.Ref, "error", err)
		}
		return
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
		return
	}
	if (def.Context == "" || def.Origin == buildctx.Observed) && repo.learn(ctx, ev, seen.Join, def) {
		_, def = d.belongs(ctx, ev, seen, during.start())
		files.attribute(def, seen.Join)
	}
	seen.Record.Repository, seen.Record.Definition = repo.root, def.Name
	if def.Shown != "" {
		seen.Unname()
	}
	seen.Describe(describer(ctx, def))
	if err := d.keep(ctx, ev, seen, presumed, files, repo, def); err != nil {
		d.log.Error("store a finished build", "ref", ev.Ref, "error", err)
		return
	}
	d.log.Debug("build recorded", "ref", ev.Ref, "repository", repo.root, "definition", def.Name)
	d.afterRecord(ctx, node, repo, seen, during)
}

// recall gives repositories the values of args that they learnt from the build and that
// a restart lost. An error means that ctx has ended.
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

// isRecorded reports whether this generation of a build is in the store and in the
// node's account. A daemon that is killed between the two leaves it in the store alone.
func (d *Daemon) isRecorded(node *buildkit.Builder, ev buildkit.Event) bool {
	if last := d.account(node).Seen(); !last.IsZero() && ev.Completed.After(last) {
		return false
	}
	have, ok, err := d.store.Record(node.Info().Name, ev.Ref)
	return err == nil && ok && have.Generation >= ev.Generation
}

// afterRecord does what follows from a build of repo that was kept: it is counted, answers
// that rest on the repository's builds are made anew, and a state that its user built is
// trusted.
func (d *Daemon) afterRecord(ctx context.Context, node *buildkit.Builder, repo *repository, seen buildkit.Observed, during *span) {
	d.madeBy(node, seen, repo)
	if expected, _, err := d.pastOf(repo, node.Info().Name, seen.Record.Definition); err == nil && during != nil {
		d.count(repo, seen, during.pictures(repo), expected)
	}
	repo.builds.stale()
	if s := repo.state.Load(); s != nil && s.picture != nil && !s.trusted &&
		repo.builtHere(node, seen, s.picture.Head.Commit) && seen.Record.Created.After(s.head) {
		// The user has built this state themselves.
		repo.trust(s.picture.Head.Commit)
		if err := repo.do(ctx, repo.reconsider); err != nil {
			return
		}
	}
	d.board.changed()
}

// builtHere reports whether a build that succeeded was made of what is in r: by
// buildx, whose state on this machine names the folder, or, on a builder that
// only this machine reaches, by a client that names the commit. A Dockerfile's
// text alone could be another clone's, and a shared builder tells of everybody's
// builds.
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

// describer looks up instructions by stage and index in the plan of def.
func describer(ctx context.Context, def buildctx.Definition) func(cache.Step) (string, int, bool) {
	plan := sync.OnceValue(func() map[string]planned { return plannedSteps(ctx, def) })
	return func(s cache.Step) (string, int, bool) {
		p, ok := plan()[s.Stage+"/"+s.Platform+"/"+indexKey(s.Index, s.Total)]
		return p.instruction, p.line, ok
	}
}

// planned is what a plan says of a step.
type planned struct {
	instruction string
	line        int
}

func indexKey(index, total int) string { return fmt.Sprintf("%d/%d", index, total) }

// plannedSteps returns the steps of def as the Dockerfile writes them, by stage,
// platform and place.
func plannedSteps(ctx context.Context, def buildctx.Definition) map[string]planned {
	p, err := dockerfile.Convert(ctx, def.Input(), nil)
	if err != nil {
		return nil
	}
	steps := map[string]planned{}
	for _, s := range p.Steps {
		steps[s.Stage+"/"+s.Platform+"/"+indexKey(s.Index, s.Total)] = planned{s.Instruction, s.Lines.From}
	}
	return steps
}
