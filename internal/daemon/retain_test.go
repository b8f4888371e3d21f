package daemon

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/context/dockerfile"
)

// TestImagesInUseAreKept has two base images that were stored long ago, one of which
// the daemon uses.
func TestImagesInUseAreKept(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "stoker.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const platform = "linux/amd64"
	for _, ref := range []string{"used", "unused"} {
		if err := s.PutBaseImage(ref, platform, store.BaseImage{Resolved: time.Now().Add(-2 * keepUnwatched)}); err != nil {
			t.Fatal(err)
		}
	}
	d := &Daemon{store: s, log: slog.New(slog.DiscardHandler), images: newImages(nil)}
	d.images.known[image{"used", platform}] = answer{dockerfile.Image{Config: []byte("{}")}, time.Now()}
	if n, err := d.forgetImages(); n != 1 || err != nil {
		t.Errorf("forgetImages = %d, %v; want 1 image and no error", n, err)
	}
	left, err := s.Images()
	if err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]error{"used": nil, "unused": dockerfile.ErrUnknownImage} {
		if _, err := left.Resolve(t.Context(), ref, platform); !errors.Is(err, want) {
			t.Errorf("resolve the image %q: error %v, want %v", ref, err, want)
		}
	}
}
