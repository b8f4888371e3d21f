package store_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/context/dockerfile"
)

// TestBaseImages stores an image, and resolves it after the store was opened again. Its
// reference, which may contain the value of an arg, must not be in the file.
func TestBaseImages(t *testing.T) {
	file := path(t)
	s := open(t, file)
	const ref, platform = "example.org/sesame:1", "linux/amd64"
	err := s.PutBaseImage(ref, platform, store.BaseImage{OnBuild: []string{"COPY . ."}, WorkingDir: "/app", User: "app", Resolved: epoch})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte("sesame")) {
		t.Errorf("the reference is in the file, or that cannot be read: %v", err)
	}
	s = open(t, file)
	images, err := s.Images()
	if err != nil {
		t.Fatal(err)
	}
	got, err := images.Resolve(t.Context(), ref, platform)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(dockerfile.Kept{OnBuild: []string{"COPY . ."}, WorkingDir: "/app", User: "app"}, got.Keep()); d != "" {
		t.Errorf("kept (-want +got):\n%s", d)
	}
	if !got.Partial || !strings.Contains(string(got.Config), `"diff_ids"`) {
		t.Errorf("partial: %v, config %s; want a partial one with diff_ids", got.Partial, got.Config)
	}
	if _, err := images.Resolve(t.Context(), ref, "linux/arm64"); !errors.Is(err, dockerfile.ErrUnknownImage) {
		t.Errorf("another platform: %v, want ErrUnknownImage", err)
	}
}

func TestForgetImages(t *testing.T) {
	const day, platform = 24 * time.Hour, "linux/amd64"
	s := open(t, path(t))
	for ref, at := range map[string]time.Time{"old": epoch, "used": epoch, "young": epoch.Add(10 * day)} {
		if err := s.PutBaseImage(ref, platform, store.BaseImage{Resolved: at}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutBaseImage("used", platform, store.BaseImage{Resolved: epoch.Add(50 * day)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{60 * day, 0}, {61 * day, 1}, {61 * day, 0}} {
		if n, err := s.ForgetImages(epoch.Add(c.after), 60*day); n != c.want || err != nil {
			t.Errorf("after %v %d are forgotten, %v; want %d", c.after, n, err, c.want)
		}
	}
	left, err := s.Images()
	if err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]error{"old": dockerfile.ErrUnknownImage, "used": nil, "young": nil} {
		if _, err := left.Resolve(t.Context(), ref, platform); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", ref, err, want)
		}
	}
}
