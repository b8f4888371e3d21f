package image

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
)

// registry is a store: a repository in a registry, which is asked with the credentials that docker has for it.
type registry struct{ repository name.Repository }

func (r registry) options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("stoker")}
}

// fromRegistry opens an image of a registry, of which it reads the manifest or index.
func (i *Image) fromRegistry(ctx context.Context, text string) error {
	ref, err := name.ParseReference(text)
	if err != nil {
		return bad("for example node:20 or ghcr.io/owner/name:tag", "it is no name of an image: %v", err)
	}
	r := registry{ref.Context()}
	top, err := remote.Get(ref, r.options(ctx)...)
	if err != nil {
		return registryError(ref, err)
	}
	i.from, i.store = "the registry "+ref.Context().RegistryStr(), r
	i.pinned = ref.Context().Digest(top.Digest.String()).Name()
	i.resolve = func(ctx context.Context) (*resolved, error) {
		return resolveTop(ctx, r, top.Manifest, digest.Digest(top.Digest.String()), i.want)
	}
	return nil
}

// registryError returns an [*Error] that says what an error of a registry means.
func registryError(ref name.Reference, err error) error {
	host := ref.Context().RegistryStr()
	var answer *transport.Error
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case !errors.As(err, &answer):
		return &Error{Message: host + " does not answer: " + rootOf(err).Error(), Hint: "check the name and the network", Unreachable: true}
	case answer.StatusCode == http.StatusNotFound:
		return bad("", "%s has no such image", host)
	case answer.StatusCode == http.StatusUnauthorized, answer.StatusCode == http.StatusForbidden:
		return bad("docker login "+host, "%s refuses: there is no such image, or it takes other credentials", host)
	case answer.StatusCode >= http.StatusInternalServerError, answer.StatusCode == http.StatusTooManyRequests:
		return &Error{Message: host + " answers " + http.StatusText(answer.StatusCode), Hint: "try again later", Unreachable: true}
	}
	return bad("", "%s answers: %v", host, answer)
}

func (r registry) document(ctx context.Context, key string) ([]byte, error) {
	ref := r.repository.Digest(key)
	top, err := remote.Get(ref, r.options(ctx)...)
	if err == nil {
		return top.Manifest, nil
	}
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return nil, registryError(ref, err)
	}
	// It is no manifest, so it is a configuration, which registries keep among the blobs.
	body, err := r.blob(ctx, key)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return readDocument(body, key)
}

func (r registry) blob(ctx context.Context, key string) (io.ReadCloser, error) {
	ref := r.repository.Digest(key)
	l, err := remote.Layer(ref, r.options(ctx)...)
	if err != nil {
		return nil, registryError(ref, err)
	}
	body, err := l.Compressed()
	if err != nil {
		return nil, registryError(ref, err)
	}
	return body, nil
}
