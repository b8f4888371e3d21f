package image

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// OpenOptions say where an image is looked for, and which one of several is meant.
type OpenOptions struct {
	// Platform is the platform of the image, such as "linux/arm64". "" means that of this machine, or the only one
	// that there is.
	Platform string
	// Dir is the directory that relative paths start from; "" means the working directory.
	Dir string
	// Engine connects to the API of a Docker Engine. It is nil if there is none, and NoEngine may then say why.
	Engine   func(context.Context) (net.Conn, error)
	NoEngine error
}

// Image is an image that was found but not read yet. The caller must close it. It can be analysed once.
type Image struct {
	name   string // as given to Open
	from   string // as in Analysis
	pinned string // as in Analysis
	want   want

	// Either stream is set, or store and resolve.
	stream  io.Reader
	store   store
	resolve func(context.Context) (*resolved, error)

	closers []io.Closer
}

// Close closes files and connections of the image. It may be called again.
func (i *Image) Close() error {
	var errs []error
	for _, c := range i.closers {
		errs = append(errs, c.Close())
	}
	i.closers = nil
	return errors.Join(errs...)
}

// Open finds the image that ref names, in the notation of skopeo:
//
//	docker://NAME             a registry
//	docker-daemon:NAME        a Docker Engine's store
//	oci:DIR[:TAG]             an OCI layout
//	oci-archive:FILE[:TAG]    an OCI layout in a tar
//	docker-archive:FILE[:NAME]  what `docker save` writes
//
// Without such a prefix, ref is a path if a file or directory has it. If not, it is a name that is looked for in the
// engine's store, then in its registry. The error is an [*Error] that names ref, or ctx's.
func Open(ctx context.Context, ref string, o OpenOptions) (*Image, error) {
	kind, rest, known := cutPrefix(ref)
	img := &Image{name: ref, want: want{platform: o.Platform}}
	if _, err := parsePlatform(o.Platform); err != nil {
		return nil, err
	}
	var err error
	switch {
	case rest == "":
		return nil, bad("for example node:20, or a path", "%q names no image", ref)
	case kind == "docker":
		err = img.fromRegistry(ctx, strings.TrimPrefix(rest, "//"))
	case kind == "docker-daemon":
		err = img.fromEngine(ctx, rest, o)
	case known:
		rest, img.want.tag = cutTag(o.absolute(rest))
		err = img.fromPath(ctx, rest)
	case isThere(o.absolute(rest)):
		err = img.fromPath(ctx, o.absolute(rest))
	case looksLikePath(rest):
		return nil, bad("", "%s: there is no such file", ref)
	default:
		err = img.fromName(ctx, rest, o)
	}
	if err != nil {
		_ = img.Close()
		return nil, img.wrap(err)
	}
	return img, nil
}

func (o OpenOptions) absolute(name string) string {
	if filepath.IsAbs(name) || o.Dir == "" {
		return name
	}
	return filepath.Join(o.Dir, name)
}

// wrap returns err as an [*Error] that names the image. It does not change the error of a context that was canceled.
func (i *Image) wrap(err error) error {
	var e *Error
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &e):
		return &Error{Message: i.name + ": " + e.Message, Hint: e.Hint, Unreachable: e.Unreachable}
	}
	return &Error{Message: i.name + ": " + err.Error()}
}

// cutPrefix splits a reference into the kind of place that its prefix names and the rest. ok is false without a prefix.
func cutPrefix(ref string) (kind, rest string, ok bool) {
	for _, kind := range []string{"docker://", "docker-daemon:", "oci:", "oci-archive:", "docker-archive:"} {
		if rest, ok := strings.CutPrefix(ref, kind); ok {
			return strings.TrimRight(kind, ":/"), rest, true
		}
	}
	return "", ref, false
}

func isThere(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// looksLikePath reports whether ref is meant as a path and not as the name of an image.
func looksLikePath(ref string) bool {
	return filepath.IsAbs(ref) || strings.HasPrefix(ref, "./") || strings.HasPrefix(ref, "../") || strings.HasPrefix(ref, "~") ||
		strings.HasSuffix(ref, ".tar") || strings.HasSuffix(ref, ".tar.gz") || strings.HasSuffix(ref, ".tgz")
}

// cutTag splits PATH:TAG. Since a path may have colons, it is the longest one that exists.
func cutTag(text string) (name, tag string) {
	for end := len(text); end > 0; end = strings.LastIndexByte(text[:end], ':') {
		if isThere(text[:end]) {
			return text[:end], strings.TrimPrefix(text[end:], ":")
		}
	}
	name, tag, _ = strings.Cut(text, ":")
	return name, tag
}

// fromPath opens an OCI layout if name is a directory, else an archive. An archive is read as a stream unless it is an
// uncompressed regular file.
func (i *Image) fromPath(ctx context.Context, name string) error {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return bad("", "there is no such file")
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		return i.fromFolder(name)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	i.closers = append(i.closers, f)
	if !info.Mode().IsRegular() {
		i.from, i.stream = "an archive", f
		return nil
	}
	head, err := bufio.NewReaderSize(f, 16).Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	i.from = "an archive"
	if compressionOf(head) != plain {
		i.stream = f
		return nil
	}
	a, err := indexArchive(ctx, f)
	if err != nil {
		return fmt.Errorf("it is no archive of an image: %w", err)
	}
	i.use(a)
	return nil
}

// fromFolder opens an OCI layout.
func (i *Image) fromFolder(name string) error {
	dir, err := os.OpenRoot(name)
	if err != nil {
		return err
	}
	i.closers = append(i.closers, dir)
	if _, err := dir.Stat("index.json"); err != nil {
		return bad("an OCI layout has an index.json and a folder blobs", "it is no OCI layout")
	}
	i.from = "an OCI layout"
	i.use(folder{dir})
	return nil
}

// use has the image read from a store.
func (i *Image) use(s store) {
	i.store = s
	i.resolve = func(ctx context.Context) (*resolved, error) { return resolve(ctx, s, i.want) }
}

// fromName opens an image of the engine, or of its registry if the engine does not have it, as `docker run` would.
func (i *Image) fromName(ctx context.Context, name string, o OpenOptions) error {
	local := i.fromEngine(ctx, name, o)
	if local == nil || ctx.Err() != nil {
		return local
	}
	err := i.fromRegistry(ctx, name)
	var e *Error
	if err != nil && errors.As(err, &e) {
		return &Error{Message: fmt.Sprintf("%s; and %v", e.Message, local), Hint: e.Hint, Unreachable: e.Unreachable}
	}
	return err
}
