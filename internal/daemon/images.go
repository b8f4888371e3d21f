package daemon

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/context/dockerfile"

	buildctx "github.com/stokerd/stoker/context"
)

// images knows the configurations of base images. They hold env values, so they
// are kept in memory only; a builder is asked for them anew after a restart.
type images struct {
	store *store.Store
	wake  chan struct{} // holds one token: something is wanted

	mu     sync.Mutex // guards the fields below
	known  map[image]dockerfile.Image
	wanted map[image]*repository // which repository asked first
}

// image names an image for one platform.
type image struct{ ref, platform string }

func newImages(s *store.Store) *images {
	return &images{
		store: s, wake: make(chan struct{}, 1), known: map[image]dockerfile.Image{}, wanted: map[image]*repository{},
	}
}

// A repositoryImages resolves what the Dockerfiles of a repository name.
type repositoryImages struct {
	*images
	repository *repository
}

var _ dockerfile.Resolver = repositoryImages{}

// Resolve answers from memory, and remembers what it could not answer.
func (r repositoryImages) Resolve(_ context.Context, ref, platform string) (dockerfile.Image, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := image{ref, platform}
	if known, ok := r.known[key]; ok {
		return known, nil
	}
	r.wanted[key] = r.repository
	r.poke()
	return dockerfile.Image{}, dockerfile.ErrUnknownImage
}

// poke has the images looked up that are wanted.
func (i *images) poke() {
	select {
	case i.wake <- struct{}{}:
	default:
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
		if d.builder.current() == nil {
			continue // poked again when one is found
		}
		for _, r := range d.resolveWanted(ctx) {
			if err := r.do(ctx, r.open); err != nil && !errors.Is(err, errEnded) {
				return nil
			}
		}
	}
}

// resolveWanted looks up what is wanted and may be, and returns the repositories
// that want to hear of it. What may not be looked up yet stays wanted; what
// could not be is asked for again when a Dockerfile is converted next.
func (d *Daemon) resolveWanted(ctx context.Context) []*repository {
	var told []*repository
	for key, r := range d.images.allowed() {
		builder := d.builder.current()
		if builder == nil {
			break
		}
		digest, config, err := builder.ResolveConfig(ctx, key.ref, key.platform)
		d.images.answered(key, dockerfile.Image{Digest: digest, Config: config}, err == nil)
		if err != nil {
			d.log.Info("look up a base image", "ref", key.ref, "error", err)
			continue
		}
		if !slices.Contains(told, r) {
			told = append(told, r)
		}
	}
	return told
}

// allowed returns the wanted images that may be asked for.
func (i *images) allowed() map[image]*repository {
	i.mu.Lock()
	wanted := maps.Clone(i.wanted)
	i.mu.Unlock()
	maps.DeleteFunc(wanted, func(key image, r *repository) bool { return !r.mayLookUp(key.ref) })
	return wanted
}

func (i *images) answered(key image, answer dockerfile.Image, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.wanted, key)
	if ok {
		i.known[key] = answer
	}
}

// mayLookUp reports whether an image may be asked for. In a repository that is
// not allowed, the name must stand in a Dockerfile as it is: one put together
// from build args could carry a variable of the user's to somebody's registry.
func (r *repository) mayLookUp(ref string) bool {
	if r.allowed() {
		return true
	}
	s := r.state.Load()
	if s == nil || s.picture == nil {
		return false
	}
	for _, b := range s.picture.Builds {
		if text, err := dockerfileText(b.Definition); err == nil && spelt(ref, text) {
			return true
		}
	}
	return false
}

// spelt reports whether text names ref literally, in its short or long form.
func spelt(ref string, text []byte) bool {
	name, _, _ := strings.Cut(ref, "@")
	short := strings.TrimPrefix(strings.TrimPrefix(name, "docker.io/"), "library/")
	for word := range strings.FieldsSeq(string(text)) {
		word, _, _ := strings.Cut(strings.TrimPrefix(word, "--from="), "@")
		if word == name || word == short || word+":latest" == short || word+":latest" == name {
			return true
		}
	}
	return false
}

// dockerfileText returns the text of a definition's Dockerfile.
func dockerfileText(d buildctx.Definition) ([]byte, error) {
	if d.Inline != "" {
		return []byte(d.Inline), nil
	}
	return os.ReadFile(d.Dockerfile)
}
