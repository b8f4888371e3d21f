package verify

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Bounds of what an archive may hold.
const (
	maxJSON      = 16 << 20  // bytes of a manifest, index or configuration; registries accept 4 MiB
	maxDocuments = 256 << 20 // bytes of all of these
	maxBlobs     = 10_000    // also the number of images
	maxDepth     = 4         // levels of indexes
)

// An archive is an OCI image layout that was read from a tar stream. Its members
// may come in any order, so all are kept until the end: documents, which are the
// blobs in JSON, as text, and layers in the form in which they are applied.
type archive struct {
	documents map[digest.Digest][]byte
	layers    map[digest.Digest]*layer
	broken    map[digest.Digest]error // of the other blobs, why they are neither
	index     []byte                  // index.json; nil if there is none
	size      int                     // bytes of documents
}

// readArchive reads an archive to its end. The layers in known are taken from there.
func readArchive(ctx context.Context, r io.Reader, known map[digest.Digest]*layer) (*archive, error) {
	a := &archive{
		documents: map[digest.Digest][]byte{}, layers: map[digest.Digest]*layer{}, broken: map[digest.Digest]error{},
	}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Name == ocispecs.ImageIndexFile {
			if a.index, err = document(in); err != nil {
				return nil, fmt.Errorf("%s: %w", h.Name, err)
			}
			continue
		}
		algorithm, hex, ok := strings.Cut(strings.TrimPrefix(h.Name, ocispecs.ImageBlobsDir+"/"), "/")
		if !ok || h.Typeflag != tar.TypeReg || !strings.HasPrefix(h.Name, ocispecs.ImageBlobsDir+"/") {
			continue
		}
		if len(a.documents)+len(a.layers)+len(a.broken) == maxBlobs {
			return nil, fmt.Errorf("more than %d blobs", maxBlobs)
		}
		if err := a.add(ctx, digest.NewDigestFromEncoded(digest.Algorithm(algorithm), hex), in, known); err != nil {
			return nil, err
		}
	}
}

// add reads a blob as what it looks like. If that fails, the error goes into a.broken,
// and matters only if an image turns out to need the blob.
func (a *archive) add(ctx context.Context, name digest.Digest, r io.Reader, known map[digest.Digest]*layer) error {
	if l, ok := known[name]; ok {
		a.layers[name] = l
		return nil
	}
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.Peek(512) // the size of a tar header
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	// A tar begins with a file name, which may begin with "{" as a document does.
	isTar := len(head) == 512 && bytes.HasPrefix(head[257:], []byte("ustar"))
	if !isTar && bytes.HasPrefix(head, []byte("{")) {
		text, err := document(in)
		if err != nil {
			a.broken[name] = err
			return ctx.Err()
		}
		a.size += len(text)
		if a.size > maxDocuments {
			return fmt.Errorf("more than %d bytes of documents", maxDocuments)
		}
		a.documents[name] = text
		return nil
	}
	l, err := readLayer(ctx, in)
	if err != nil {
		a.broken[name] = err
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return nil
	}
	a.layers[name] = l
	return nil
}

// document reads a document to its end. It is an error if that is too long.
func document(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxJSON+1))
	if err == nil && len(text) > maxJSON {
		err = fmt.Errorf("a document of more than %d bytes", maxJSON)
	}
	return text, err
}

// decode decodes the document with the digest name.
func (a *archive) decode(name digest.Digest, into any) error {
	text, ok := a.documents[name]
	if !ok {
		if err := a.broken[name]; err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return fmt.Errorf("%s is not in the archive", name)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// images returns the images of the archive, one for each platform.
func (a *archive) images() ([]Image, error) {
	if a.index == nil {
		return nil, errors.New("the archive has no index")
	}
	var top ocispecs.Index
	if err := json.Unmarshal(a.index, &top); err != nil {
		return nil, fmt.Errorf("%s: %w", ocispecs.ImageIndexFile, err)
	}
	return a.imagesOf(top, 0)
}

// imagesOf returns the images that an index refers to, directly or through others.
// depth is how many indexes lead to this one.
func (a *archive) imagesOf(index ocispecs.Index, depth int) ([]Image, error) {
	if depth == maxDepth {
		return nil, errors.New("an index that leads to itself")
	}
	var list []Image
	for _, d := range index.Manifests {
		if attests(d) {
			continue
		}
		var either struct {
			ocispecs.Manifest
			Manifests []ocispecs.Descriptor `json:"manifests"`
		}
		if err := a.decode(d.Digest, &either); err != nil {
			return nil, err
		}
		if either.Manifests != nil {
			more, err := a.imagesOf(ocispecs.Index{Manifests: either.Manifests}, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
			continue
		}
		image, err := a.image(either.Manifest)
		if err != nil {
			return nil, err
		}
		list = append(list, image)
		if len(list) > maxBlobs {
			return nil, fmt.Errorf("more than %d images", maxBlobs)
		}
	}
	return list, nil
}

// attests reports whether a descriptor is of an attestation: a manifest that is not an
// image, but has statements about one (BuildKit: docs/attestations/attestation-storage.md).
func attests(d ocispecs.Descriptor) bool {
	return d.Annotations["vnd.docker.reference.type"] != "" || d.Platform != nil && d.Platform.OS == "unknown"
}

// image applies the layers of a manifest.
func (a *archive) image(m ocispecs.Manifest) (Image, error) {
	var doc struct {
		ocispecs.Platform
		Config json.RawMessage `json:"config"`
	}
	if err := a.decode(m.Config.Digest, &doc); err != nil {
		return Image{}, fmt.Errorf("configuration: %w", err)
	}
	config, err := newConfig(doc.Config)
	if err != nil {
		return Image{}, fmt.Errorf("configuration: %w", err)
	}
	t := newTree()
	image := Image{Platform: doc.Platform, Config: config, layers: map[digest.Digest]*layer{}}
	for i, d := range m.Layers {
		l, ok := a.layers[d.Digest]
		if !ok {
			if err := a.broken[d.Digest]; err != nil {
				return Image{}, fmt.Errorf("layer %d: %w", i+1, err)
			}
			return Image{}, fmt.Errorf("layer %d is not in the archive", i+1)
		}
		if err := t.apply(l); err != nil {
			return Image{}, fmt.Errorf("layer %d: %w", i+1, err)
		}
		image.layers[d.Digest] = l
	}
	image.Files = t.files()
	return image, nil
}
