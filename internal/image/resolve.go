package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Docker's own names of what OCI calls manifest and index.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// resolved is what the manifest and the configuration say about an image for one platform.
type resolved struct {
	digest      digest.Digest // of the manifest; "" in an archive that has none
	annotations map[string]string
	config      dockerspec.DockerOCIImage
	configBytes []byte
	layers      []layerRef
	platforms   []string // of all images in the index
}

// layerRef refers to a layer in a store, and has the digests that it should have.
type layerRef struct {
	key    string
	digest digest.Digest // of the blob; "" if it is not known
	diffID digest.Digest // of the uncompressed content
}

// want says which image of several is asked for.
type want struct {
	platform string // "" for that of this machine, or the only one
	tag      string // in an archive or layout; "" for any
}

// document is a manifest or an index. Which one it is depends on the fields that are set.
type document struct {
	SchemaVersion int                  `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	ArtifactType  string               `json:"artifactType"`
	Manifests     []ocispec.Descriptor `json:"manifests"`
	ocispec.Manifest
}

// holder is a store that may lack images that its index refers to, as an archive may.
type holder interface{ has(key string) bool }

// candidate is an image that an index refers to.
type candidate struct {
	key         string
	document    document          // zero if it was not read yet
	annotations map[string]string // of all descriptors that refer to it
	platform    *ocispec.Platform // nil if no descriptor says
	ref         string            // name or tag; "" for none
}

// resolve finds the image that is asked for in a layout or an archive.
func resolve(ctx context.Context, s store, w want) (*resolved, error) {
	var top document
	_, err := decode(ctx, s, "index.json", &top)
	switch {
	case err == nil:
		return resolveIndex(ctx, s, top.Manifests, w)
	case !errors.Is(err, errMissing):
		return nil, err
	}
	var list []dockerImage
	if _, err := decode(ctx, s, "manifest.json", &list); err != nil {
		if errors.Is(err, errMissing) {
			return nil, bad("an OCI layout has an index.json, what `docker save` writes a manifest.json", "no image is in it")
		}
		return nil, err
	}
	return resolveDocker(ctx, s, list, w)
}

// resolveIndex finds the image that is asked for among those that an index refers to.
func resolveIndex(ctx context.Context, s store, list []ocispec.Descriptor, w want) (*resolved, error) {
	g := gather{store: s}
	if err := g.index(ctx, list, candidate{}, 0); err != nil {
		return nil, err
	}
	c, err := g.choose(w)
	if err != nil {
		return nil, err
	}
	if c.document.SchemaVersion == 0 {
		if _, err := decode(ctx, s, c.key, &c.document); err != nil {
			return nil, err
		}
	}
	r, err := resolveManifest(ctx, s, c)
	if err != nil {
		return nil, err
	}
	r.platforms = g.platforms()
	return r, r.check(w)
}

// parsePlatform parses a platform. "" is the one that an engine on this machine runs by default.
func parsePlatform(text string) (ocispec.Platform, error) {
	if text == "" {
		text = "linux/" + runtime.GOARCH // also on a Mac, where containers run in a virtual machine
		if runtime.GOOS == "windows" {
			text = "windows/" + runtime.GOARCH
		}
	}
	p, err := platforms.Parse(text)
	if err != nil {
		return p, bad("write it like linux/arm64", "--platform %s: %v", text, err)
	}
	return p, nil
}

// resolveManifest reads the configuration of an image.
func resolveManifest(ctx context.Context, s store, c candidate) (*resolved, error) {
	d := c.document
	switch {
	case d.SchemaVersion == 1:
		return nil, bad("pull and push it with a current Docker", "it has a manifest of schema 1, which is no longer in use")
	case d.Config.Digest == "":
		return nil, bad("", "it is no image: its manifest names no configuration")
	case d.Config.Digest.Validate() != nil:
		return nil, fmt.Errorf("%q in its manifest is no digest", d.Config.Digest)
	case !isImageConfig(d.Config.MediaType):
		return nil, bad("", "it is no image, but an artifact of the type %s", d.Config.MediaType)
	}
	r := &resolved{annotations: merge(d.Annotations, c.annotations)}
	if parsed, err := digest.Parse(c.key); err == nil {
		r.digest = parsed
	}
	var err error
	if r.configBytes, err = decode(ctx, s, d.Config.Digest.String(), &r.config); err != nil {
		return nil, fmt.Errorf("configuration %w", err)
	}
	for _, l := range d.Layers {
		if l.Digest.Validate() != nil {
			return nil, fmt.Errorf("%q in its manifest is no digest", l.Digest)
		}
		r.layers = append(r.layers, layerRef{key: l.Digest.String(), digest: l.Digest})
	}
	return r, r.match()
}

// isImageConfig reports whether a manifest with such a configuration is one of an image, and not of another artifact.
func isImageConfig(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageConfig || mediaType == "application/vnd.docker.container.image.v1+json" || mediaType == ""
}

// match sets the diffID of each layer from the configuration. It returns an error if they do not fit.
func (r *resolved) match() error {
	ids := r.config.RootFS.DiffIDs
	if len(ids) != len(r.layers) {
		return fmt.Errorf("its manifest has %d layers, and its configuration tells of %d", len(r.layers), len(ids))
	}
	if len(ids) > maxLayers {
		return fmt.Errorf("it has %d layers; no engine takes more than %d", len(ids), maxLayers)
	}
	for i, id := range ids {
		if id.Validate() != nil || id.Algorithm() != digest.SHA256 {
			return fmt.Errorf("%q in its configuration is no digest of a layer's content", id)
		}
		r.layers[i].diffID = id
	}
	return nil
}

// dockerImage is one image in what `docker save` writes (moby/docker-image-spec: v1.2, "Combined Image JSON").
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// resolveDocker finds the image that is asked for in an archive that `docker save` wrote.
func resolveDocker(ctx context.Context, s store, list []dockerImage, w want) (*resolved, error) {
	var names []string
	var found []dockerImage
	for _, img := range list {
		names = append(names, img.RepoTags...)
		if w.tag == "" || slices.ContainsFunc(img.RepoTags, func(tag string) bool { return tag == w.tag || strings.HasSuffix(tag, ":"+w.tag) }) {
			found = append(found, img)
		}
	}
	switch {
	case len(found) == 0:
		return nil, bad("", "no image in it is named %s: there are %s", w.tag, several(names))
	case len(found) > 1:
		return nil, bad("add :NAME:TAG to the path, as in docker-archive:FILE:NAME:TAG", "several images are in it: %s", several(names))
	}
	r := &resolved{}
	var err error
	if r.configBytes, err = s.document(ctx, found[0].Config); err != nil {
		return nil, fmt.Errorf("configuration %w", err)
	}
	if err := json.Unmarshal(r.configBytes, &r.config); err != nil {
		return nil, fmt.Errorf("configuration %s does not parse: %w", found[0].Config, err)
	}
	for _, l := range found[0].Layers {
		r.layers = append(r.layers, layerRef{key: l})
	}
	r.platforms = []string{platformName(&r.config.Platform)}
	if err := r.match(); err != nil {
		return nil, err
	}
	return r, r.check(w)
}

// check returns an error if another platform was asked for than the one in the configuration.
func (r *resolved) check(w want) error {
	if w.platform == "" || r.config.Architecture == "" {
		return nil
	}
	wanted, err := parsePlatform(w.platform)
	if err != nil {
		return err
	}
	if !platforms.Only(wanted).Match(r.config.Platform) {
		return bad("choose one with --platform", "no image for %s: there is %s", w.platform, platformName(&r.config.Platform))
	}
	return nil
}

// resolveTop finds the image that is asked for, given the manifest or index that its name stands for. d is the digest
// that data should have, or "".
func resolveTop(ctx context.Context, s store, data []byte, d digest.Digest, w want) (*resolved, error) {
	var top document
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, fmt.Errorf("its manifest does not parse: %w", err)
	}
	if d == "" {
		d = digest.FromBytes(data)
	}
	if d != d.Algorithm().FromBytes(data) {
		return nil, fmt.Errorf("its manifest has another digest than %s: it is damaged", d)
	}
	if top.isIndex(top.MediaType) {
		return resolveIndex(ctx, s, top.Manifests, w)
	}
	r, err := resolveManifest(ctx, s, candidate{key: d.String(), document: top})
	if err != nil {
		return nil, err
	}
	r.platforms = []string{platformName(&r.config.Platform)}
	return r, r.check(w)
}
