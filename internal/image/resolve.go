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

// resolved is an image of one platform: what its documents say, before a layer is read.
type resolved struct {
	digest      digest.Digest // of the manifest; "" in an archive that has none
	annotations map[string]string
	config      dockerspec.DockerOCIImage
	configBytes []byte
	layers      []layerRef
	platforms   []string // all that there are
}

// layerRef is where a layer is, and what it should be.
type layerRef struct {
	key       string
	digest    digest.Digest // "" if only the content's is known
	diffID    digest.Digest
	mediaType string
}

// want is which image of several is asked for.
type want struct {
	platform string // "" for this machine's, or the only one
	tag      string // of an archive or layout with several images
}

// document is a manifest or an index, whichever it turns out to be.
type document struct {
	SchemaVersion int                  `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	ArtifactType  string               `json:"artifactType"`
	Manifests     []ocispec.Descriptor `json:"manifests"`
	ocispec.Manifest
}

// holder is a store that can tell what it has: an archive may lack images that its index names.
type holder interface{ has(key string) bool }

// candidate is one image that an index leads to.
type candidate struct {
	key         string
	document    document          // empty if it was not read yet
	annotations map[string]string // of the descriptors that lead to it, the nearest first
	platform    *ocispec.Platform
	ref         string
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

// resolveIndex finds the image that is asked for below an index.
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

// gather collects the images that an index leads to.
type gather struct {
	store  store
	images []candidate
	absent []string // named by an index, and not in the store
}

func (g *gather) index(ctx context.Context, list []ocispec.Descriptor, from candidate, depth int) error {
	if depth > maxDepth || len(list) > maxManifests || len(g.images) > maxManifests {
		return fmt.Errorf("its indexes hold more than %d manifests or lie more than %d deep, which no image's do", maxManifests, maxDepth)
	}
	for _, d := range list {
		if isAttestation(d) {
			continue
		}
		c := candidate{key: d.Digest.String(), platform: d.Platform, ref: from.ref, annotations: merge(d.Annotations, from.annotations)}
		if c.platform == nil {
			c.platform = from.platform
		}
		if c.ref == "" {
			c.ref = refOf(d.Annotations)
		}
		if d.Digest.Validate() != nil {
			return fmt.Errorf("%q in its index is no digest", d.Digest)
		}
		if local, ok := g.store.(holder); ok && !local.has(c.key) {
			g.absent = append(g.absent, platformName(c.platform))
			continue
		}
		if d.MediaType == ocispec.MediaTypeImageManifest || d.MediaType == dockerManifest {
			g.images = append(g.images, c) // a registry need not be asked for those that nobody wants
			continue
		}
		if _, err := decode(ctx, g.store, c.key, &c.document); err != nil {
			return err
		}
		if c.document.isIndex(d.MediaType) {
			if err := g.index(ctx, c.document.Manifests, c, depth+1); err != nil {
				return err
			}
			continue
		}
		g.images = append(g.images, c)
	}
	return nil
}

func (d document) isIndex(mediaType string) bool {
	return len(d.Manifests) > 0 || mediaType == ocispec.MediaTypeImageIndex || mediaType == dockerList ||
		d.MediaType == ocispec.MediaTypeImageIndex || d.MediaType == dockerList
}

// isAttestation knows what BuildKit puts beside images (moby/buildkit: docs/attestations/attestation-storage.md).
func isAttestation(d ocispec.Descriptor) bool {
	return d.Annotations["vnd.docker.reference.type"] != "" || d.Platform != nil && d.Platform.OS == "unknown"
}

// refOf returns the name that an index gives an image: containerd and BuildKit write the whole one beside the tag.
func refOf(annotations map[string]string) string {
	if name := annotations["io.containerd.image.name"]; name != "" {
		return name
	}
	return annotations[ocispec.AnnotationRefName]
}

func merge(nearer, farther map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range []map[string]string{farther, nearer} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

func platformName(p *ocispec.Platform) string {
	if p == nil || p.OS == "" && p.Architecture == "" {
		return "unknown"
	}
	return platforms.Format(platforms.Normalize(*p))
}

func (g *gather) platforms() []string {
	var names []string
	for _, c := range g.images {
		if c.platform != nil {
			names = append(names, platformName(c.platform))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// choose picks the image that is asked for; which ones there are is in the error if that is not clear.
func (g *gather) choose(w want) (candidate, error) {
	images, err := g.tagged(w.tag)
	if err != nil {
		return candidate{}, err
	}
	if len(images) == 1 && (w.platform == "" || images[0].platform == nil) {
		return images[0], nil
	}
	wanted, err := parsePlatform(w.platform)
	if err != nil {
		return candidate{}, err
	}
	matcher := platforms.Only(wanted)
	best := -1
	for i, c := range images {
		if c.platform == nil || !matcher.Match(*c.platform) {
			continue
		}
		if best < 0 || matcher.Less(*c.platform, *images[best].platform) {
			best = i
		}
	}
	if best < 0 {
		there := "no image is in it"
		if names := g.platforms(); len(names) > 0 {
			there = "there are " + strings.Join(names, ", ")
		} else if len(g.absent) > 0 {
			there = "it names " + strings.Join(g.absent, ", ") + ", and does not hold them"
		}
		return candidate{}, bad("choose one with --platform", "no image for %s: %s", platforms.Format(wanted), there)
	}
	return images[best], nil
}

// tagged returns the images of one name. Those of several names are not mixed up.
func (g *gather) tagged(tag string) ([]candidate, error) {
	var images []candidate
	var names []string
	for _, c := range g.images {
		if tag == "" || c.ref == tag || strings.HasSuffix(c.ref, ":"+tag) {
			images = append(images, c)
		}
		if c.ref != "" && !slices.Contains(names, c.ref) {
			names = append(names, c.ref)
		}
	}
	if tag != "" && len(images) == 0 && len(g.images) > 0 {
		return nil, bad("", "no image in it is named %s: there are %s", tag, several(names))
	}
	if tag == "" && len(names) > 1 {
		digests := map[string]bool{}
		for _, c := range images {
			digests[c.key] = true
		}
		if len(digests) > len(g.platforms()) {
			return nil, bad("add :TAG to the path, as in oci:DIR:TAG", "several images are in it: %s", several(names))
		}
	}
	return images, nil
}

func several(names []string) string {
	if len(names) == 0 {
		return "none with a name"
	}
	const enough = 10
	if len(names) > enough {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:enough], ", "), len(names)-enough)
	}
	return strings.Join(names, ", ")
}

func parsePlatform(text string) (ocispec.Platform, error) {
	if text == "" {
		text = "linux/" + runtime.GOARCH // containers of a Mac are Linux too
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

// resolveManifest reads what a manifest names.
func resolveManifest(ctx context.Context, s store, c candidate) (*resolved, error) {
	d := c.document
	switch {
	case d.SchemaVersion == 1:
		return nil, bad("pull and push it with a current Docker", "it has a manifest of schema 1, which is no longer in use")
	case d.Config.Digest == "":
		return nil, bad("", "it is no image: its manifest names no configuration")
	case d.Config.Digest.Validate() != nil:
		return nil, fmt.Errorf("%q in its manifest is no digest", d.Config.Digest)
	case d.ArtifactType != "" && !isImageConfig(d.Config.MediaType), !isImageConfig(d.Config.MediaType):
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
		r.layers = append(r.layers, layerRef{key: l.Digest.String(), digest: l.Digest, mediaType: l.MediaType})
	}
	return r, r.match()
}

func isImageConfig(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageConfig || mediaType == "application/vnd.docker.container.image.v1+json" || mediaType == ""
}

// match gives each layer the digest that its content should have.
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

// check compares a platform that was asked for with what the configuration says.
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

// resolveTop finds the image below a manifest or index that is at hand.
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
