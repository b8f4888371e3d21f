package store

import (
	"context"
	"time"

	"go.etcd.io/bbolt"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A BaseImage is what an image reference resolved to. It lacks the environment, whose
// values must not be stored, and the reference itself, which may contain the value of
// an arg.
type BaseImage struct {
	Key        string    `json:"key"` // keyed digest of platform and reference
	OnBuild    []string  `json:"onBuild,omitempty"`
	WorkingDir string    `json:"workingDir,omitempty"`
	User       string    `json:"user,omitempty"`
	Resolved   time.Time `json:"resolved"` // when it was last looked up or used
}

// PutBaseImage stores what ref, the reference in a FROM with args expanded, resolved to
// for a platform (os/arch[/variant]), replacing what was stored before. It sets i.Key.
func (s *Store) PutBaseImage(ref, platform string, i BaseImage) error {
	i.Key = keyed(s.key, platform, ref)
	return images.put(s, i)
}

// ForgetImages deletes the base images that were last looked up or used longer ago than
// unused, and returns their number. To keep an image that is in use, store it again.
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

// Images are the stored base images in memory. They serve as a resolver as long as no
// builder was asked. The answers are as old as the last look-up and lack the
// environment. It is immutable and safe for concurrent use.
type Images struct {
	key   [32]byte
	known map[string]BaseImage
}

var _ dockerfile.Resolver = (*Images)(nil)

// Images returns the stored base images.
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
