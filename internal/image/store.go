package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Bounds of the documents of an image, which are its manifests and configurations.
const (
	maxDocument  = 16 << 20  // bytes of one; registries refuse manifests of more than 4 MiB
	maxDocuments = 128 << 20 // bytes of all in one archive
	maxLayers    = 1000      // Docker allows 127
	maxManifests = 1000
	maxDepth     = 4 // levels of indexes
	maxLinks     = 8 // links from one to another in an archive
)

// A store holds the documents and layers of images. A key is a digest or, in an archive, a path. Errors name the key.
type store interface {
	// document returns a manifest or a configuration. It is not checked against its digest: see decode.
	document(ctx context.Context, key string) ([]byte, error)
	// blob opens a layer as it is stored.
	blob(ctx context.Context, key string) (io.ReadCloser, error)
}

// errMissing means that the store does not have what an index or a manifest refers to.
var errMissing = errors.New("it is not there")

// place returns the path of a key in an archive or layout (image-spec: image-layout.md).
func place(key string) string {
	if d, err := digest.Parse(key); err == nil {
		return path.Join("blobs", d.Algorithm().String(), d.Encoded())
	}
	rel, _ := clean(key)
	return rel
}

// readDocument reads a document. It returns an error if that is longer than maxDocument.
func readDocument(r io.Reader, key string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("%s is larger than %d MB, which no manifest and no configuration is", key, maxDocument>>20)
	}
	return data, nil
}

// folder is a store: an OCI layout in a directory. Symbolic links in it are not followed out of it.
type folder struct{ root *os.Root }

func (f folder) open(key string) (*os.File, error) {
	name := place(key)
	info, err := f.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", key, errMissing)
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no file")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return f.root.Open(name)
}

func (f folder) document(_ context.Context, key string) ([]byte, error) {
	file, err := f.open(key)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readDocument(file, key)
}

func (f folder) blob(_ context.Context, key string) (io.ReadCloser, error) { return f.open(key) }

func (f folder) has(key string) bool {
	_, err := f.root.Stat(place(key))
	return err == nil
}

// archive is a store: a tar file in which any file can be read without reading those before it.
type archive struct {
	file  *os.File
	files map[string]span   // by path
	links map[string]string // the path that a link refers to, by its own
}

// span is a part of a file, in bytes.
type span struct{ at, size int64 }

// indexArchive finds the files and links in a tar file, which it reads from its current offset.
func indexArchive(ctx context.Context, f *os.File) (*archive, error) {
	a := &archive{file: f, files: map[string]span{}, links: map[string]string{}}
	t := tar.NewReader(f)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return nil, cutOff(err)
		}
		name, _ := clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			at, err := f.Seek(0, io.SeekCurrent)
			if err != nil {
				return nil, err
			}
			a.files[name] = span{at, h.Size}
		case tar.TypeSymlink, tar.TypeLink:
			a.links[name] = linkTarget(h)
		}
		if len(a.files)+len(a.links) > 100*maxLayers {
			return nil, fmt.Errorf("it holds more than %d files, which no archive of images does", 100*maxLayers)
		}
	}
}

// linkTarget returns the path that a link in an archive refers to. `docker save` of engines before 25 writes links for
// equal layers.
func linkTarget(h *tar.Header) string {
	if h.Typeflag == tar.TypeLink || strings.HasPrefix(h.Linkname, "/") {
		rel, _ := clean(h.Linkname)
		return rel
	}
	rel, _ := clean(path.Join(path.Dir(h.Name), h.Linkname))
	return rel
}

// follow follows links from a name, and returns the name of the file that they lead to.
func follow(links map[string]string, name string) (string, error) {
	for range maxLinks {
		to, ok := links[name]
		if !ok {
			return name, nil
		}
		name = to
	}
	return "", errors.New("its links lead in a circle")
}

func (a *archive) section(key string) (*io.SectionReader, error) {
	name, err := follow(a.links, place(key))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	at, ok := a.files[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", key, errMissing)
	}
	return io.NewSectionReader(a.file, at.at, at.size), nil
}

func (a *archive) document(_ context.Context, key string) ([]byte, error) {
	r, err := a.section(key)
	if err != nil {
		return nil, err
	}
	return readDocument(r, key)
}

func (a *archive) blob(_ context.Context, key string) (io.ReadCloser, error) {
	r, err := a.section(key)
	return io.NopCloser(r), err
}

func (a *archive) has(key string) bool {
	_, err := a.section(key)
	return err == nil
}

// stream is a store: an archive that could be read only once. Its layers may come before the manifest that refers to
// them, so all that may be one were scanned as they came. Everything is kept by path.
type stream struct {
	documents map[string][]byte
	layers    map[string]*layerScan
	links     map[string]string
	problems  map[string]error // why a blob is not a layer, which matters only if an image refers to it
}

