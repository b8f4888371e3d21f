package daemon

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
)

const (
	// freshImage is how long after a look-up a tag is taken to name the same image. When
	// it is asked for later than that, it is looked up again.
	freshImage = 15 * time.Minute
	// retryImage is how long to wait after a look-up that failed.
	retryImage = time.Minute
	// lookUpTimeout bounds a look-up, as a registry may not answer.
	lookUpTimeout = 30 * time.Second
)

// images has the configurations of base images. Repositories ask for them, and
// [Daemon.lookUp] looks up, through the builder, what is wanted and may be asked for.
// Configurations have values of environment variables, so they are kept in memory only. The
// store has them without values, which is what is used after a restart until the builder
// has answered.
//
// It is safe for concurrent use.
type images struct {
	wake poked         // has lookUp go round: something is wanted, or a builder is there
	kept *store.Images // images without values

	mu        sync.Mutex // guards the fields below
	known     map[image]answer
	wanted    map[image][]*repository // to be looked up, for which repositories
	worker    dockerfile.Worker       // of the builder that was connected last
	newWorker bool                    // repositories have not been opened anew for worker yet
	busy      bool                    // lookUp is going round
	idle      chan struct{}           // closed, and replaced, when busy becomes false
}

// image names an image for one platform.
type image struct{ ref, platform string }

// answer is the outcome of looking an image up.
type answer struct {
	dockerfile.Image           // of the last look-up that succeeded; zero if none did
	next             time.Time // when to look it up again
}

func newImages(kept *store.Images) *images {
	return &images{wake: newPoked(), kept: kept, known: map[image]answer{}, wanted: map[image][]*repository{}, idle: make(chan struct{})}
}

// repositoryImages resolves the images that the Dockerfiles of one repository name.
type repositoryImages struct {
	*images
	repository *repository
}

var _ dockerfile.WorkerResolver = repositoryImages{}

// Resolve implements [dockerfile.WorkerResolver]. It returns what is known at once, and has
// the image looked up if it is unknown or was looked up too long ago. The repository gets a
// new picture if the answer is another one.
func (r repositoryImages) Resolve(ctx context.Context, ref, platform string) (dockerfile.Image, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := image{ref, platform}
	known := r.known[key]
	if !time.Now().Before(known.next) && !slices.Contains(r.wanted[key], r.repository) {
		r.wanted[key] = append(r.wanted[key], r.repository)
		r.poke()
	}
	if known.Config == nil {
		return r.kept.Resolve(ctx, ref, platform)
	}
	return known.Image, nil
}

// Worker implements [dockerfile.WorkerResolver]: it returns what the builder that was
// connected last can do.
func (r repositoryImages) Worker() dockerfile.Worker {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.worker
}

// setWorker sets the worker for which Dockerfiles are converted from now on. If it is
// another one, the next round of lookUp opens all repositories anew.
func (i *images) setWorker(w dockerfile.Worker) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.worker.Equal(w) {
		i.worker, i.newWorker = w, true
	}
}

// takeNewWorker reports whether the worker is another one since the last call. If so, the
// caller opens all repositories anew before it calls setBusy(false).
func (i *images) takeNewWorker() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	taken := i.newWorker
	i.newWorker = false
	return taken
}

// poke has lookUp go round once more.
func (i *images) poke() { i.wake.poke() }

// forget drops what r wants.
func (i *images) forget(r *repository) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for key, by := range i.wanted {
		by = slices.DeleteFunc(slices.Clone(by), func(o *repository) bool { return o == r })
		i.wanted[key] = by
		if len(by) == 0 {
			delete(i.wanted, key)
		}
	}
}

// lookUp goes round whenever it is poked: it looks up the wanted images that may be looked
// up, if there is a builder, and opens the repositories anew for which an answer is news. It
// returns nil when ctx ends.
func (d *Daemon) lookUp(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.images.wake:
		}
		d.images.setBusy(true)
		outdated := d.resolveWanted(ctx)
		if d.images.takeNewWorker() {
			outdated = d.all()
		}
		for _, r := range outdated {
			if err := r.do(ctx, r.open); err != nil && !errors.Is(err, errEnded) {
				return nil // ctx has ended
			}
		}
		d.images.setBusy(false)
	}
}

