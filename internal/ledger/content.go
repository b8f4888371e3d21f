package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/stokerd/stoker/cache"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
)

// A Reader computes the digests of the files that builds of one repository take. It
// remembers what it read last, and reads again only what has changed. It is made by
// [NewReader], and safe for concurrent use.
type Reader struct {
	// Worked is told what each reading took, unless it is nil. It is set before the first
	// use.
	Worked func(content.Work)

	*readings
	edits map[string]content.Edit // see With
}

// readings are the last manifests that were made.
type readings struct {
	mu   sync.Mutex         // guards the fields below
	last map[string]reading // by directory and the paths that were asked for
	turn int                // counts readings
}

// A reading is the last manifest of a request, and the turn in which it was made.
type reading struct {
	manifest *content.Manifest
	turn     int
}

// spare is how many readings are kept beyond one for each request of the repository's
// builds: for the pictures that running builds began with, and for other clients'
// requests.
const spare = 8

// NewReader returns a reader that remembers nothing.
func NewReader() *Reader { return &Reader{readings: &readings{last: map[string]reading{}}} }

// With returns a reader as if some files, by absolute path, were edited. If ignore files are
// among them, the pictures that it is given must have been made with the edited texts. The
// two readers share what they have read.
func (r *Reader) With(edits map[string]content.Edit) *Reader {
	return &Reader{Worked: r.Worked, readings: r.readings, edits: edits}
}

// edited returns m, the manifest of a local context, with the reader's edits.
func (r *Reader) edited(m *content.Manifest, local buildctx.Local, request dockerfile.Request) (*content.Manifest, error) {
	if len(r.edits) == 0 {
		return m, nil
	}
	dir, err := filepath.EvalSymlinks(local.Root)
	if err != nil {
		return nil, err
	}
	inside := map[string]content.Edit{}
	for name, edit := range r.edits {
		folder, err := filepath.EvalSymlinks(filepath.Dir(name))
		if err != nil {
			return nil, err
		}
		rel, err := filepath.Rel(dir, filepath.Join(folder, filepath.Base(name)))
		switch added := edit.Was == nil; {
		case err != nil, !filepath.IsLocal(rel), added && local.Ignores(filepath.ToSlash(rel)):
			continue // it is no part of what is sent
		case added && request.FollowPaths != nil:
			return nil, content.ErrUnlike // nobody saw whether it is asked for
		}
		inside[filepath.ToSlash(rel)] = edit
	}
	return m.Edited(inside)
}

// before returns the last manifest of a request, nil if there is none.
func (r *readings) before(key string) *content.Manifest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[key].manifest
}

// keep remembers the manifest of a request and drops the oldest ones, each of which keeps
// alive the picture that it was made of.
func (r *readings) keep(key string, m *content.Manifest, p *project.Picture) {
	most := spare
	for _, b := range p.Builds {
		if b.Selection != nil {
			most += len(b.Selection.Plan.Requests)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn++
	r.last[key] = reading{m, r.turn}
	for len(r.last) > most {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(r.last)), func(a, b string) int { return cmp.Compare(r.last[a].turn, r.last[b].turn) })
		delete(r.last, oldest)
	}
}

// Errors that say why it is not known which files a build took.
var (
	// ErrUnseen is returned where no picture shows the files as they were.
	ErrUnseen = errors.New("nobody saw what was sent")
	// ErrUndeclared is returned of a folder that the client gave as a named context, and
	// the definition does not.
	ErrUndeclared = errors.New("nothing tells which folder was sent")
	// ErrMoving is returned where the files changed while they were sent.
	ErrMoving = errors.New("it is not known which state of the files was sent")
)

// Content returns the digests of what the build with the given name sent for the requests of
// plan, while the repository went through the pictures. It fails with [ErrMoving] where
// files were changed between two pictures, and with [cache.ErrStale] where the builder at site may have something
// else than what was sent.
func (r *Reader) Content(ctx context.Context, plan *dockerfile.Plan, name string, site Site, pictures ...*project.Picture) cache.ContentFunc {
	return r.Sent(ctx, plan, name, pictures...).Built(plan, site)
}

