package image

import (
	"context"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Base is the image that an image was made from, as far as it is known.
type Base struct {
	Name   string // "" if only the number of layers is known
	Digest string // "" if it is not known
	Layers int    // how many of the image's lowest layers are the base's; 0 if it is not known
	// How says where this is known from. It is "layers" if the layers of the image in Options.Base are the lowest ones,
	// "annotations" if the builder wrote the base into the image, and "history" if it is a guess by the history.
	How string
	// Different reports that the image in Options.Base is not the base.
	Different bool
}

// The values of Base.How.
const (
	byLayers      = "layers"
	byAnnotations = "annotations"
	byHistory     = "history"
)

// findBase sets the base image, and which layers and secrets are of it. named is an image that may be the base, or nil.
func (a *Analysis) findBase(ctx context.Context, r *resolved, named *Image) error {
	b := annotatedBase(r)
	if guess := guessBase(r.config.History, len(a.Layers)); guess > 0 {
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

// findSystem sets the distribution.
func (a *Analysis) findSystem() {
	for _, name := range releaseFiles {
		at := a.paths.find(name)
		if at < 0 || a.stack.live[at] == none {
			continue
		}
		if a.System = systemOf(a.stack.layers[a.stack.live[at].layer].release[at]); a.System != "" {
			return
		}
	}
}

// document reads the manifest and configuration of an image, but no layers.
func (i *Image) document(ctx context.Context) (*resolved, error) {
	if i.stream == nil {
		return i.resolve(ctx)
	}
	// In a stream, they may come after the layers.
	r, _, err := i.readStream(ctx, &scan{paths: newPaths()}, func(int, int) {})
	return r, err
}

// annotatedBase returns the base that the builder wrote into annotations or labels (image-spec: annotations.md), nil if
// it did not.
func annotatedBase(r *resolved) *Base {
	for _, from := range []map[string]string{r.annotations, r.config.Config.Labels} {
		name, digest := from[ocispec.AnnotationBaseImageName], from[ocispec.AnnotationBaseImageDigest]
		if name != "" || digest != "" {
			return &Base{Name: name, Digest: digest, How: byAnnotations}
		}
	}
	return nil
}

// compareBase returns named, whose documents are other, as the base if its layers are the lowest ones of r. If not, it
// returns told, which is nil or what is known otherwise, with Different set.
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

// guessBase guesses from the history how many layers are the base's; 0 if there is no hint. Base images end in a CMD or
// ENTRYPOINT, and only an image that is made from them has steps after it that make layers. Of several such places, the
// last one counts. A history that does not fit the number of layers is ignored.
func guessBase(list []ocispec.History, layers int) int {
	made, guess := 0, 0
	command := false // since the last layer
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
	}
	if made != layers {
		return 0
	}
	return guess
}

// InBase reports whether all layers with these numbers are the base image's. It is false for none.
func (a *Analysis) InBase(layers []int) bool {
	for _, n := range layers {
		if n < 1 || n > len(a.Layers) || !a.Layers[n-1].Base {
			return false
		}
	}
	return len(layers) > 0
}
