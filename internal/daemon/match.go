package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stokerd/stoker/cache/buildkit"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
)

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

// match scores how surely a build was of a definition; 0 means that it was not. Scores
// only order definitions against each other. Of two that build the same stage, the one
// that names it as the build did scores higher. resembles is asked where only the steps
// can tell.
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
