//go:build !linux

package content

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	buildctx "github.com/stokerd/stoker/context"
)

// A reader digests the files of a directory.
type reader struct {
	dir string
	*scratch
}

func newReader(dir string) *reader {
	return &reader{dir: dir, scratch: scratches.Get().(*scratch)}
}

func (r *reader) close() { scratches.Put(r.scratch) }

// sum returns the sum of f and how much of it was read.
func (r *reader) sum(f *buildctx.SentFile) (buildctx.Sum, int64, error) {
	name := filepath.Join(r.dir, f.Name)
	for range tries {
		before, err := os.Lstat(name)
		if err != nil {
			return buildctx.Sum{}, 0, changed(name, err)
		}
		xattrs, err := r.xattrs(name)
		if err != nil {
			return buildctx.Sum{}, 0, changed(name, err)
		}
		r.begin(header(f, xattrs))
		if !f.Mode.IsRegular() {
			return r.end(), 0, nil
		}
		if err := r.content(name); err != nil {
			return buildctx.Sum{}, 0, changed(name, err)
		}
		after, err := os.Lstat(name)
		if err != nil {
			return buildctx.Sum{}, 0, changed(name, err)
		}
		if r.size == f.Size && isStill(f, before, after) {
			return r.end(), r.size, nil
		}
	}
	return buildctx.Sum{}, 0, &UnstableError{Path: name}
}

// isStill reports whether what was read is what f shows. The time of the last
// change of anything may be another than f's: a further name of the file,
// elsewhere, changes it unseen.
func isStill(f *buildctx.SentFile, before, after fs.FileInfo) bool {
	size, mtime, _, _ := f.Stamp.Parts()
	return after.Size() == size && after.ModTime().UnixNano() == mtime && os.SameFile(before, after) &&
		before.ModTime().Equal(after.ModTime()) && permissions(before.Mode()) == permissions(after.Mode())
}

func (r *reader) content(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	for {
		n, err := file.Read(r.buf)
		r.write(r.buf[:n])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// changed says that a name is no longer what it was, if that is what err means.
func changed(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &UnstableError{Path: name}
	}
	return &fs.PathError{Op: "digest", Path: name, Err: err}
}