// setBusy notes that a round of lookUp begins, or that it is done.
func (i *images) setBusy(busy bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.busy = busy
	if !busy {
		close(i.idle)
		i.idle = make(chan struct{})
	}
}

// settle waits until nothing more can come of look-ups for r: what it wants has been looked
// up and is in its picture, or may not be looked up. It waits for no longer than most, nor
// beyond the end of ctx.
func (i *images) settle(ctx context.Context, r *repository, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case <-r.ready: // until then it wants nothing
	case <-r.ended:
	case <-ctx.Done():
	}
	for {
		i.mu.Lock()
		idle, wait := i.idle, i.busy || i.newWorker
		var wanted []image
		for key, by := range i.wanted {
			if slices.Contains(by, r) {
				wanted = append(wanted, key)
			}
		}
		i.mu.Unlock()
		if !wait && !slices.ContainsFunc(wanted, func(key image) bool { return r.mayLookUp(key.ref) }) {
			return
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return
		}
	}
}

// resolveWanted looks up the wanted images that may be looked up, and returns the
// repositories for which an answer is news. Other images stay wanted, and so do all while
// there is no builder.
func (d *Daemon) resolveWanted(ctx context.Context) (outdated []*repository) {
	for _, key := range d.images.allowed() {
		node := d.builder.current()
		if node == nil {
			break // builder.run pokes when it has connected to one
		}
		limited, cancel := context.WithTimeout(ctx, lookUpTimeout)
		digest, config, err := node.ResolveConfig(limited, key.ref, key.platform)
		cancel()
		if err != nil && (ctx.Err() != nil || d.builder.current() != node) {
			break
		}
		if err != nil {
			// Neither name nor error is logged: the name may hold the value of an arg.
			d.log.Info("a base image cannot be looked up", "platform", key.platform)
		}
		got := dockerfile.Image{Digest: digest, Config: config}
		by, news := d.images.answered(key, got, err == nil)
		if !news {
			continue
		}
		d.keepImage(key, got)
		for _, r := range by {
			if !slices.Contains(outdated, r) {
				outdated = append(outdated, r)
			}
		}
	}
	return outdated
}

// keepImage stores an image without the values of its variables.
func (d *Daemon) keepImage(key image, got dockerfile.Image) {
	kept := got.Keep()
	err := d.store.PutBaseImage(key.ref, key.platform, store.BaseImage{
		OnBuild: kept.OnBuild, WorkingDir: kept.WorkingDir, User: kept.User, Resolved: time.Now(),
	})
	if err != nil {
		d.log.Error("store a base image", "error", err)
	}
}

// allowed returns the wanted images that may be looked up for one of the repositories that
// want them.
func (i *images) allowed() []image {
	i.mu.Lock()
	wanted := maps.Clone(i.wanted)
	i.mu.Unlock()
	maps.DeleteFunc(wanted, func(key image, by []*repository) bool {
		return !slices.ContainsFunc(by, func(r *repository) bool { return r.mayLookUp(key.ref) })
	})
	return slices.Collect(maps.Keys(wanted))
}

// answered stores the outcome of looking key up; got has a meaning only if ok. It returns
// the repositories that want the image by now, and whether the image is another one than
// was known.
func (i *images) answered(key image, got dockerfile.Image, ok bool) (by []*repository, news bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	by = i.wanted[key]
	delete(i.wanted, key)
	before := i.known[key]
	if !ok {
		before.next = time.Now().Add(retryImage)
		i.known[key] = before
		return by, false
	}
	i.known[key] = answer{got, time.Now().Add(freshImage)}
	return by, before.Digest != got.Digest || !bytes.Equal(before.Config, got.Config)
}

