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

// ErrNoTag means that a registry does not have the name that it was asked for.
var ErrNoTag = errors.New("the registry has no such image")

// A Tag is what a name stood for in a registry when [OpenTag] asked. It is safe for concurrent use.
type Tag struct {
	registry registry
	top      ocispec.Descriptor
	manifest []byte // of top
}

// OpenTag asks a registry, with the credentials that docker has for it, which manifest or index a name stands for. That
// need not be one of an image. The error is [ErrNoTag] if the registry does not have the name.
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

// Top returns the digest and size of the manifest or index that the name stood for.
func (t *Tag) Top() ocispec.Descriptor { return t.top }

// Pinned returns the name with the digest of [Tag.Top] in place of a tag.
func (t *Tag) Pinned() string { return t.registry.repository.Digest(t.top.Digest.String()).Name() }

// Read returns a manifest or a configuration of the same repository.
func (t *Tag) Read(ctx context.Context, d ocispec.Descriptor) ([]byte, error) {
	if d.Digest == t.top.Digest {
		return t.manifest, nil
	}
	return t.registry.document(ctx, d.Digest.String())
}
