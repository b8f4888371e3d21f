package buildctx

import (
	"bytes"
	"context"
	"sync"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A memory notes what a resolver was asked, and what it knew.
type memory struct {
	dockerfile.Resolver // nil knows nothing

	mu     sync.Mutex // guards images
	images []knownImage
}

// A knownImage is what was known of an image; the zero Image for nothing.
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

// Current reports whether r knows of the base images, and of what is to build, what
// it knew when s was computed.
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
