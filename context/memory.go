package buildctx

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A memory is a resolver that records what it is asked and what the resolver that it
// wraps answers. It is safe for concurrent use.
type memory struct {
	dockerfile.Resolver // nil knows no image

	mu     sync.Mutex // guards images
	images []knownImage
}

// A knownImage is a recorded answer. Image is zero if nothing was known.
type knownImage struct {
	ref, platform string
	dockerfile.Image
}

// Resolve implements [dockerfile.Resolver].
func (m *memory) Resolve(ctx context.Context, ref, platform string) (dockerfile.Image, error) {
	if m.Resolver == nil {
		return dockerfile.Image{}, dockerfile.ErrUnknownImage
	}
	image, err := m.Resolver.Resolve(ctx, ref, platform)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.images = append(m.images, knownImage{ref, platform, image})
	return image, err
}

// Current reports whether s would be computed alike now, as far as r is concerned: r
// answers for every base image as it did then, and describes the same worker.
func (s *Selection) Current(ctx context.Context, r dockerfile.Resolver) bool {
	if !s.worker.Equal(dockerfile.WorkerOf(r)) {
		return false
	}
	for _, known := range s.images {
		image, err := r.Resolve(ctx, known.ref, known.platform)
		if err != nil {
			image = dockerfile.Image{}
		}
		if image.Digest != known.Digest || !bytes.Equal(image.Config, known.Config) {
			return false
		}
	}
	return true
}

// Unaided reports whether the plan of s is what [Definition.Convert] makes of the plan's text: nothing
// was known of base images, nor of a builder, and no other definition's Dockerfile is in it, which may
// have been another since.
func (s *Selection) Unaided() bool {
	return len(s.Definition.Linked) == 0 && s.worker.Equal(dockerfile.Worker{}) && !slices.ContainsFunc(s.images, func(known knownImage) bool {
		return known.Digest != "" || len(known.Config) > 0
	})
}
