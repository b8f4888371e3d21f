package verify

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Bounds of what a layer may hold. What is kept of a file does not depend on its size,
// so these bound the memory that a layer takes.
const (
	maxPath  = 4096    // bytes of a name or link target: PATH_MAX
	maxNames = 1 << 30 // bytes of all names and link targets
	maxFiles = 8 << 20 // entries
)

// Whiteouts in a layer (OCI image specification, layer.md).
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// An action is what an entry of a layer does.
type action byte

const (
	put    action = iota // write a file of any type
	link                 // add another name of a file
	remove               // a whiteout: remove what lower layers have at the name
	empty                // an opaque directory: remove what lower layers have below it
)

// An entry is one member of a layer, ready to be applied.
type entry struct {
	do     action
	name   string // clean, without a leading slash; symbolic links in it are not resolved
	target string // of link: the other name, in the same form
	attrs  *attrs // of put; of link, only the mode, owner and xattrs; else nil
}

// attrs are the properties of a file that are compared, except for its names.
type attrs struct {
	kind         Kind
	mode         uint32 // 07777; 0 for a Symlink
	uid, gid     int
	link         string            // of a Symlink: its target
	xattrs       string            // as xattrsOf returns them
	major, minor int64             // of a device
	size         int64             // bytes of a Regular file
	sum          [sha256.Size]byte // digest of a Regular file's content
}

// A layer is the list of changes that one layer of an image makes. It is immutable.
type layer struct{ entries []entry }

// readLayer reads a layer, which may be compressed, to the end of its tar. Of the
// contents of files, it keeps only digests.
func readLayer(ctx context.Context, r io.Reader) (*layer, error) {
	plain, err := decompress(r)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	l, names := &layer{}, 0
	buf := make([]byte, 64<<10)
	for in := tar.NewReader(cancellable{ctx, plain}); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return l, nil
		}
		if err != nil {
			return nil, err
		}
		e, ok, err := newEntry(h)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		names += len(e.name) + len(e.target)
		if e.attrs != nil {
			names += len(e.attrs.link) + len(e.attrs.xattrs)
		}
		if names > maxNames || len(l.entries) == maxFiles {
			return nil, fmt.Errorf("more than %d files, or %d bytes of names", maxFiles, maxNames)
		}
		if e.do == put && e.attrs.kind == Regular {
			sum := sha256.New()
			// The tar reader makes up the holes of a sparse file without reading from
			// its source, so ctx has to be checked here, too.
			if e.attrs.size, err = io.CopyBuffer(sum, cancellable{ctx, in}, buf); err != nil {
				return nil, err
			}
			sum.Sum(e.attrs.sum[:0])
		}
		l.entries = append(l.entries, e)
	}
}

// newEntry returns the entry of a header. ok is false for one that runtimes ignore.
func newEntry(h *tar.Header) (e entry, ok bool, err error) {
	name, err := clean(h.Name)
	if err != nil || name == "" { // "" is the root itself, which runtimes do not touch
		return entry{}, false, err
	}
	base := path.Base(name)
	switch {
	case base == opaque:
		return entry{do: empty, name: strings.TrimPrefix(path.Dir("/"+name), "/")}, true, nil
	case strings.HasPrefix(base, whiteout):
		target := path.Join(path.Dir(name), strings.TrimPrefix(base, whiteout))
		if t := path.Base(target); base == whiteout || t == "." || t == ".." {
			return entry{}, false, fmt.Errorf("%q removes nothing that has a name", name)
		}
		return entry{do: remove, name: target}, true, nil
	case h.Typeflag == tar.TypeLink:
		target, err := clean(h.Linkname)
		if err == nil && target == "" {
			err = fmt.Errorf("%q is a link to nothing", name)
		}
		a := ownAttrs(h)
		return entry{do: link, name: name, target: target, attrs: &a}, true, err
	}
	a, err := newAttrs(h)
	return entry{do: put, name: name, attrs: a}, err == nil, err
}

// ownAttrs returns the attributes that a header of any type has.
func ownAttrs(h *tar.Header) attrs {
	return attrs{mode: uint32(h.Mode) & 0o7777, uid: h.Uid, gid: h.Gid, xattrs: xattrsOf(h)}
}

// newAttrs returns the attributes of a header, without size and sum.
func newAttrs(h *tar.Header) (*attrs, error) {
	own := ownAttrs(h)
	a := &own
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeRegA, tar.TypeCont, tar.TypeGNUSparse: // old layers have TypeRegA
		a.kind = Regular
	case tar.TypeDir:
		a.kind = Directory
	case tar.TypeSymlink:
		// On Linux, a symbolic link has no mode of its own.
		a.kind, a.link, a.mode = Symlink, h.Linkname, 0
	case tar.TypeChar:
		a.kind, a.major, a.minor = CharDevice, h.Devmajor, h.Devminor
	case tar.TypeBlock:
		a.kind, a.major, a.minor = BlockDevice, h.Devmajor, h.Devminor
	case tar.TypeFifo:
		a.kind = FIFO
	default:
		return nil, fmt.Errorf("%q is of the unknown type %q", h.Name, h.Typeflag)
	}
	if len(a.link) > maxPath {
		return nil, fmt.Errorf("a link target of %d bytes", len(a.link))
	}
	return a, nil
}

// xattrPrefix is the prefix of PAX records for extended attributes. It comes from star,
// and is what tools that write layers use.
const xattrPrefix = "SCHILY.xattr."

// xattrsOf returns the extended attributes as lines NAME=DIGEST, sorted by name, with
// the digest of the value.
func xattrsOf(h *tar.Header) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(h.PAXRecords)) {
		if name, ok := strings.CutPrefix(key, xattrPrefix); ok {
			sum := sha256.Sum256([]byte(h.PAXRecords[key]))
			b.WriteString(name + "=" + hex.EncodeToString(sum[:]) + "\n")
		}
	}
	return b.String()
}

// clean returns a name relative to the image's root, "" for the root itself. A ".." does
// not lead out of it.
func clean(name string) (string, error) {
	switch {
	case len(name) > maxPath:
		return "", fmt.Errorf("a name of %d bytes", len(name))
	case strings.Contains(name, "\x00"):
		return "", fmt.Errorf("%q has a zero byte in its name", name)
	}
	return path.Clean("/" + name)[1:], nil
}

// A cancellable is a reader that fails with the cause of ctx's end once ctx has ended.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c cancellable) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// zstdWindow bounds the memory, in bytes, that a zstd stream may ask for. By default, the
// zstd command has the same bound.
const zstdWindow = 128 << 20

// decompress decompresses a layer. It knows gzip and zstd by their first bytes, as
// runtimes do (containerd: pkg/archive/compression), and takes all else as it is.
func decompress(r io.Reader) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(in)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(in), nil
}
