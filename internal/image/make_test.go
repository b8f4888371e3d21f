package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stokerd/stoker/context/secrets"
	"github.com/stokerd/stoker/internal/image"
)

// file is one entry of a layer under test: a folder if its name ends in a slash, a symbolic link to what follows " -> ",
// a hard link to what follows " => ".
type file struct {
	name string
	body string
	mode int64
	uid  int
}

func (f file) header() *tar.Header {
	h := &tar.Header{Name: f.name, Mode: f.mode, Uid: f.uid, Size: int64(len(f.body)), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	if f.mode == 0 {
		h.Mode = 0o644
	}
	if name, to, ok := strings.Cut(f.name, " -> "); ok {
		h.Name, h.Linkname, h.Typeflag, h.Mode = name, to, tar.TypeSymlink, 0o777
	} else if name, to, ok := strings.Cut(f.name, " => "); ok {
		h.Name, h.Linkname, h.Typeflag = name, to, tar.TypeLink
	} else if strings.HasSuffix(f.name, "/") {
		h.Typeflag = tar.TypeDir
		if f.mode == 0 {
			h.Mode = 0o755
		}
	}
	return h
}

// pack makes a layer's tar.
func pack(t testing.TB, files ...file) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		if err := w.WriteHeader(f.header()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// squeeze compresses a layer.
func squeeze(t testing.TB, how string, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	switch how {
	case "gzip":
		w := gzip.NewWriter(&buf)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	case "zstd":
		w, err := zstd.NewWriter(&buf)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	default:
		return data
	}
	return buf.Bytes()
}

// layout is an OCI layout in the making: paths and contents, in the order in which an archive has them.
type layout struct {
	names []string
	files map[string][]byte
}

func (l *layout) add(name string, data []byte) {
	if l.files == nil {
		l.files = map[string][]byte{}
	}
	if _, ok := l.files[name]; !ok {
		l.names = append(l.names, name)
	}
	l.files[name] = data
}

func (l *layout) blob(mediaType string, data []byte) ocispec.Descriptor {
	d := digest.FromBytes(data)
	l.add("blobs/sha256/"+d.Encoded(), data)
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
}

func (l *layout) json(t testing.TB, mediaType string, v any) ocispec.Descriptor {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return l.blob(mediaType, data)
}

// picture is an image under test.
type picture struct {
	layers      [][]byte // tars
	packed      []packed // more of them, above
	compression string
	config      ocispec.ImageConfig
	history     []ocispec.History
	platform    ocispec.Platform
	annotations map[string]string
}

// packed is a layer of which the tar is too large to be held.
type packed struct {
	data []byte
	tar  digest.Digest
}

// zeroLayer has one file of so many MiB of zeros, in zstd: frames that follow each other are one stream, so that
// one of them need only be repeated.
func zeroLayer(t testing.TB, name string, size int64) packed {
	t.Helper()
	var head bytes.Buffer
	if err := tar.NewWriter(&head).WriteHeader(&tar.Header{Name: name, Size: size << 20, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	block, end := make([]byte, 1<<20), make([]byte, 1024)
	sum := digest.Canonical.Digester()
	for _, part := range slices.Concat([][]byte{head.Bytes()}, slices.Repeat([][]byte{block}, int(size)), [][]byte{end}) {
		if _, err := sum.Hash().Write(part); err != nil {
			t.Fatal(err)
		}
	}
	frame := squeeze(t, "zstd", block)
	return packed{slices.Concat(squeeze(t, "zstd", head.Bytes()), bytes.Repeat(frame, int(size)), squeeze(t, "zstd", end)), sum.Digest()}
}

// image adds an image to the layout and returns its manifest's descriptor.
func (l *layout) image(t testing.TB, p picture) ocispec.Descriptor {
	t.Helper()
	if p.platform.OS == "" {
		p.platform = ocispec.Platform{OS: "linux", Architecture: "amd64"}
	}
	config := ocispec.Image{Platform: p.platform, Config: p.config, History: p.history, RootFS: ocispec.RootFS{Type: "layers"}}
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Annotations: p.annotations}
	m.SchemaVersion = 2
	for _, data := range p.layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromBytes(data))
		m.Layers = append(m.Layers, l.blob(ocispec.MediaTypeImageLayer, squeeze(t, p.compression, data)))
	}
	for _, p := range p.packed {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, p.tar)
		m.Layers = append(m.Layers, l.blob(ocispec.MediaTypeImageLayer, p.data))
	}
	m.Config = l.json(t, ocispec.MediaTypeImageConfig, config)
	d := l.json(t, ocispec.MediaTypeImageManifest, m)
	d.Platform = &p.platform
	return d
}

// index ends the layout.
func (l *layout) index(t testing.TB, list ...ocispec.Descriptor) *layout {
	t.Helper()
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: list}
	index.SchemaVersion = 2
	data, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	l.add("index.json", data)
	l.add("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return l
}

// one is a layout with one image.
func one(t testing.TB, p picture) *layout {
	t.Helper()
	l := &layout{}
	return l.index(t, l.image(t, p))
}

// tar is the layout as an archive.
func (l *layout) tar(t testing.TB) []byte {
	t.Helper()
	var files []file
	for _, name := range l.names {
		files = append(files, file{name: name, body: string(l.files[name])})
	}
	return pack(t, files...)
}

// dir writes the layout to a folder.
func (l *layout) dir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range l.files {
		write(t, filepath.Join(dir, name), data)
	}
	return dir
}

// dockerTar is an image as `docker save` of engines before 25 writes it.
func dockerTar(t testing.TB, p picture) []byte {
	t.Helper()
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}, Config: p.config, History: p.history}
	var files []file
	var names []string
	for i, data := range p.layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromBytes(data))
		name := "layer" + string(rune('a'+i)) + "/layer.tar"
		names = append(names, name)
		files = append(files, file{name: name, body: string(data)})
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{"shop:latest"}, "Layers": names}})
	if err != nil {
		t.Fatal(err)
	}
	return pack(t, append(files, file{name: "config.json", body: string(text)}, file{name: "manifest.json", body: string(manifest)})...)
}

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// analyse reads an archive as a stream.
func analyse(t testing.TB, archive []byte, o image.Options) *image.Analysis {
	t.Helper()
	a, err := image.Analyse(t.Context(), image.Stream("test", bytes.NewReader(archive), image.OpenOptions{}), o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// open analyses what a reference means.
func open(t testing.TB, ref string, oo image.OpenOptions, o image.Options) (*image.Analysis, error) {
	t.Helper()
	img, err := image.Open(t.Context(), ref, oo)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	return image.Analyse(t.Context(), img, o)
}

// scanner is made once for all tests.
var scanner = sync.OnceValues(secrets.New)

// options look for secrets in scope.
func options(t testing.TB, scope image.Scope) image.Options {
	t.Helper()
	s, err := scanner()
	if err != nil {
		t.Fatal(err)
	}
	return image.Options{Secrets: scope, Scanner: s}
}
