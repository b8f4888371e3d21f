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

// belongs returns the watched repository and the definition that a build was of, or nil if
// it was of none, or of one that cannot be told from another. It goes by the folders that
// the client names, else by the text of the Dockerfile, else, for a build that did not
// succeed, by the names of its steps. before is what the repositories held when the build
// began.
//
// If no definition describes the build, the one returned has only a name, or is one that
// [Daemon.stageOf] makes.
func (d *Daemon) belongs(ctx context.Context, ev buildkit.Event, seen buildkit.Observed, before moment) (*repository, buildctx.Definition) {
	var (
		bestRepo *repository
		best     buildctx.Definition
		score    int
		tied     bool // another repository has the same score
	)
	for _, r := range d.all() {
		s := r.state.Load()
		if s == nil || s.picture == nil {
			continue
		}
		for _, b := range s.picture.Builds {
			switch n := r.match(b.Definition, seen.Join, func() bool { return r.resembles(ctx, ev, seen, before, b) }); {
			case n > score, n == score && n > 0 && bestRepo != r && seen.Join.LocalContext != "":
				// If both have the folder, one is within the other and comes later.
				bestRepo, best, score, tied = r, b.Definition, n, false
			case n == score && n > 0 && bestRepo != r:
				tied = true
			}
		}
		if n := r.holds(seen.Join); n > score {
			// A build of this repository that no definition describes.
			bestRepo, best, score, tied = r, buildctx.Definition{Name: observedName(r, seen.Join)}, n, false
		}
	}
	if bestRepo == nil && seen.Join.Target != "" {
		return d.stageOf(ctx, ev, seen, before)
	}
	if tied {
		// Two clones have the same text. Which of them was built cannot be told.
		return nil, buildctx.Definition{}
	}
	return bestRepo, best
}

// stageOf returns the repository whose Dockerfile has the stage that a build was of, and a
// new definition of that stage; nil if there is none, or more than one. It is for clients
// that name no folder.
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
				return nil, buildctx.Definition{} // as if tied in belongs
			}
			repo, def = r, buildctx.Definition{
				Name: r.relative(b.Definition.Dockerfile) + "#" + seen.Join.Target, Origin: buildctx.Observed,
				Context: b.Definition.Context, Dockerfile: b.Definition.Dockerfile, Target: seen.Join.Target,
			}
		}
	}
	return repo, def
}

// match scores how surely a build was of def; 0 means that it was not. Scores have a meaning
// only in comparison with those of other definitions for the same build. Of two definitions
// of the same stage, the one that names it as the build did scores higher. resembles is
// called only where neither folders nor texts decide.
func (r *repository) match(def buildctx.Definition, j buildkit.Join, resembles func() bool) int {
	switch {
	case j.Target == def.Target:
		return 2 * r.score(def, j, resembles)
	case sameStage(def, j):
		return max(0, 2*r.score(def, j, resembles)-1)
	}
	return 0
}

// sameStage reports whether the target of a build and that of def are the same stage: upper
// and lower case do not matter, and no target means the last stage.
func sameStage(def buildctx.Definition, j buildkit.Join) bool {
	text := j.Dockerfile
	if text == nil {
		text, _ = def.DockerfileText() // if there is none, the last stage has no name
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

// score is match without regard to the target.
func (r *repository) score(def buildctx.Definition, j buildkit.Join, resembles func() bool) int {
	if j.RemoteContext != def.Remote() {
		return 0
	}
	if len(j.Platforms) > 0 && len(def.Platforms) > 0 && !slices.Equal(j.Platforms, def.Platforms) {
		return 0
	}
	switch {
	case j.LocalContext != "": // buildx, on this machine
		if n := r.matchLocal(def, j, resembles); n > 0 {
			return n + argScore(def, j)
		}
	case j.VCSContext != "": // a folder within a repository that may be another clone
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

// matchLocal is score without regard to args, for a build whose context was a local folder.
// The path of the Dockerfile says less than its text: buildx tells a path also where the
// text stands in another file, and none where it was piped in.
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

// holds scores a build by its context alone: 1 if that lies in r, and 0 if not. That is less
// than any score of match.
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

// observedName names a build that no definition describes: after its Dockerfile and its
// target.
func observedName(r *repository, j buildkit.Join) string {
	name := r.relative(dockerfilePath(j))
	if j.Target != "" {
		name += "#" + j.Target
	}
	return name
}

// builtText reports whether the Dockerfile that was built is that of def, now or a short
// while ago: see noteTexts.
func (r *repository) builtText(def buildctx.Definition, j buildkit.Join) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return j.DockerfileDigest != "" && slices.Contains(r.texts[def.Name], j.DockerfileDigest)
}

// mostTexts is how many digests of Dockerfiles are kept for each definition.
const mostTexts = 20

// noteTexts remembers the digest of each definition's Dockerfile, for builds that can be
// matched by that alone. The last few are kept, because a build that runs may be of a text
// that has been replaced since.
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
			if len(list) >= mostTexts {
				list = list[1:]
			}
			r.texts[b.Definition.Name] = append(list, digest)
		}
	}
}

// argScore prefers, among definitions of one Dockerfile, those that set the same args as the
// build.
func argScore(def buildctx.Definition, j buildkit.Join) int {
	if slices.Equal(def.ArgNames(), j.ArgNames) {
		return 1
	}
	return 0
}

// dockerfilePath returns where the client says that the Dockerfile was. buildx tells the
// path itself, or that of its folder.
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

// samePath reports whether a and b name the same file, through links or not.
func samePath(a, b string) bool {
	ra, errA := filepath.EvalSymlinks(a)
	rb, errB := filepath.EvalSymlinks(b)
	if errA != nil || errB != nil {
		return filepath.Clean(a) == filepath.Clean(b)
	}
	return ra == rb
}

// relative returns name, with links resolved, relative to the root of r, with slashes. What
// has no such path is returned as it is.
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

// clean returns the shortest slash-separated form of a relative path.
func clean(rel string) string { return strings.TrimPrefix(filepath.ToSlash(filepath.Clean(rel)), "./") }
