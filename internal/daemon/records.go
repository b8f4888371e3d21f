package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
)

// listen keeps the builds of one node: those that it remembers, and those to come.
// Reading a build takes a while: the events after it do not wait for that, and builds
// of now do not wait for those of the past.
func (d *Daemon) listen(ctx context.Context, node *buildkit.Builder) error {
	running := map[string]func(){} // what is held back while a build runs
	defer func() {
		for _, release := range running {
			release()
		}
	}()
	began := map[string]moment{} // what the repositories held when the builds that run began
	d.list(ctx, node)
	known := d.account(node)
	before, err := node.History(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	told := d.catchUp(ctx, node, before)
	group.Go(func() error { return known.missed.run(ctx) })
	group.Go(func() error { return known.builds.run(ctx) })
	group.Go(func() error {
		return node.Watch(ctx, func(ev buildkit.Event) error {
			if generation, ok := told[ev.Ref]; ok && ev.Type == buildkit.Complete && generation == ev.Generation && running[ev.Ref] == nil {
				return nil
			}
			var span []moment
			if before, seen := began[ev.Ref]; seen && ev.Type == buildkit.Complete {
				span = []moment{before, d.moment(ctx)}
			}
			switch ev.Type {
			case buildkit.Started:
				if running[ev.Ref] != nil {
					break
				}
				release := d.warmer.Hold()
				known.running.Add(1)
				running[ev.Ref] = func() { release(); known.running.Add(-1) }
				if ev.IgnoresCache() {
					release, one := running[ev.Ref], known.anew.begin()
					known.anew.add(one, nil)
					running[ev.Ref] = func() { release(); known.anew.end(one) }
				}
				if _, before := told[ev.Ref]; !before { // else nobody saw it begin
					began[ev.Ref] = d.moment(ctx)
				}
			case buildkit.Complete, buildkit.Deleted:
				queue, release := known.missed, running[ev.Ref]
				if release != nil {
					queue = known.builds
				}
				if ev.Type == buildkit.Complete {
					queue.add(func() { d.record(ctx, node, ev, span) })
				}
				if release != nil {
					release()
					delete(running, ev.Ref)
					delete(began, ev.Ref)
				}
			}
			return nil
		})
	})
	return group.Wait()
}

// catchUp enters the builds that ended while nobody looked, in that order, and
// returns the generations of all that the builder told of. Until that is done,
// nothing is known of the files that the builder has, and no build that ends now is
// entered: those before it would count as entered, too (Ledger.Saw).
func (d *Daemon) catchUp(ctx context.Context, node *buildkit.Builder, history []buildkit.Event) map[string]int32 {
	known, told := d.account(node), map[string]int32{}
	known.missed.add(func() { // whose builds they are is known by what is watched
		if d.awaitResumed(ctx) == nil {
			d.moment(ctx)
		}
	})
	for _, ev := range history {
		told[ev.Ref] = ev.Generation
		if ev.Type == buildkit.Complete {
			known.unread.Add(1)
			known.missed.add(func() {
				defer known.unread.Add(-1)
				d.record(ctx, node, ev, nil)
			})
		}
	}
	known.missed.add(func() {
		if ctx.Err() == nil {
			known.CaughtUp()
		}
		d.list(ctx, node) // which also keeps that
		if ctx.Err() == nil {
			known.copies.Behind(false)
			known.caught.open()
			d.board.changed()
		}
	})
	known.builds.add(func() { known.caught.wait(ctx) })
	return told
}

// record learns from a finished build, and keeps it if it is of a watched
// repository. span is what the repositories held when it began and when it had
// ended, nil if nobody looked.
func (d *Daemon) record(ctx context.Context, node *buildkit.Builder, ev buildkit.Event, span []moment) {
	name := node.Info().Name
	for _, r := range d.all() {
		if r.recall(ev) {
			if err := r.do(ctx, r.open); err != nil && ctx.Err() != nil {
				return
			}
		}
	}
	since := d.account(node).Seen()
	entered := since.IsZero() || !ev.Completed.After(since) // else the daemon was killed before that was kept
	if have, ok, err := d.store.Record(name, ev.Ref); entered && err == nil && ok && have.Generation >= ev.Generation {
		return
	}
	seen, err := node.Observe(ctx, ev)
	if err != nil {
		if ctx.Err() == nil {
			d.log.Warn("read a finished build", "ref", ev.Ref, "error", err)
		}
		return
	}
	var before moment
	if span != nil {
		before = span[0]
	}
	repo, def := d.belongs(ctx, ev, seen, before)
	files := d.filesOf(ctx, node, seen, span, repo)
	files.of(def, seen.Join)
	presumed := repo.presume(ctx, ev, seen, files.watched(), def)
	if span != nil || ev.Completed.After(d.account(node).Seen()) {
		d.enter(ctx, node, seen, presumed.parts, files)
	}
	if repo == nil {
		return
	}
	if (def.Context == "" || def.Origin == buildctx.Observed) && repo.learn(ctx, ev, seen.Join, def) {
		_, def = d.belongs(ctx, ev, seen, before)
	}
	seen.Record.Repository, seen.Record.Definition = repo.root, def.Name
	files.of(def, seen.Join)
	if def.Shown != "" {
		seen.Unname()
	}
	seen.Describe(describer(ctx, def))
	if err := d.keep(ctx, ev, seen, presumed, files, repo, def); err != nil {
		d.log.Error("store a finished build", "ref", ev.Ref, "error", err)
		return
	}
	d.madeBy(node, seen, repo, def)
	d.log.Debug("build recorded", "ref", ev.Ref, "repository", repo.root, "definition", def.Name)
	if expected, _, err := d.pastOf(repo, name, def.Name); err == nil && span != nil {
		d.count(repo, seen, picturesOf(span, repo), expected)
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

// belongs finds the repository and the definition that a build was of: by the
// folders that the client told, else by the Dockerfile's text or, of one that did not
// succeed, by the names of its steps. before is what the repositories held when it
// began.
func (d *Daemon) belongs(ctx context.Context, ev buildkit.Event, seen buildkit.Observed, before moment) (*repository, buildctx.Definition) {
	var (
		bestRepo *repository
		best     buildctx.Definition
		score    int
		shared   bool // by two repositories alike
	)
	for _, r := range d.all() {
		s := r.state.Load()
		if s == nil || s.picture == nil {
			continue
		}
		for _, b := range s.picture.Builds {
			switch n := r.match(b.Definition, seen.Join, func() bool { return r.resembles(ctx, ev, seen, before, b) }); {
			case n > score, n == score && n > 0 && bestRepo != r && seen.Join.LocalContext != "": // of two, the inner one
				bestRepo, best, score, shared = r, b.Definition, n, false
			case n == score && n > 0 && bestRepo != r:
				shared = true
			}
		}
		if n := r.holds(seen.Join); n > score {
			// A build of this repository that no definition describes.
			bestRepo, best, score, shared = r, buildctx.Definition{Name: observedName(r, seen.Join)}, n, false
		}
	}
	if bestRepo == nil && seen.Join.Target != "" {
		return d.stageOf(ctx, ev, seen, before)
	}
	if shared {
		// Two clones have the same text: whose it was nobody can tell.
		return nil, buildctx.Definition{}
	}
	return bestRepo, best
}

// stageOf finds the repository whose Dockerfile has the stage that a build was of, and
// makes a definition of it. Only a client that tells no folder needs that.
func (d *Daemon) stageOf(ctx context.Context, ev buildkit.Event, seen buildkit.Observed, before moment) (*repository, buildctx.Definition) {
	var (
		repo *repository
		def  buildctx.Definition
	)
	for _, r := range d.all() {
		s := r.state.Load()
		if s == nil || s.picture == nil {
			continue
		}
		for _, b := range s.picture.Builds {
			stage := *b
			stage.Definition.Target = seen.Join.Target
			if stage.Definition.Dockerfile == "" || repo == r {
				continue
			}
			if r.match(stage.Definition, seen.Join, func() bool { return r.resembles(ctx, ev, seen, before, &stage) }) == 0 {
				continue
			}
			if repo != nil {
				return nil, buildctx.Definition{} // two clones have the same text
			}
			repo, def = r, buildctx.Definition{
				Name: r.relative(b.Definition.Dockerfile) + "#" + seen.Join.Target, Origin: buildctx.Observed,
				Context: b.Definition.Context, Dockerfile: b.Definition.Dockerfile, Target: seen.Join.Target,
			}
		}
	}
	return repo, def
}

// match scores how surely a build was of a definition; 0 means that it was not. Of two
// that give the same stage, the one that names it alike. resembles is asked where only
// the steps can tell.
func (r *repository) match(def buildctx.Definition, j buildkit.Join, resembles func() bool) int {
	switch {
	case j.Target == def.Target:
		return 2 * r.score(def, j, resembles)
	case sameStage(def, j):
		return max(0, 2*r.score(def, j, resembles)-1)
	}
	return 0
}

// sameStage reports whether the target of a build is that of a definition by another
// name: the last stage can go without one.
func sameStage(def buildctx.Definition, j buildkit.Join) bool {
	text := j.Dockerfile
	if text == nil {
		text, _ = def.DockerfileText() // without one, only equal names are
	}
	lines, err := dockerfile.Outline(text)
	if err != nil {
		return false
	}
	last := ""
	for _, l := range lines {
		if l.Keyword == "FROM" {
			last = l.Name
		}
	}
	stage := func(target string) string {
		if target == "" {
			return last
		}
		return target
	}
	return strings.EqualFold(stage(def.Target), stage(j.Target))
}

// score is match, but for the target.
func (r *repository) score(def buildctx.Definition, j buildkit.Join, resembles func() bool) int {
	if j.RemoteContext != def.Remote() {
		return 0
	}
	if len(j.Platforms) > 0 && len(def.Platforms) > 0 && !slices.Equal(j.Platforms, def.Platforms) {
		return 0
	}
	switch {
	case j.LocalContext != "":
		if n := r.matchLocal(def, j, resembles); n > 0 {
			return n + argScore(def, j)
		}
	case j.VCSContext != "":
		if r.relative(def.Context) == clean(j.VCSContext) && (r.builtText(def, j) || resembles()) {
			return 80 + argScore(def, j)
		}
	default:
		if filepath.Base(j.Filename) == filepath.Base(def.Dockerfile) && (r.builtText(def, j) || resembles()) {
			return 60 + argScore(def, j)
		}
	}
	return 0
}

// matchLocal is match, but for args, of a build whose context was a folder. The path
// of a Dockerfile says less than its text: buildx names one beside a text that stands
// in another file, and none where the text came in a pipe.
func (r *repository) matchLocal(def buildctx.Definition, j buildkit.Join, resembles func() bool) int {
	if !samePath(j.LocalContext, def.Context) {
		return 0
	}
	inline := def.Inline != ""
	path, text := !inline && samePath(dockerfilePath(j), def.Dockerfile), r.builtText(def, j)
	switch {
	case path && text:
		return 106
	case text && (inline || j.LocalDockerfile == ""):
		return 104
	case inline && resembles():
		return 102
	case path:
		return 100
	}
	return 0
}

// holds scores a build whose context lies in r, whatever was built there.
func (r *repository) holds(j buildkit.Join) int {
	if j.LocalContext == "" {
		return 0
	}
	resolved, err := filepath.EvalSymlinks(j.LocalContext)
	if err != nil {
		return 0
	}
	if rel, err := filepath.Rel(r.root, resolved); err == nil && filepath.IsLocal(rel) {
		return 1
	}
	return 0
}

// observedName names a build that no definition describes after what it says
// of itself.
func observedName(r *repository, j buildkit.Join) string {
	name := r.relative(dockerfilePath(j))
	if j.Target != "" {
		name += "#" + j.Target
	}
	return name
}

// builtText reports whether the text that was built is, or was a while ago,
// the definition's.
func (r *repository) builtText(def buildctx.Definition, j buildkit.Join) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return j.DockerfileDigest != "" && slices.Contains(r.texts[def.Name], j.DockerfileDigest)
}

// noteTexts remembers the digest of each definition's Dockerfile, for builds
// that say no more of themselves than what they built.
func (r *repository) noteTexts(p *project.Picture) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range p.Builds {
		text, err := b.Definition.DockerfileText()
		if err != nil {
			continue
		}
		sum := sha256.Sum256(text)
		digest, list := hex.EncodeToString(sum[:]), r.texts[b.Definition.Name]
		if len(list) == 0 || list[len(list)-1] != digest {
			// A build that runs may be of a text that was replaced just now.
			if len(list) >= 20 {
				list = list[1:]
			}
			r.texts[b.Definition.Name] = append(list, digest)
		}
	}
}

// argScore prefers, among definitions of one file, that with the args built.
func argScore(def buildctx.Definition, j buildkit.Join) int {
	if slices.Equal(def.ArgNames(), j.ArgNames) {
		return 1
	}
	return 0
}

// dockerfilePath is where the client says the Dockerfile was: buildx keeps the
// path itself, or its folder.
func dockerfilePath(j buildkit.Join) string {
	p := j.LocalDockerfile
	if p == "" {
		p = j.LocalContext
	}
	if base := filepath.Base(j.Filename); filepath.Base(p) != base {
		return filepath.Join(p, base)
	}
	return p
}

func samePath(a, b string) bool {
	ra, errA := filepath.EvalSymlinks(a)
	rb, errB := filepath.EvalSymlinks(b)
	if errA != nil || errB != nil {
		return filepath.Clean(a) == filepath.Clean(b)
	}
	return ra == rb
}

func (r *repository) relative(name string) string {
	if resolved, err := filepath.EvalSymlinks(name); err == nil {
		name = resolved
	}
	rel, err := filepath.Rel(r.root, name)
	if err != nil {
		return name
	}
	return filepath.ToSlash(rel)
}

func clean(rel string) string { return strings.TrimPrefix(filepath.ToSlash(filepath.Clean(rel)), "./") }