// doubt forgets images of which a build shows that their tags have moved, and has them
// looked up again for the repositories in by. found are the references of the build's
// images, each with its digest.
func (i *images) doubt(found []string, by []*repository) {
	i.mu.Lock()
	defer i.mu.Unlock()
	pinned := map[string]bool{} // references as Dockerfiles write them; those with a digest matter
	for key := range i.known {
		pinned[key.ref] = true
	}
	for _, ref := range found {
		name, digest, ok := strings.Cut(ref, "@")
		if !ok || pinned[ref] {
			continue
		}
		for key, known := range i.known {
			if key.ref == name && known.Digest != "" && known.Digest != digest {
				delete(i.known, key)
				i.wanted[key] = slices.Clone(by)
				i.poke()
			}
		}
	}
}

// asNamed returns ref as the Dockerfile names it: without the digest, if that is from a
// look-up.
func (i *images) asNamed(ref string) string {
	name, digest, ok := strings.Cut(ref, "@")
	if !ok {
		return ref
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for key, known := range i.known {
		if key.ref == name && known.Digest == digest {
			return name
		}
	}
	return ref
}

// mayLookUp reports whether a registry may be asked for the image ref. While the repository
// is barred, the name must stand in a Dockerfile literally, or with no variables but those
// of platforms: a name put together from build args could carry a variable of the user's
// environment to somebody's registry. A Dockerfile within a compose
// file does not count, because variables were expanded in it.
func (r *repository) mayLookUp(ref string) bool {
	s := r.state.Load()
	if s == nil || s.picture == nil {
		return false
	}
	if r.barred(s.picture) == "" {
		return true
	}
	for _, b := range s.picture.Builds {
		if b.Definition.Inline != "" {
			continue
		}
		text, err := b.Definition.DockerfileText()
		if err != nil {
			continue
		}
		builds := dockerfile.WorkerOf(r.opener.Resolver).Platform
		for _, target := range append(slices.Clone(b.Definition.Platforms), builds) {
			if spelt(ref, text, dockerfile.PlatformVariables(builds, target)) {
				return true
			}
		}
	}
	return false
}

// barred returns "" if registries may be asked for any name that the repository has. Else
// the repository is barred, and barred returns what the user has to do about it, in words
// that can follow "until".
func (r *repository) barred(p *project.Picture) string {
	switch {
	case !r.allowed():
		return "you run: stoker allow"
	case !r.trusted(p): // HEAD moved to commits that the user neither made nor built
		return "you build, or run: stoker allow --pulls"
	}
	return ""
}

// withheld marks the operations of a plan that depend on an image which is not known because
// it may not be looked up. It is nil if there are none.
func (r *repository) withheld(plan *dockerfile.Plan) []bool {
	waiting := map[string]bool{}
	for _, ref := range slices.Concat(plan.Assumed, plan.Remembered) {
		if !r.mayLookUp(ref) {
			name, _, _ := strings.Cut(ref, "@")
			waiting[name] = true
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	ops := make([]bool, len(plan.Ops))
	for i, op := range plan.Ops {
		if op.Source != nil {
			name, _, _ := strings.Cut(op.Source.Name, "@")
			ops[i] = op.Source.Kind == dockerfile.ImageSource && waiting[name]
		}
		for _, in := range op.Inputs {
			ops[i] = ops[i] || ops[in.Op]
		}
	}
	return ops
}

// spelt reports whether a word of text is ref, in its short or its long form, and with the
// digest if ref has one. A word may use the given variables, but no others.
func spelt(ref string, text []byte, variables map[string]string) bool {
	short := strings.TrimPrefix(strings.TrimPrefix(ref, "docker.io/"), "library/")
	for word := range strings.FieldsSeq(string(text)) {
		word = os.Expand(strings.TrimPrefix(word, "--from="), func(name string) string {
			if value, ok := variables[name]; ok {
				return value
			}
			return "$" + name // no reference has a $
		})
		if word == ref || word == short || word+":latest" == short || word+":latest" == ref {
			return true
		}
	}
	return false
}

// imagesIn returns the references of the images in a plan, each with its digest.
func imagesIn(plan *dockerfile.Plan) []string {
	var list []string
	for _, op := range plan.Ops {
		if op.Source != nil && op.Source.Kind == dockerfile.ImageSource {
			list = append(list, op.Source.Name)
		}
	}
	return list
}
