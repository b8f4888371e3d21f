package store

import (
	"context"
	"time"

	"go.etcd.io/bbolt"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A BaseImage is what a reference resolved to. It has no environment: values
// of env variables are never stored. Nor has it the reference itself, which may
// hold the value of an arg.
type BaseImage struct {
	Key        string    `json:"key"` // keyed digest of platform and reference
	OnBuild    []string  `json:"onBuild,omitempty"`
	WorkingDir string    `json:"workingDir,omitempty"`
	User       string    `json:"user,omitempty"`
	Resolved   time.Time `json:"resolved"` // looked up, or in use: see [Store.ForgetImages]
}

// PutBaseImage stores what ref, as the Dockerfile's FROM with args expanded, is on
// platform (os/arch[/variant]), replacing what it was before. The image's Key is
// filled in here.
func (s *Store) PutBaseImage(ref, platform string, i BaseImage) error {
	i.Key = keyed(s.key, platform, ref)
	return images.put(s, i)
}

// ForgetImages drops the base images that nobody stored for some time, and returns how
// many. Who goes on using one stores it again.
func (s *Store) ForgetImages(now time.Time, unused time.Duration) (forgotten int, err error) {
	err = s.update(images.name, func(tx *bbolt.Tx) error {
		all, err := images.list(tx, "")
		if err != nil {
			return err
		}
		for _, i := range all {
			if now.Sub(i.Resolved) <= unused {
				continue
			}
			if err := images.remove(tx, i); err != nil {
				return err
			}
			forgotten++
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return forgotten, nil
}

// Images are the base images that were stored, in memory: a resolver for when no
// builder has been asked yet. What it knows is as old as the last look-up, and
// lacks the environment. It is immutable and safe for concurrent use.
type Images struct {
	key   [32]byte
	known map[string]BaseImage
}

var _ dockerfile.Resolver = (*Images)(nil)

// Images reads the base images.
func (s *Store) Images() (*Images, error) {
	list, err := images.all(s, "")
	if err != nil {
		return nil, err
	}
	i := &Images{key: s.key, known: map[string]BaseImage{}}
	for _, image := range list {
		i.known[image.Key] = image
	}
	return i, nil
}

// Resolve implements [dockerfile.Resolver].
func (i *Images) Resolve(_ context.Context, ref, platform string) (dockerfile.Image, error) {
	image, ok := i.known[keyed(i.key, platform, ref)]
	if !ok {
		return dockerfile.Image{}, dockerfile.ErrUnknownImage
	}
	return dockerfile.Remember(platform, dockerfile.Kept{
		OnBuild: image.OnBuild, WorkingDir: image.WorkingDir, User: image.User,
	})
}