// Built returns the digests of what the builder at site has after it was sent s for the
// requests of plan. It fails with [cache.ErrStale] where that is not surely what was sent.
func (s *Sent) Built(plan *dockerfile.Plan, site Site) cache.ContentFunc {
	held := map[int][]*content.Manifest{}
	return func(request int, selected []dockerfile.Selector) (string, error) {
		digest, err := s.Digest(request, selected)
		if err != nil {
			return "", err
		}
		if !s.past && site.Snapshots != nil && site.Snapshots.isBehind() {
			return "", cache.ErrStale
		}
		if held[request] == nil {
			for _, m := range s.manifests[request] {
				held[request] = append(held[request], site.after(plan.Requests[request].Local, m)...)
			}
		}
		for _, m := range held[request] {
			if d, err := m.Content(selected); err != nil || d.String() != digest {
				return "", cache.ErrStale
			}
		}
		return digest, nil
	}
}

// Sent is what a build sent for the requests of a plan. A request is given by its index in
// the plan, and its files are read when it is first asked for. It is not safe for concurrent
// use.
type Sent struct {
	read func(request int) ([]*content.Manifest, error)
	past bool // nobody saw the build run: see Reader.Before

	// By request, once it was read.
	manifests map[int][]*content.Manifest // one for each picture
	errs      map[int]error               // why there is none
	blurs     map[int]*content.Blur       // what of the manifest counts, for a past build
	between   map[int][]*content.Blur     // what of the manifests was so all the time
}

// A Stir is what was told of changes of files while a build ran.
type Stir struct {
	// Since is when the build began, by the clock that stamps files, or somewhat earlier.
	Since time.Time
	// Delays say, by request, how long after that the builder asked for files; 0 if that
	// is not known.
	Delays map[int]time.Duration
	// Paths are what a watcher told of since then, before the last picture was made:
	// absolute, without links but for the last name. They may be gone.
	Paths []string
	// Lost says that more may have changed than Paths.
	Lost bool
}

// blur returns what of m, the manifest of dir, was the same since the builder asked for it with
// a request.
func (s *Stir) blur(request int, m *content.Manifest, dir buildctx.SentDir) (*content.Blur, error) {
	since := changedSince(s.Since.Add(s.Delays[request]))
	file := func(_, ctime int64) bool { return since(ctime) }
	if s.Lost {
		return content.NewBlur(m, dir, file, since, since), nil
	}
	top, err := filepath.EvalSymlinks(dir.Path())
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, name := range s.Paths {
		if rel, err := filepath.Rel(top, name); err == nil && filepath.IsLocal(rel) {
			paths = append(paths, filepath.ToSlash(rel))
		} else if in, err := filepath.Rel(name, top); err == nil && filepath.IsLocal(in) {
			paths = append(paths, ".")
		}
	}
	return content.NewBlurAt(m, dir, paths, file, since, since), nil
}

// Sent returns what the build with the given name sent for the requests of plan, while the
// repository went through the pictures.
func (r *Reader) Sent(ctx context.Context, plan *dockerfile.Plan, name string, pictures ...*project.Picture) *Sent {
	return r.Stirred(ctx, plan, name, nil, pictures...)
}

// Stirred is Sent with what was told of changes before the last picture was made, or nil:
// files that changed without a trace in the pictures.
func (r *Reader) Stirred(ctx context.Context, plan *dockerfile.Plan, name string, stir *Stir, pictures ...*project.Picture) *Sent {
	s := newSent(nil)
	s.read = func(request int) (all []*content.Manifest, err error) {
		var before buildctx.SentDir
		for i, p := range pictures {
			m, dir, err := r.manifest(ctx, p, name, plan.Requests[request])
			if err != nil {
				return nil, err
			}
			if i > 0 {
				s.between[request] = append(s.between[request], content.Between(m, before, dir))
			}
			if stir != nil && i == len(pictures)-1 {
				blur, err := stir.blur(request, m, dir)
				if err != nil {
					return nil, err
				}
				s.between[request] = append(s.between[request], blur)
			}
			all, before = append(all, m), dir
		}
		return all, nil
	}
	return s
}

