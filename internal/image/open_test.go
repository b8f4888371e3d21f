package image_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stokerd/stoker/internal/image"
)

// several is a layout with an image for each of two platforms, a platform that it lacks, and an attestation.
func several(t testing.TB) *layout {
	t.Helper()
	l := &layout{}
	var list []ocispec.Descriptor
	for _, arch := range []string{"amd64", "arm64"} {
		p := picture{layers: [][]byte{pack(t, file{name: arch, body: arch})}, platform: ocispec.Platform{OS: "linux", Architecture: arch}}
		list = append(list, l.image(t, p))
	}
	absent := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Platform: &ocispec.Platform{OS: "linux", Architecture: "s390x"}, Digest: "sha256:" + absentHex}
	attestation := l.json(t, ocispec.MediaTypeImageManifest, ocispec.Manifest{})
	attestation.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	attestation.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	index := l.json(t, ocispec.MediaTypeImageIndex, ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: append(list, absent, attestation)})
	return l.index(t, index)
}

const absentHex = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func TestPlatforms(t *testing.T) {
	dir := several(t).dir(t)
	for platform, want := range map[string]string{"linux/amd64": "amd64", "linux/arm64": "arm64", "linux/arm64/v8": "arm64"} {
		a, err := open(t, dir, image.OpenOptions{Platform: platform}, options(t, image.NoSecrets))
		if err != nil {
			t.Fatal(err)
		}
		if a.Biggest[0].Path != want || strings.Join(a.Platforms, " ") != "linux/amd64 linux/arm64" {
			t.Errorf("%s: files %v, platforms %v; want the file %s, and both platforms", platform, a.Biggest, a.Platforms, want)
		}
	}
	for platform, want := range map[string]string{
		"linux/s390x": "no image for linux/s390x: there are linux/amd64, linux/arm64", "windows/amd64": "there are linux/amd64, linux/arm64",
		"no/such/thing/at/all": "--platform no/such/thing/at/all",
	} {
		_, err := open(t, dir, image.OpenOptions{Platform: platform}, options(t, image.NoSecrets))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", platform, err, want)
		}
	}
}

// TestNamesInALayout checks that several images for one platform are told apart by name.
func TestNamesInALayout(t *testing.T) {
	l := &layout{}
	var list []ocispec.Descriptor
	for _, tag := range []string{"one", "two"} {
		d := l.image(t, picture{layers: [][]byte{pack(t, file{name: tag, body: tag})}})
		d.Annotations = map[string]string{ocispec.AnnotationRefName: tag, "io.containerd.image.name": "example.com/shop:" + tag}
		list = append(list, d)
	}
	dir := l.index(t, list...).dir(t)
	_, err := open(t, dir, image.OpenOptions{}, options(t, image.NoSecrets))
	if err == nil || !strings.Contains(err.Error(), "several images are in it: example.com/shop:one, example.com/shop:two") {
		t.Errorf("without a name: error %v, want one that lists both", err)
	}
	a, err := open(t, "oci:"+dir+":two", image.OpenOptions{}, options(t, image.NoSecrets))
	if err != nil || a.Biggest[0].Path != "two" {
		t.Errorf("with the name two: %v, error %v; want the image with the file two", a, err)
	}
	if _, err = open(t, "oci:"+dir+":three", image.OpenOptions{}, options(t, image.NoSecrets)); err == nil || !strings.Contains(err.Error(), "no image in it is named three") {
		t.Errorf("with the name three: error %v, want that there is no such image", err)
	}
}

// serve is a registry with an image under shop:1, asked by the name and by docker://.
func serve(t *testing.T, l *layout) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	put := func(url, mediaType string, data []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(string(data)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", mediaType)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			t.Fatalf("PUT %s: %s", url, resp.Status)
		}
	}
	for name, data := range l.files {
		if hex, ok := strings.CutPrefix(name, "blobs/sha256/"); ok {
			resp, err := http.Post(server.URL+"/v2/shop/blobs/uploads/", "", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			put(server.URL+resp.Header.Get("Location")+"?digest="+url.QueryEscape("sha256:"+hex), "application/octet-stream", data)
			if strings.Contains(string(data), `"mediaType":"`+ocispec.MediaTypeImageManifest) && strings.Contains(string(data), `"layers"`) {
				put(server.URL+"/v2/shop/manifests/sha256:"+hex, ocispec.MediaTypeImageManifest, data)
			}
		}
	}
	put(server.URL+"/v2/shop/manifests/1", ocispec.MediaTypeImageIndex, l.files["index.json"])
	return host + "/shop:1"
}

