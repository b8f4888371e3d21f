package image

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// gather collects the images that an index refers to, directly or through others.
type gather struct {
	store  store
	images []candidate
	absent []string // platforms of images that an index has, but not the store
}

// index adds the images of an index, which from refers to. depth is how many indexes lead to it.
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
			g.images = append(g.images, c) // it is read if it is chosen, to save requests to a registry
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

// isIndex reports whether a document is an index. mediaType is the one that refers to it.
func (d document) isIndex(mediaType string) bool {
	return len(d.Manifests) > 0 || mediaType == ocispec.MediaTypeImageIndex || mediaType == dockerList ||
		d.MediaType == ocispec.MediaTypeImageIndex || d.MediaType == dockerList
}

// isAttestation reports whether a manifest is not an image, but has statements about one (moby/buildkit:
// docs/attestations/attestation-storage.md).
func isAttestation(d ocispec.Descriptor) bool {
	return d.Annotations["vnd.docker.reference.type"] != "" || d.Platform != nil && d.Platform.OS == "unknown"
}

// refOf returns the name that an index has for an image. containerd and BuildKit write the whole name, others a tag.
func refOf(annotations map[string]string) string {
	if name := annotations["io.containerd.image.name"]; name != "" {
		return name
	}
	return annotations[ocispec.AnnotationRefName]
}

// merge returns the annotations of both. Of a key in both, it has the nearer value.
func merge(nearer, farther map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, farther)
	maps.Copy(all, nearer)
	return all
}

// platformName returns a platform as "linux/arm64", or "unknown".
func platformName(p *ocispec.Platform) string {
	if p == nil || p.OS == "" && p.Architecture == "" {
		return "unknown"
	}
	return platforms.Format(platforms.Normalize(*p))
}

// platforms returns the platforms of all images, sorted, without duplicates.
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

// choose returns the image that is asked for, the one that fits the platform best. If there is none, or if there are
// images of several names, the error lists them.
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

// tagged returns the images of a tag. Without a tag, it returns all of them, and an error if they are of several names.
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

// several lists names for an error, of many only the first.
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