// newSent returns a Sent that reads with read.
func newSent(read func(request int) ([]*content.Manifest, error)) *Sent {
	return &Sent{
		read: read, manifests: map[int][]*content.Manifest{}, errs: map[int]error{}, blurs: map[int]*content.Blur{},
		between: map[int][]*content.Blur{},
	}
}

// at returns the manifests of a request, one for each picture.
func (s *Sent) at(request int) ([]*content.Manifest, error) {
	if _, read := s.manifests[request]; !read && s.errs[request] == nil {
		s.manifests[request], s.errs[request] = s.read(request)
		if len(s.manifests[request]) == 0 && s.errs[request] == nil {
			s.errs[request] = ErrUnseen
		}
	}
	return s.manifests[request], s.errs[request]
}

// Digest returns the digest of what is selected of the files of a request: it is a
// [cache.ContentFunc]. It fails with [ErrUnseen] or [ErrMoving] where that is not known.
func (s *Sent) Digest(request int, selected []dockerfile.Selector) (string, error) {
	manifests, err := s.at(request)
	if err != nil {
		return "", err
	}
	if blur := s.blurs[request]; blur != nil {
		d, err := blur.Content(selected)
		if errors.Is(err, content.ErrBlurred) {
			err = ErrUnseen
		}
		return d.String(), err
	}
	digest := ""
	for _, m := range manifests {
		d, err := m.Content(selected)
		if missing := (*content.NotFoundError)(nil); errors.As(err, &missing) {
			err = fmt.Errorf("%w: %w", cache.ErrAbsent, err)
		}
		if err != nil {
			return "", err
		}
		if digest != "" && digest != d.String() {
			return "", ErrMoving
		}
		digest = d.String()
	}
	// What was edited and taken back may have been sent in either state, and so may what was
	// edited before the first picture.
	for _, blur := range s.between[request] {
		if _, err := blur.Content(selected); err != nil {
			return "", ErrMoving
		}
	}
	return digest, nil
}

// Taken returns what is selected of the files of a request, with its digest; errors are
// those of [Sent.Digest].
func (s *Sent) Taken(request int, selected []dockerfile.Selector) (digest string, taken *content.Manifest, err error) {
	if digest, err = s.Digest(request, selected); err != nil {
		return "", nil, err
	}
	taken, err = s.manifests[request][0].Taken(selected)
	return digest, taken, err
}

// declares reports whether build b of p has a named context. If b is nil, the definition is
// one that p does not show, and any build of p may stand for it.
func declares(p *project.Picture, b *project.Build, name string) bool {
	return slices.ContainsFunc(p.Builds, func(other *project.Build) bool {
		_, is := other.Definition.NamedContexts[name]
		return is && (b == nil || other == b)
	})
}

// manifest returns the manifest of the files that p shows for a request of the build with
// the given name, with the reader's edits, and the directory that they are of.
func (r *Reader) manifest(ctx context.Context, p *project.Picture, name string, request dockerfile.Request) (*content.Manifest, buildctx.SentDir, error) {
	none := buildctx.SentDir{}
	b, ok := p.Find(name)
	if request.Local != dockerfile.MainContext && !declares(p, b, request.Local) {
		return nil, none, ErrUndeclared
	}
	if !ok || b.Selection == nil {
		return nil, none, ErrUnseen
	}
	// With other ignore patterns, the picture may lack what is asked for.
	asked := slices.ContainsFunc(b.Selection.Plan.Requests, func(own dockerfile.Request) bool {
		return own.Local == request.Local && slices.Equal(own.Excludes, request.Excludes)
	})
	if !asked {
		return nil, none, ErrUnseen
	}
	dir, err := p.Sent(ctx, b, request)
	if err != nil {
		return nil, none, err
	}
	key := fmt.Sprintf("%s\x00%q", dir.Path(), request.FollowPaths)
	m, work, err := content.Compute(ctx, dir, r.before(key), time.Now())
	if err != nil {
		return nil, none, err
	}
	if r.Worked != nil {
		r.Worked(work)
	}
	r.keep(key, m, p)
	i := slices.IndexFunc(b.Selection.Locals(), func(l buildctx.Local) bool { return l.Name == request.Local })
	if m, err = r.edited(m, b.Selection.Locals()[i], request); err != nil {
		return nil, none, err
	}
	return m, dir, nil
}