func TestRegistry(t *testing.T) {
	p := picture{compression: "zstd"}
	for _, files := range handmade() {
		p.layers = append(p.layers, pack(t, files...))
	}
	ref := serve(t, one(t, p))
	noEngine := func(context.Context) (net.Conn, error) { return nil, errors.New("none here") }
	for _, spelt := range []string{ref, "docker://" + ref} {
		a, err := open(t, spelt, image.OpenOptions{Engine: noEngine}, options(t, image.NoSecrets))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plainly(t, p.layers), of(a)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", spelt, diff)
		}
	}
	var e *image.Error
	_, err := open(t, ref[:len(ref)-1]+"2", image.OpenOptions{Engine: noEngine}, options(t, image.NoSecrets))
	if !errors.As(err, &e) || e.Unreachable || !strings.Contains(e.Message, "has no such image; and the Docker Engine does not answer: none here") {
		t.Errorf("a name that is nowhere: error %v, want one of both registry and engine that is not Unreachable", err)
	}
	_, err = open(t, "docker://127.0.0.1:1/shop", image.OpenOptions{}, options(t, image.NoSecrets))
	if !errors.As(err, &e) || !e.Unreachable || !strings.Contains(e.Message, "127.0.0.1:1 does not answer") {
		t.Errorf("a registry that does not answer: error %v, want an Unreachable one that names it", err)
	}
}

// engine is the part of a Docker Engine's API that is asked for.
func engine(t *testing.T, images map[string][]byte) func(context.Context) (net.Conn, error) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "engine.sock")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /images/", func(w http.ResponseWriter, r *http.Request) {
		rest := strings.TrimPrefix(r.URL.Path, "/images/")
		name, what := rest[:strings.LastIndexByte(rest, '/')], rest[strings.LastIndexByte(rest, '/')+1:]
		data, ok := images[name]
		switch {
		case !ok:
			http.Error(w, `{"message":"No such image"}`, http.StatusNotFound)
		case what == "json":
			_, _ = io.WriteString(w, "{}")
		case r.URL.Query().Get("platform") != "" && !strings.Contains(r.URL.Query().Get("platform"), `"architecture":"amd64"`):
			http.Error(w, `{"message":"image with reference shop was found but does not provide the specified platform"}`, http.StatusNotFound)
		default:
			_, _ = w.Write(data)
		}
	})
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "unix", socket) }
}

func TestEngine(t *testing.T) {
	p := picture{}
	for _, files := range handmade() {
		p.layers = append(p.layers, pack(t, files...))
	}
	dial := engine(t, map[string][]byte{"example.com/team/shop:1": dockerTar(t, p)})
	for _, ref := range []string{"example.com/team/shop:1", "docker-daemon:example.com/team/shop:1"} {
		a, err := open(t, ref, image.OpenOptions{Engine: dial}, options(t, image.NoSecrets))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plainly(t, p.layers), of(a)); diff != "" || a.From != "the Docker Engine" {
			t.Errorf("from %s (-want +got)\n%s", a.From, diff)
		}
	}
	_, err := open(t, "docker-daemon:shop:2", image.OpenOptions{Engine: dial}, options(t, image.NoSecrets))
	if err == nil || !strings.Contains(err.Error(), "the Docker Engine has no such image") {
		t.Errorf("a name that the Engine does not have: error %v, want that it has no such image", err)
	}
	_, err = open(t, "docker-daemon:example.com/team/shop:1", image.OpenOptions{Engine: dial, Platform: "linux/arm64"}, options(t, image.NoSecrets))
	if err == nil || !strings.Contains(err.Error(), "does not provide the specified platform") {
		t.Errorf("a platform that the Engine does not have: error %v, want the Engine's own", err)
	}
}
