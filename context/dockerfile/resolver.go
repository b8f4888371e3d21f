package dockerfile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// ErrUnknownImage is what a [Resolver] returns for an image that it does not
// know. Convert then assumes an image without ONBUILD, ENV, WORKDIR and USER,
// and the plan says so.
var ErrUnknownImage = errors.New("image configuration not known")

// A Resolver knows the configuration of base images. It is called while a
// Dockerfile is converted and must answer from memory.
type Resolver interface {
	// Resolve returns what ref ("docker.io/library/node:20") is on platform
	// ("linux/amd64"), or ErrUnknownImage. Safe for concurrent use.
	Resolve(ctx context.Context, ref, platform string) (Image, error)
}

// A WorkerResolver is a [Resolver] that also knows what is to build.
type WorkerResolver interface {
	Resolver
	// Worker returns it, the zero Worker while that is not known. Safe for concurrent
	// use.
	Worker() Worker
}

// WorkerOf returns what builds, as far as r knows.
func WorkerOf(r Resolver) Worker {
	if w, ok := r.(WorkerResolver); ok {
		return w.Worker()
	}
	return Worker{}
}

// An Image is what a build needs to know of a base image.
type Image struct {
	Digest string // of the manifest or index that the reference named; may be empty
	Config []byte // the image configuration, JSON
	// Partial says that Config lacks the environment: see Remember.
	Partial bool
}

// Kept is what may be kept of an image's configuration on disk: not its
// environment, which may hold what nobody meant to be there.
type Kept struct {
	OnBuild          []string
	WorkingDir, User string
}

// Keep returns what may be kept of i.
func (i Image) Keep() Kept {
	var config struct{ Config Kept }
	if json.Unmarshal(i.Config, &config) != nil {
		return Kept{}
	}
	return config.Config
}

// Remember returns the image that was kept, for platform ("linux/amd64"). Its
// digest is left out: the reference may stand for another one by now.
func Remember(platform string, kept Kept) (Image, error) {
	p, err := platforms.Parse(platform)
	if err != nil {
		return Image{}, fmt.Errorf("remember an image for %q: %w", platform, err)
	}
	var config map[string]any
	if err := json.Unmarshal(emptyConfig(p), &config); err != nil {
		return Image{}, fmt.Errorf("remember an image: %w", err)
	}
	config["config"] = kept
	text, err := json.Marshal(config)
	if err != nil {
		return Image{}, fmt.Errorf("remember an image: %w", err)
	}
	return Image{Config: text, Partial: true}, nil
}

func resolve(ctx context.Context, r Resolver, ref, platform string) (Image, error) {
	if r == nil {
		return Image{}, nil
	}
	image, err := r.Resolve(ctx, ref, platform)
	if errors.Is(err, ErrUnknownImage) {
		return Image{}, nil
	}
	return image, err
}

// emptyConfig describes an image of which nothing is known. Without a layer
// the frontend would take it for scratch and drop FROM (BuildKit:
// dockerfile2llb.resolveBaseImage).
func emptyConfig(platform ocispecs.Platform) []byte {
	config := ocispecs.Image{Platform: platform}
	config.RootFS.Type = "layers"
	config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, "sha256:0000000000000000000000000000000000000000000000000000000000000000")
	dt, err := json.Marshal(config)
	if err != nil {
		return nil // a struct of plain strings always marshals
	}
	return dt
}
