package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// frontendTags are what `# syntax=docker/dockerfile:…` lines name in practice. All are one version
// here, the pinned one.
var frontendTags = []string{"docker/dockerfile:1", "docker/dockerfile:latest", "docker/dockerfile:1.4", "docker/dockerfile:1.7"}

// frontendLabels are those of the real image (BuildKit:
// frontend/dockerfile/cmd/dockerfile-frontend/Dockerfile): what the frontend can do, and that it runs without network.
var frontendLabels = map[string]string{
	"moby.buildkit.frontend.network.none": "true",
	"moby.buildkit.frontend.caps": "moby.buildkit.frontend.inputs,moby.buildkit.frontend.subrequests," +
		"moby.buildkit.frontend.contexts,moby.buildkit.frontend.gitquerystring,moby.buildkit.frontend.contexts.zstd",
}

// pushFrontend puts the Dockerfile frontend into the registry.
func (l *Lab) pushFrontend(ctx context.Context, bins string) error {
	img, err := frontendImage(bins)
	if err != nil {
		return err
	}
	for _, tag := range frontendTags {
		if _, err := l.Push(ctx, tag, img); err != nil {
			return err
		}
	}
	return nil
}

// frontendImage returns the frontend's image. It keeps it as an OCI layout beside the program, because
// packing 40 MB takes longer than all the rest of a start. Processes may pack it at the same time: they
// write the same content, and the first rename counts.
func frontendImage(bins string) (v1.Image, error) {
	dir := filepath.Join(bins, "dockerfile-frontend.oci")
	if img, err := layoutImage(dir); err == nil {
		return img, nil
	}
	content, err := os.ReadFile(filepath.Join(bins, "dockerfile-frontend"))
	if err != nil {
		return nil, fmt.Errorf("read the Dockerfile frontend: %w", err)
	}
	l, err := layer([]file{{path: "bin/dockerfile-frontend", mode: 0o755, content: content}})
	if err != nil {
		return nil, err
	}
	img, err := newImage(v1.Config{
		Env:        []string{defaultPath},
		Labels:     frontendLabels,
		Entrypoint: []string{"/bin/dockerfile-frontend"},
	}, l)
	if err != nil {
		return nil, err
	}
	return img, saveLayout(dir, img)
}

// saveLayout writes an image as an OCI layout to dir. If dir exists, saveLayout leaves it as it is.
func saveLayout(dir string, img v1.Image) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "layout-")
	if err != nil {
		return fmt.Errorf("keep an image: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	to, err := layout.Write(tmp, empty.Index)
	if err != nil {
		return fmt.Errorf("keep an image: %w", err)
	}
	if err := to.AppendImage(img); err != nil {
		return fmt.Errorf("keep an image: %w", err)
	}
	_ = os.Rename(tmp, dir) // fails if another process was first, with the same content
	return nil
}

// layoutImage reads the only image of the OCI layout at dir.
func layoutImage(dir string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("read a kept image: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("read a kept image: %w", err)
	}
	if len(manifest.Manifests) != 1 {
		return nil, fmt.Errorf("read a kept image: %s holds %d images, not one", dir, len(manifest.Manifests))
	}
	return index.Image(manifest.Manifests[0].Digest)
}
