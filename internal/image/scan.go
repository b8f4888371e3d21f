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

// A content is the digest of a file's content, or of a link's target: half of a SHA-256, which is enough to tell
// contents apart and half the memory.
type content [16]byte

// scan is what the layers of one image share while they are read.
type scan struct {
	paths    *paths
	contents bool
	look     look

	entries int // of all layers
	outside int // names that lead out of the root
}

// layerScan is one layer as it was read. It does not know its place among the others.
type layerScan struct {
	digest, diffID digest.Digest // of what was read
	compression    string
	stored         int64 // bytes of the blob
	unpacked       int64 // sum of the sizes of its files
	entries        []entry
	contents       []content // beside entries, if asked for
	secrets        []found   // in the order of entries
	partly         int       // files of which only the beginning was looked at
	release        map[int32]string
}

// found is a secret in an entry of a layer.
type found struct {
	entry int
	secrets.Finding
}

// layer reads one layer to its end. algorithm is that of the digest that the layer should have.
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

// cutOff says in other words what a library says of a stream that ends too soon.
func cutOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it is cut off: there should be more of it")
	}
	return err
}

// walk reads the entries of a tar stream.
func (s *scan) walk(ctx context.Context, l *layerScan, r io.Reader) error {
	pool := s.look.pool(ctx)
	defer pool.wait() //nolint:errcheck // its error is that of the walk, or comes after another one
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			l.secrets, l.partly, err = pool.wait()
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

// content looks into a file as far as anybody asked.
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
		if isRelease(name) && e.size <= maxRelease {
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
				// What holes hold is known, and may be terabytes.
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

// maxHoles is how much of a file with holes goes into its digest; its size is compared anyway.
const maxHoles = 1 << 30

// isSparse reports whether a file has holes: a few bytes of tar may stand for terabytes of zeros.
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
