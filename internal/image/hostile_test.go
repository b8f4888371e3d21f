package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stokerd/stoker/internal/image"
)

// fails analyses an archive as a file and as a stream, and wants the same words in both errors.
func fails(t *testing.T, archive []byte, want string) {
	t.Helper()
	_, err := open(t, write(t, filepath.Join(t.TempDir(), "image.tar"), archive), image.OpenOptions{}, options(t, image.AllSecrets))
	_, streamed := image.Analyse(t.Context(), image.Stream("image.tar", bytes.NewReader(archive), image.OpenOptions{}), options(t, image.AllSecrets))
	for how, err := range map[string]error{"file": err, "stream": streamed} {
		var e *image.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, want) {
			t.Errorf("as a %s: error %v, want %q", how, err, want)
		}
	}
}

func simple(t *testing.T) *layout {
	return one(t, picture{compression: "gzip", layers: [][]byte{pack(t, file{name: "a", body: strings.Repeat("text\n", 9999)}), pack(t, file{name: "b", body: "b"})}})
}

// layerName returns the path of the nth layer's blob.
func (l *layout) layerName(n int) string { return l.names[n] }

func TestDamagedImages(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(t *testing.T, l *layout)
		want   string
	}{
		"a bit of a layer": {func(_ *testing.T, l *layout) {
			data := l.files[l.layerName(1)]
			data[4] ^= 1 // in gzip's header: all decompresses as before
		}, "layer 2 (sha256:"},
		"a layer cut off": {func(_ *testing.T, l *layout) {
			l.files[l.layerName(0)] = l.files[l.layerName(0)][:100]
		}, "it is cut off"},
		"a layer missing": {func(_ *testing.T, l *layout) {
			delete(l.files, l.layerName(0))
			l.names = l.names[1:]
		}, "it is not there"},
		"another content": {func(t *testing.T, l *layout) {
			l.files[l.layerName(1)] = squeeze(t, "gzip", pack(t, file{name: "evil", body: "b"}))
		}, "it is damaged"},
		"no layer at all": {func(_ *testing.T, l *layout) { l.files[l.layerName(1)] = []byte("hello, I am no tar") }, "layer 2"},
		"a damaged manifest": {func(_ *testing.T, l *layout) {
			for name, data := range l.files {
				if bytes.Contains(data, []byte(`"layers":[{`)) {
					l.files[name] = bytes.Replace(data, []byte(`"size":`), []byte(`"size":1`), 1)
				}
			}
		}, "has another digest"},
		"an index that is none": {func(_ *testing.T, l *layout) {
			l.files["index.json"] = []byte(`{"manifests":[{"digest":"../../etc"}]}`)
		}, "is no digest"},
		"an index without end": {func(_ *testing.T, l *layout) { l.files["index.json"] = []byte(`{"manifests":`) }, "does not parse"},
		"no image in it":       {func(_ *testing.T, l *layout) { l.files["index.json"] = []byte(`{}`) }, "no image is in it"},
	} {
		t.Run(name, func(t *testing.T) {
			l := simple(t)
			c.damage(t, l)
			fails(t, l.tar(t), c.want)
		})
	}
	fails(t, []byte("no tar at all"), "it is no archive of an image")
	fails(t, nil, "no image is in it")
}

// Indexes that lead ever deeper, and links in a circle, end.
func TestCircles(t *testing.T) {
	l := &layout{}
	d := l.image(t, picture{})
	for range 9 {
		d = l.json(t, ocispec.MediaTypeImageIndex, ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{d}})
	}
	fails(t, l.index(t, d).tar(t), "deep")

	config := `{"rootfs":{"diff_ids":["` + digest.FromString("").String() + `"]}}`
	fails(t, pack(t, file{name: "a/layer.tar -> ../b/layer.tar"}, file{name: "b/layer.tar -> ../a/layer.tar"},
		file{name: "c.json", body: config}, file{name: "manifest.json", body: `[{"Config":"c.json","Layers":["a/layer.tar"]}]`}), "circle")
	fails(t, pack(t, file{name: "c.json", body: `{}`}, file{name: "manifest.json", body: `[{"Config":"c.json","Layers":["a/layer.tar"]}]`}), "its configuration tells of 0")
}

// Names that lead out of the root are counted inside of it, and said.
func TestNamesOutOfTheRoot(t *testing.T) {
	a := analyse(t, one(t, picture{layers: [][]byte{pack(t,
		file{name: "../../etc/passwd", body: "123"}, file{name: "/abs//./file", body: "4"}, file{name: "a/../b", body: "5"},
		file{name: ".wh...", body: ""}, file{name: "x/.wh..wh.plnk", body: ""},
	)}}).tar(t), options(t, image.AppSecrets))
	var got []string
	for _, f := range a.Biggest {
		got = append(got, f.Path)
	}
	if want := "etc/passwd abs/file b"; strings.Join(got, " ") != want {
		t.Errorf("files %v, want %s", got, want)
	}
	if len(a.Notes) != 1 || !strings.Contains(a.Notes[0], "1 entries have names that lead out of the root") {
		t.Errorf("notes %q, want one that 1 entry leads out of the root", a.Notes)
	}
}

func TestNamesBeyondAnySystem(t *testing.T) {
	long := one(t, picture{layers: [][]byte{pack(t, file{name: strings.Repeat("a/", 3000) + "b", body: "x"})}})
	fails(t, long.tar(t), "has a name of 6001 bytes")
	deep := one(t, picture{layers: [][]byte{pack(t, file{name: strings.Repeat("a/", 2000) + "b", body: "x"})}})
	a := analyse(t, deep.tar(t), options(t, image.AppSecrets))
	nodes, err := a.Tree(1, 0, 0)
	if err != nil || len(nodes) != 2002 {
		t.Errorf("Tree of a deep path: %d nodes, error %v; want 2002", len(nodes), err)
	}
}