// readStream reads an archive, which may be compressed as a whole, to its end.
func (s *scan) readStream(ctx context.Context, r io.Reader) (*stream, error) {
	st := &stream{documents: map[string][]byte{}, layers: map[string]*layerScan{}, links: map[string]string{}, problems: map[string]error{}}
	plainTar, err := uncompressed(ctx, r)
	if err != nil {
		return nil, err
	}
	defer plainTar.Close()
	t, held := tar.NewReader(plainTar), 0
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			// An engine fails to send the image if the padding after the end is not read.
			_, err = io.Copy(io.Discard, plainTar)
			return st, err
		}
		if err != nil {
			return nil, cutOff(err)
		}
		name, _ := clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			n, err := s.streamed(ctx, st, name, t, h.Size)
			if err != nil {
				return nil, err
			}
			held += n
		case tar.TypeSymlink, tar.TypeLink:
			st.links[name] = linkTarget(h)
		}
		if held > maxDocuments || len(st.layers)+len(st.links)+len(st.documents)+len(st.problems) > 100*maxLayers {
			return nil, errors.New("it holds more manifests and configurations than any archive of images does")
		}
	}
}

// streamed reads one file of an archive into st, and returns how many of its bytes are kept as they are.
func (s *scan) streamed(ctx context.Context, st *stream, name string, t io.Reader, size int64) (int, error) {
	head := make([]byte, min(size, 512))
	if _, err := io.ReadFull(t, head); err != nil {
		return 0, cutOff(err)
	}
	r := io.MultiReader(bytes.NewReader(head), t)
	trimmed := bytes.TrimLeft(head, " \t\r\n")
	switch {
	case len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '['):
		if size > maxDocument {
			return 0, nil // too large for a manifest or a configuration: perhaps an SBOM
		}
		data, err := readDocument(r, name)
		st.documents[name] = data
		return len(data), err
	case compressionOf(head) != plain, isTar(head):
		l, err := s.layer(ctx, r, digest.SHA256)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err != nil {
			st.problems[name] = err
			return 0, nil
		}
		st.layers[name] = l
	}
	return 0, nil
}

// isTar reports whether a file that begins with head is a tar. It may be empty.
func isTar(head []byte) bool {
	const magic = 257
	return len(head) >= magic+5 && string(head[magic:magic+5]) == "ustar" || len(head) == 512 && bytes.Count(head, []byte{0}) == 512 ||
		isOldTar(head)
}

// isOldTar reports whether head is a tar header of the old format (v7), which has a checksum but no magic number.
func isOldTar(head []byte) bool {
	if len(head) < 512 {
		return false
	}
	_, err := tar.NewReader(bytes.NewReader(head)).Next()
	return err == nil
}

// uncompressed reads an archive that may be compressed as a whole.
func uncompressed(ctx context.Context, r io.Reader) (io.ReadCloser, error) {
	b, err := unpack(ctx, r, digest.SHA256)
	if err != nil {
		return nil, cutOff(err)
	}
	return whole{b}, nil
}

// whole is the decompressed content of an archive.
type whole struct{ *blob }

func (w whole) Read(p []byte) (int, error) { return w.content.Read(p) }

func (w whole) Close() error {
	w.close()
	return nil
}

func (s *stream) document(_ context.Context, key string) ([]byte, error) { return s.text(key) }

// text returns a document.
func (s *stream) text(key string) ([]byte, error) {
	name, err := follow(s.links, place(key))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	data, ok := s.documents[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", key, errMissing)
	}
	return data, nil
}

func (s *stream) has(key string) bool {
	_, err := s.text(key)
	return err == nil
}

func (s *stream) blob(_ context.Context, key string) (io.ReadCloser, error) {
	return nil, fmt.Errorf("%s: a stream is read once", key)
}

// scanned returns what was read of a layer.
func (s *stream) scanned(key string) (*layerScan, error) {
	name, err := follow(s.links, place(key))
	if err != nil {
		return nil, err
	}
	if l, ok := s.layers[name]; ok {
		return l, nil
	}
	if err, ok := s.problems[name]; ok {
		return nil, err
	}
	return nil, errMissing
}

// decode reads a document as JSON, and returns its text. If the key is a digest, it is an error if the document has
// another one.
func decode(ctx context.Context, s store, key string, into any) ([]byte, error) {
	data, err := s.document(ctx, key)
	if err != nil {
		return nil, err
	}
	if d, err := digest.Parse(key); err == nil && d != d.Algorithm().FromBytes(data) {
		return nil, fmt.Errorf("%s: its content has another digest, %s: it is damaged", key, d.Algorithm().FromBytes(data))
	}
	if err := json.Unmarshal(data, into); err != nil {
		return nil, fmt.Errorf("%s does not parse: %w", key, err)
	}
	return data, nil
}
