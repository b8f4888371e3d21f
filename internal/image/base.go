package image

import (
	"context"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Base is the image that this one was made from, as far as it can be told.
type Base struct {
	Name   string // "" if only the layers are known
	Digest string // "" if it is not known
	Layers int    // how many of the first layers are its; 0 if that is not known
	// How says what tells: "layers" (the layers of an image that was named are these), "annotations" (the builder wrote
	// it down), "history" (a guess: the last layers before a command that a later step replaces).
	How string
	// Different reports that the image that was named is not the base.
	Different bool
}

// Ways of telling.
const (
	byLayers      = "layers"
	byAnnotations = "annotations"
	byHistory     = "history"
)

// findBase fills in the base image and whose the layers are.
func (a *Analysis) findBase(ctx context.Context, r *resolved, named *Image) error {
	b := annotatedBase(r)
	if guess := boundary(r.config.History, len(a.Layers)); guess > 0 {
		if b == nil {
			b = &Base{How: byHistory}
		}
		b.Layers = guess
	}
	if named != nil {
		other, err := named.document(ctx)
		if err != nil {
			return named.wrap(err)
		}
		b = compareBase(named, other, r, b)
	}
	a.Base = b
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		at := a.paths.find(name)
		if at < 0 || a.stack.live[at] == none || a.System != "" {
			continue
		}
		a.System = systemOf(a.stack.layers[a.stack.live[at].layer].release[at])
	}
	if b == nil {
		return nil
	}
	for n := range min(b.Layers, len(a.Layers)) {
		a.Layers[n].Base = true
	}
	for i := range a.Secrets {
		a.Secrets[i].Base = a.Secrets[i].Layer > 0 && a.Secrets[i].Layer <= b.Layers
	}
	return nil
}

// document reads what an image says of itself, and no layer.
func (i *Image) document(ctx context.Context) (*resolved, error) {
	if i.stream == nil {
		return i.resolve(ctx)
	}
	// A stream has no other way than to read it.
	r, _, err := i.readStream(ctx, &scan{paths: newPaths()}, func(int, int) {})
	return r, err
}

// annotatedBase reads what builders write down (image-spec: annotations.md).
func annotatedBase(r *resolved) *Base {
	for _, from := range []map[string]string{r.annotations, r.config.Config.Labels} {
		name, digest := from[ocispec.AnnotationBaseImageName], from[ocispec.AnnotationBaseImageDigest]
		if name != "" || digest != "" {
			return &Base{Name: name, Digest: digest, How: byAnnotations}
		}
	}
	return nil
}

// compareBase looks whether the layers of a named image are the first ones.
func compareBase(named *Image, other, r *resolved, told *Base) *Base {
	ids, below := r.config.RootFS.DiffIDs, other.config.RootFS.DiffIDs
	same := 0
	for same < len(ids) && same < len(below) && ids[same] == below[same] {
		same++
	}
	if same == len(below) {
		return &Base{Name: named.name, Digest: other.digest.String(), Layers: same, How: byLayers}
	}
	if told == nil {
		told = &Base{}
	}
	b := *told
	b.Different = true
	return &b
}

// boundary guesses from the history how many layers are the base's: base images end in a CMD or ENTRYPOINT, after
// which only an image that is made from them has steps that make layers. Of several, the last one counts.
func boundary(list []ocispec.History, layers int) int {
	made, guess := 0, 0
	command := false
	count := 0
	for _, h := range list {
		if h.EmptyLayer {
			word, _, _ := strings.Cut(instruction(h.CreatedBy), " ")
			command = command || word == "CMD" || word == "ENTRYPOINT"
			continue
		}
		if command {
			guess, command = made, false
		}
		made++
		count++
	}
	if count != layers {
		return 0
	}
	return guess
}

// InBase reports whether all of these layers are the base image's.
func (a *Analysis) InBase(layers []int) bool {
	for _, n := range layers {
		if n < 1 || n > len(a.Layers) || !a.Layers[n-1].Base {
			return false
		}
	}
	return len(layers) > 0
}
