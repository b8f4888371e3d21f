package buildkit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	gofs "io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

// A textFS is a directory of files in memory, which a client can send.
type textFS struct {
	files map[string][]byte
}

var _ fsutil.FS = textFS{}

// newTextFS returns the directory with these files, by name.
func newTextFS(files map[string][]byte) textFS { return textFS{files} }

// Walk implements [fsutil.FS]. The tree is flat: target is a file, or the root.
func (t textFS) Walk(ctx context.Context, target string, fn gofs.WalkDirFunc) error {
	names := slices.Sorted(maps.Keys(t.files))
	target = strings.Trim(filepath.ToSlash(target), "/")
	if target != "" && target != "." {
		if _, ok := t.files[target]; !ok {
			return &os.PathError{Op: "walk", Path: target, Err: os.ErrNotExist}
		}
		names = []string{target}
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		stat := &types.Stat{
			Path:    name,
			Mode:    0o644,
			Size:    int64(len(t.files[name])),
			ModTime: TextTime(t.files[name]).UnixNano(),
		}
		if err := fn(name, &fsutil.DirEntryInfo{Stat: stat}, nil); err != nil {
			return err
		}
	}
	return nil
}

// Open implements [fsutil.FS].
func (t textFS) Open(name string) (io.ReadCloser, error) {
	data, ok := t.files[name]
	if !ok {
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// TextTime is the modification time that a text is sent with. Equal texts get equal
// times, different texts different ones: the builder asks for a file again only if its
// size or time differs from what it has (fsutil: diff_containerd.go).
func TextTime(data []byte) time.Time {
	sum := sha256.Sum256(data)
	const year = 365 * 24 * time.Hour
	offset := binary.BigEndian.Uint64(sum[:8]) % uint64(10*year)
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(offset))
}
