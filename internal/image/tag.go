package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ErrNoTag is of a name that a registry says it does not have.
var ErrNoTag = errors.New("the registry has no such image")

// A Tag is what a name stood for in a registry when it was asked.
type Tag struct {
	registry registry
	top      ocispec.Descriptor
	manifest []byte
}

// OpenTag asks a registry, with the credentials that docker has for it, what the name
// stands for: any manifest, also of what is no image. [ErrNoTag] if it has none.
func OpenTag(ctx context.Context, text string) (*Tag, error) {
	ref, err := name.ParseReference(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no name of an image: %w", text, err)
	}
	r := registry{ref.Context()}
	top, err := remote.Get(ref, r.options(ctx)...)
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return nil, fmt.Errorf("%s: %w", text, ErrNoTag)
	}
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", text, err)
	}
	return &Tag{r, ocispec.Descriptor{Digest: digest.Digest(top.Digest.String()), Size: top.Size}, top.Manifest}, nil
}

// Top is the manifest or index that the name stood for.
func (t *Tag) Top() ocispec.Descriptor { return t.top }

// Pinned is the name with the digest of [Tag.Top].
func (t *Tag) Pinned() string { return t.registry.repository.Digest(t.top.Digest.String()).Name() }

// Read returns a manifest or a configuration, which is checked against its digest.
func (t *Tag) Read(ctx context.Context, d ocispec.Descriptor) ([]byte, error) {
	if d.Digest == t.top.Digest {
		return t.manifest, nil
	}
	return t.registry.document(ctx, d.Digest.String())
}
