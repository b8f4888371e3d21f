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

// Bounds of what is read of an image's own descriptions.
const (
	maxDocument  = 16 << 20  // of one manifest or configuration; registries refuse more than 4 MiB
	maxDocuments = 128 << 20 // of all that one archive may hold of them
	maxLayers    = 1000      // Docker stops at 127
	maxManifests = 1000
	maxDepth     = 4 // of indexes in indexes
	maxLinks     = 8 // of links in an archive
)

// A store gives an image's documents and blobs by digest, or by path in an archive. Errors name the key.
type store interface {
	// document returns a manifest or a configuration, not checked against its digest.
	document(ctx context.Context, key string) ([]byte, error)
	// blob opens a layer.
	blob(ctx context.Context, key string) (io.ReadCloser, error)
}

// errMissing is of what an index or a manifest names and the store does not have.
var errMissing = errors.New("it is not there")

// place is where an archive keeps what a key names (image-spec: image-layout.md).
func place(key string) string {
	if d, err := digest.Parse(key); err == nil {
		return path.Join("blobs", d.Algorithm().String(), d.Encoded())
	}
	rel, _ := clean(key)
	return rel
}

// readDocument reads what is no larger than a document may be.
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

// folder is an OCI layout in a directory. Nothing outside of it is read, whatever links lie in it.
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

// archive is a tar file that can be read at any place.
type archive struct {
	file  *os.File
	files map[string]span
	links map[string]string
}

type span struct{ at, size int64 }

// indexArchive finds out where everything in a tar file lies.
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

// linkTarget returns where a link in an archive leads: `docker save` of engines before 25 links equal layers.
func linkTarget(h *tar.Header) string {
	if h.Typeflag == tar.TypeLink || strings.HasPrefix(h.Linkname, "/") {
		rel, _ := clean(h.Linkname)
		return rel
	}
	rel, _ := clean(path.Join(path.Dir(h.Name), h.Linkname))
	return rel
}

// follow returns the file that a name leads to.
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

// stream is an archive that comes once, layers before the manifest that names them: so every blob is looked at when it
// comes, and found again by its name.
type stream struct {
	documents map[string][]byte
	layers    map[string]*layerScan
	links     map[string]string
	problems  map[string]error // of blobs that are no layers; only one that is asked for matters
}

// readStream reads an archive to its end.
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
			// What follows is padding; an engine wants it read.
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

// streamed takes one file of an archive, and returns how many bytes of it are kept.
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
			return 0, nil // an SBOM perhaps: no manifest, and no configuration
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

// isTar reports whether a file begins as a tar, the empty one included.
func isTar(head []byte) bool {
	const magic = 257
	return len(head) >= magic+5 && string(head[magic:magic+5]) == "ustar" || len(head) == 512 && bytes.Count(head, []byte{0}) == 512 ||
		isOldTar(head)
}

// isOldTar knows a header without magic (v7) by its checksum's form.
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

// whole is an archive's stream, decompressed.
type whole struct{ *blob }

func (w whole) Read(p []byte) (int, error) { return w.content.Read(p) }

func (w whole) Close() error {
	w.close()
	return nil
}

func (s *stream) document(_ context.Context, key string) ([]byte, error) { return s.text(key) }

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

// scanned returns what the layer was found to hold.
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

// decode reads a document, and its digest if the key is one.
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