// zeros is an endless file.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A small blob that unpacks to a lot is read through, and the memory does not follow (TestMemory measures it).
func TestBomb(t *testing.T) {
	const size = 256 << 20
	var buf bytes.Buffer
	sum := digest.SHA256.Digester()
	z, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(io.MultiWriter(z, sum.Hash()))
	if err := w.WriteHeader(&tar.Header{Name: "bomb", Size: size, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	l := &layout{}
	layer := l.blob(ocispec.MediaTypeImageLayerGzip, buf.Bytes())
	config := l.json(t, ocispec.MediaTypeImageConfig, ocispec.Image{RootFS: ocispec.RootFS{DiffIDs: []digest.Digest{sum.Digest()}}})
	m := ocispec.Manifest{Config: config, Layers: []ocispec.Descriptor{layer}}
	m.SchemaVersion = 2
	l.index(t, l.json(t, ocispec.MediaTypeImageManifest, m))
	a := analyse(t, l.tar(t), options(t, image.AllSecrets))
	if a.Unpacked != size || a.Stored > size/100 {
		t.Errorf("unpacked %d bytes, stored %d; want %d, and less than a hundredth of it", a.Unpacked, a.Stored, int64(size))
	}
}

// endless is a layer that never ends, until its reader gives up.
type endless struct {
	cancel context.CancelFunc
	left   int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left--; e.left == 0 {
		e.cancel()
	}
	return zeros{}.Read(p)
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	header := bytes.Buffer{}
	if err := tar.NewWriter(&header).WriteHeader(&tar.Header{Name: "blobs/sha256/x", Size: 1 << 40, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	inner := pack(t, file{name: "a", body: strings.Repeat("a", 5000)})
	archive := io.MultiReader(&header, bytes.NewReader(inner), &endless{cancel, 100})
	if _, err := image.Analyse(ctx, image.Stream("endless", archive, image.OpenOptions{}), options(t, image.AppSecrets)); !errors.Is(err, context.Canceled) {
		t.Errorf("Analyse after cancel: error %v, want %v", err, context.Canceled)
	}
}

// FuzzLayer holds that no layer, whatever its bytes, breaks the reading, and that a layer whose digest is not what the
// configuration says is refused.
func FuzzLayer(f *testing.F) {
	for _, files := range handmade() {
		data := pack(f, files...)
		for _, how := range []string{"none", "gzip", "zstd"} {
			f.Add(squeeze(f, how, data))
		}
	}
	f.Add([]byte("BZh9"))
	lower := pack(f, handmade()[0]...)
	f.Fuzz(func(t *testing.T, upper []byte) {
		l := &layout{}
		m := ocispec.Manifest{Layers: []ocispec.Descriptor{l.blob(ocispec.MediaTypeImageLayer, lower), l.blob(ocispec.MediaTypeImageLayer, upper)}}
		m.SchemaVersion = 2
		m.Config = l.json(t, ocispec.MediaTypeImageConfig, ocispec.Image{
			RootFS: ocispec.RootFS{DiffIDs: []digest.Digest{digest.FromBytes(lower), digest.FromString("another tar")}},
		})
		l.index(t, l.json(t, ocispec.MediaTypeImageManifest, m))
		a, err := open(t, l.dir(t), image.OpenOptions{}, options(t, image.AllSecrets))
		if err == nil {
			t.Fatalf("the wrong digest of a layer went unnoticed: %d layers", len(a.Layers))
		}
		if e := (*image.Error)(nil); !errors.As(err, &e) {
			t.Fatalf("error %v (%T), want an *image.Error", err, err)
		}
	})
}

// FuzzArchive holds the same of whole archives, and that what comes out adds up.
func FuzzArchive(f *testing.F) {
	f.Add(simple2(f))
	f.Add(dockerTar(f, picture{layers: [][]byte{pack(f, handmade()[0]...), pack(f, handmade()[1]...)}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := image.Analyse(t.Context(), image.Stream("fuzzed", bytes.NewReader(data), image.OpenOptions{}), options(t, image.AllSecrets))
		var e *image.Error
		if err != nil {
			if !errors.As(err, &e) {
				t.Fatalf("an error that is none of the image's: %v", err)
			}
			return
		}
		var unpacked, hidden int64
		for n, l := range a.Layers {
			unpacked, hidden = unpacked+l.Unpacked, hidden+l.Hidden
			nodes, err := a.Tree(n+1, 0, 0)
			if err != nil || nodes[0].Bytes != l.Unpacked || nodes[0].Hidden != l.Hidden {
				t.Fatalf("layer %d: tree %+v, layer %+v, %v", n+1, nodes[0], l, err)
			}
		}
		if unpacked != a.Unpacked || hidden != a.Hidden || a.Visible < 0 || a.Efficiency < 0 || a.Efficiency > 1 {
			t.Fatalf("sums: %d and %d in layers, %d and %d in all, efficiency %v", unpacked, hidden, a.Unpacked, a.Hidden, a.Efficiency)
		}
	})
}

func simple2(t testing.TB) []byte {
	return one(t, picture{compression: "zstd", layers: [][]byte{pack(t, handmade()[0]...), pack(t, handmade()[1]...)}}).tar(t)
}
