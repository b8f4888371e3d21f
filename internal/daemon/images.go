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
	// freshImage is how long a tag is trusted to mean what it did. After that it is
	// looked up again when it is asked for.
	freshImage = 15 * time.Minute
	// retryImage is how long an image that could not be looked up is left alone.
	retryImage = time.Minute
	// lookUpTimeout ends a look-up at a registry that does not answer.
	lookUpTimeout = 30 * time.Second
)

// images knows the configurations of base images. They hold values of environment
// variables, so they are kept in memory only. The store has them without values, which
// has to do after a restart until a builder was asked again.
type images struct {
	wake poked // something is wanted
	kept *store.Images

	mu        sync.Mutex // guards the fields below
	known     map[image]answer
	wanted    map[image][]*repository // and by which repositories
	worker    dockerfile.Worker       // of the builder that was connected last
	newWorker bool                    // repositories have not been told of the worker yet
	busy      bool                    // images are being looked up, or repositories told
	idle      chan struct{}           // closed when that is done
}

// image names an image for one platform.
type image struct{ ref, platform string }

// answer is what came of looking an image up.
type answer struct {
	dockerfile.Image           // zero if it never could be
	next             time.Time // when to look again
}

func newImages(kept *store.Images) *images {
	return &images{wake: newPoked(), kept: kept, known: map[image]answer{}, wanted: map[image][]*repository{}, idle: make(chan struct{})}
}

// A repositoryImages resolves what the Dockerfiles of a repository name.
type repositoryImages struct {
	*images
	repository *repository
}

var _ dockerfile.WorkerResolver = repositoryImages{}

// Resolve answers from memory, and asks for a look-up of what is unknown or too old.
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

// Worker returns what the builder that was connected last can do.
func (r repositoryImages) Worker() dockerfile.Worker {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.worker
}

// setWorker sets the worker for which Dockerfiles are converted from now on. If the
// result may differ, the repositories are pictured anew.
func (i *images) setWorker(w dockerfile.Worker) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.worker.Equal(w) {
		i.worker, i.newWorker = w, true
	}
}

// takeNewWorker reports whether the repositories have to be told of another worker. The
// caller tells them before it calls setBusy(false).
func (i *images) takeNewWorker() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	is := i.newWorker
	i.newWorker = false
	return is
}

// poke starts a look-up of the images that are wanted.
func (i *images) poke() { i.wake.poke() }

// forget drops what a repository wants.
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

// lookUp asks the builder for wanted images whenever there are some and a
// builder is there, until ctx ends.
func (d *Daemon) lookUp(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.images.wake:
		}
		d.images.setBusy(true)
		told := d.resolveWanted(ctx)
		if d.images.takeNewWorker() {
			told = d.all()
		}
		for _, r := range told {
			if err := r.do(ctx, r.open); err != nil && !errors.Is(err, errEnded) {
				return nil
			}
		}
		d.images.setBusy(false)
	}
}

// setBusy says that images are being looked up, or that this is done.
func (i *images) setBusy(busy bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.busy = busy
	if !busy {
		close(i.idle)
		i.idle = make(chan struct{})
	}
}

// settle returns once what a repository wants has been looked up and is in its
// picture, or cannot be, or the time is up.
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
// repositories for which an answer is news. Other images stay wanted, as all do while
// there is no builder.
func (d *Daemon) resolveWanted(ctx context.Context) []*repository {
	var told []*repository
	for _, key := range d.images.allowed() {
		node := d.builder.current()
		if node == nil {
			break // poked again when one is found
		}
		limited, cancel := context.WithTimeout(ctx, lookUpTimeout)
		digest, config, err := node.ResolveConfig(limited, key.ref, key.platform)
		cancel()
		if err != nil && (ctx.Err() != nil || d.builder.current() != node) {
			break
		}
		if err != nil {
			// Its name may hold the value of an arg, and the error the name.
			d.log.Info("a base image cannot be looked up", "platform", key.platform)
		}
		got := dockerfile.Image{Digest: digest, Config: config}
		by, news := d.images.answered(key, got, err == nil)
		if !news {
			continue
		}
		d.keepImage(key, got)
		for _, r := range by {
			if !slices.Contains(told, r) {
				told = append(told, r)
			}
		}
	}
	return told
}

// keepImage stores what may be kept of an image.
func (d *Daemon) keepImage(key image, got dockerfile.Image) {
	kept := got.Keep()
	err := d.store.PutBaseImage(key.ref, key.platform, store.BaseImage{
		OnBuild: kept.OnBuild, WorkingDir: kept.WorkingDir, User: kept.User, Resolved: time.Now(),
	})
	if err != nil {
		d.log.Error("store a base image", "error", err)
	}
}

// allowed returns the wanted images that may be asked for.
func (i *images) allowed() []image {
	i.mu.Lock()
	wanted := maps.Clone(i.wanted)
	i.mu.Unlock()
	maps.DeleteFunc(wanted, func(key image, by []*repository) bool {
		return !slices.ContainsFunc(by, func(r *repository) bool { return r.mayLookUp(key.ref) })
	})
	return slices.Collect(maps.Keys(wanted))
}

// answered stores the outcome of looking key up. It returns the repositories that want it
// by now, and whether it is news.
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

// doubt has those images looked up again that a build found under another digest than the
// one that is known, and forgets that: their tags have moved. found are the references of
// the images that it had, with digests.
func (i *images) doubt(found []string, by []*repository) {
	i.mu.Lock()
	defer i.mu.Unlock()
	pinned := map[string]bool{} // digest and all by a Dockerfile
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

// asNamed returns ref without the digest that a look-up gave it.
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

// mayLookUp reports whether a registry may be asked for an image. In a repository that is
// not allowed to run anything, the name must stand in a Dockerfile literally, or with
// nothing but platforms put in: a name put together from build args could carry a
// variable of the user's to somebody's registry. A Dockerfile within a compose file does not count, because variables were expanded in it.
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

// barred says what the user has to do before registries may be asked for any name that
// the repository has, as the end of a sentence with "until"; "" if they may.
func (r *repository) barred(p *project.Picture) string {
	switch {
	case !r.allowed():
		return "you run: stoker allow"
	case !r.trusted(p): // HEAD moved to commits that the user neither made nor built
		return "you build, or run: stoker allow --pulls"
	}
	return ""
}

// withheld marks the operations of a plan that depend on an image which may not be looked
// up and so is not known; nil if none does.
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

// spelt reports whether text names ref, digest included, in its short or long form:
// literally, or with no variables but the given ones.
func spelt(ref string, text []byte, variables map[string]string) bool {
	short := strings.TrimPrefix(strings.TrimPrefix(ref, "docker.io/"), "library/")
	for word := range strings.FieldsSeq(string(text)) {
		word = os.Expand(strings.TrimPrefix(word, "--from="), func(name string) string {
			if value, ok := variables[name]; ok {
				return value
			}
			return "$" + name // which no reference holds
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
