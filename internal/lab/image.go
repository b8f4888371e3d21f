package lab

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// file is one entry of a layer: a symbolic link if link is set, a directory if its path ends in a
// slash, else a regular file.
type file struct {
	path    string // relative to the root, without a leading slash
	mode    int64
	content []byte
	link    string
}

// epoch is the modification time of all files in the lab's images: equal content has equal digests.
var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// layer returns a layer with files in the order of their paths, and with the directories above them.
func layer(files []file) (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	all := slices.Clone(files)
	seen := map[string]bool{}
	for _, f := range files {
		seen[f.path] = true
	}
	for _, f := range files {
		for d := path.Dir(strings.TrimSuffix(f.path, "/")); d != "." && !seen[d+"/"]; d = path.Dir(d) {
			seen[d+"/"] = true
			all = append(all, file{path: d + "/", mode: 0o755})
		}
	}
	slices.SortFunc(all, func(a, b file) int { return strings.Compare(a.path, b.path) })
	for _, f := range all {
		h := &tar.Header{Name: f.path, Mode: f.mode, ModTime: epoch, Typeflag: tar.TypeReg, Size: int64(len(f.content))}
		switch {
		case f.link != "":
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.link, 0o777
		case strings.HasSuffix(f.path, "/"):
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.path, err)
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack a layer: %w", err)
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buf.Bytes())), nil
	})
}

// newImage returns an image of this machine's platform with the given layers and settings.
func newImage(config v1.Config, layers ...v1.Layer) (v1.Image, error) {
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		Created:      v1.Time{Time: epoch},
		Config:       config,
		RootFS:       v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, fmt.Errorf("make an image: %w", err)
	}
	for _, l := range layers {
		img, err = mutate.Append(img, mutate.Addendum{
			Layer:   l,
			History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "stoker lab"},
		})
		if err != nil {
			return nil, fmt.Errorf("make an image: %w", err)
		}
	}
	return img, nil
}

// WithFiles returns img with one more layer of files, given as content by absolute path, with mode
// 0644. A test that pushes it under the name of img moves the tag.
func WithFiles(img v1.Image, files map[string]string) (v1.Image, error) {
	var entries []file
	for p, content := range files {
		entries = append(entries, file{path: strings.TrimPrefix(p, "/"), mode: 0o644, content: []byte(content)})
	}
	l, err := layer(entries)
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(img, l)
}
