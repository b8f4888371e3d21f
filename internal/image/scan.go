package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/stokerd/stoker/context/secrets"
)

// A content is the digest of a file's content, or of a link's target. It is half of a SHA-256, which takes half the
// memory and is long enough to tell contents apart.
type content [16]byte

// scan is the state that the layers of one image share while they are read.
type scan struct {
	paths    *paths
	contents bool // whether to compute contents
	look     look

	entries int // so far, in all layers
	outside int // entries whose names lead out of the root
}

// layerScan is what was read of one layer. It does not depend on the other layers.
type layerScan struct {
	digest, diffID digest.Digest // of the blob and of its content, as read
	compression    string
	stored         int64 // bytes of the blob
	unpacked       int64 // bytes of all files
	entries        []entry
	contents       []content        // by the index of an entry; nil if not asked for
	secrets        []found          // sorted by entry
	truncated      int              // files of which only the beginning was searched for secrets
	release        map[int32]string // texts of the os-release files, by path
}

// found is a secret in an entry of a layer.
type found struct {
	entry int // its index
	secrets.Finding
}

// layer reads one layer to its end. algorithm is the one of the digest that the blob should have.
func (s *scan) layer(ctx context.Context, r io.Reader, algorithm digest.Algorithm) (*layerScan, error) {
	b, err := unpack(ctx, r, algorithm)
	if err != nil {
		return nil, cutOff(err)
	}
	defer b.close()
	l := &layerScan{compression: b.compression, release: map[int32]string{}}
	if err := s.walk(ctx, l, b.content); err != nil {
		return nil, cutOff(err)
	}
	if l.diffID, err = b.finish(); err != nil {
		return nil, cutOff(err)
	}
	l.digest, l.stored = digest.NewDigest(algorithm, b.raw.hash), b.raw.n
	l.entries, l.contents = slices.Clip(l.entries), slices.Clip(l.contents)
	slices.SortStableFunc(l.secrets, func(a, b found) int { return a.entry - b.entry })
	return l, nil
}

// cutOff replaces the error that libraries return for a stream that ends too early.
func cutOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it is cut off: there should be more of it")
	}
	return err
}

// walk reads the entries of a tar stream into l.
func (s *scan) walk(ctx context.Context, l *layerScan, r io.Reader) error {
	pool := s.look.pool(ctx)
	defer pool.wait() //nolint:errcheck // walk returns its error, or an earlier one
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			l.secrets, l.truncated, err = pool.wait()
			return err
		}
		if err != nil {
			return fmt.Errorf("entry %d of its tar: %w", len(l.entries)+1, err)
		}
		if len(h.Name) > maxName || len(h.Linkname) > maxName {
			return fmt.Errorf("entry %d has a name of %d bytes; no system takes more than %d", len(l.entries)+1, max(len(h.Name), len(h.Linkname)), maxName)
		}
		e, ok := s.read(h)
		if !ok {
			continue
		}
		s.entries++
		if s.entries > maxEntries || len(s.paths.nodes) > maxPaths {
			return fmt.Errorf("the image has more than %d entries or %d paths, which is more than stoker looks at", maxEntries, maxPaths)
		}
		l.unpacked += e.size
		if l.unpacked < 0 {
			return fmt.Errorf("the sizes of its files add up to more than there can be")
		}
		if err := s.content(l, e, h, t, pool); err != nil {
			return err
		}
		l.entries = append(l.entries, e)
	}
}

// content reads the content of an entry as far as somebody needs it: to search secrets, for a digest, and for the name
// of the distribution. It must be called before the entry is appended to l.
func (s *scan) content(l *layerScan, e entry, h *tar.Header, t *tar.Reader, pool *pool) error {
	var sum content
	switch e.kind {
	case Symlink:
		full := sha256.Sum256([]byte(h.Linkname))
		copy(sum[:], full[:])
	case File:
		name, sparse := s.paths.name(e.node), isSparse(h)
		var r io.Reader = t
		digester := sha256.New()
		if s.contents {
			r = io.TeeReader(t, digester)
		}
		if e.size <= maxRelease && slices.Contains(releaseFiles, name) {
			text, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			l.release[e.node] = string(text)
			r = bytes.NewReader(text)
		}
		if err := pool.file(len(l.entries), name, r, e.size, sparse); err != nil {
			return err
		}
		if s.contents {
			if sparse {
				// Holes may be terabytes of zeros.
				r = io.LimitReader(r, maxHoles)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				return err
			}
			copy(sum[:], digester.Sum(nil))
		}
	}
	if s.contents {
		l.contents = append(l.contents, sum)
	}
	return nil
}

// maxHoles is how many bytes of a file with holes go into its digest. Its size is compared separately.
const maxHoles = 1 << 30

// isSparse reports whether a file has holes, so that a few bytes of tar may stand for terabytes of zeros.
func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range maps.Keys(h.PAXRecords) {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}
