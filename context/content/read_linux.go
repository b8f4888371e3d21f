package content

import (
	"errors"
	"io/fs"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	buildctx "github.com/stokerd/stoker/context"
)

// A reader digests the files of a directory, with few system calls: it keeps the
// directory open, and a file costs open, listxattr, read, fstat and close.
type reader struct {
	dir string
	fd  int // of dir; negative until a file in it is opened
	*scratch
}

func newReader(dir string) *reader {
	return &reader{dir: dir, fd: -1, scratch: scratches.Get().(*scratch)}
}

func (r *reader) close() {
	if r.fd >= 0 {
		_ = unix.Close(r.fd)
	}
	scratches.Put(r.scratch)
}

// openDir opens the directory, if it is not.
func (r *reader) openDir() (err error) {
	if r.fd >= 0 {
		return nil
	}
	r.fd, err = retried(func() (int, error) {
		return unix.Open(r.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	return err
}

// sum returns the sum of f and how much of it was read.
func (r *reader) sum(f *buildctx.SentFile) (buildctx.Sum, int64, error) {
	if !f.Mode.IsRegular() {
		name := r.path(f)
		xattrs, err := readXattrs(r.buf, func(buf []byte) (int, error) { return unix.Llistxattr(name, buf) },
			func(attr string, buf []byte) (int, error) { return unix.Lgetxattr(name, attr, buf) })
		if err != nil {
			return buildctx.Sum{}, 0, changed(name, err)
		}
		r.begin(header(f, xattrs))
		return r.end(), 0, nil
	}
	if err := r.openDir(); err != nil {
		return buildctx.Sum{}, 0, changed(r.dir, err)
	}
	fd, err := retried(func() (int, error) { return r.openFile(f.Name) })
	if err != nil {
		return buildctx.Sum{}, 0, changed(r.path(f), err)
	}
	defer unix.Close(fd)
	return r.open(fd, f)
}

// openFile opens a file of the directory. Other than unix.Openat, it does not allocate a
// copy of the name.
func (r *reader) openFile(name string) (int, error) {
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_LARGEFILE
	text := append(append(r.buf[:0], name...), 0) // ends with a zero byte, as the system wants it
	fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(r.fd), uintptr(unsafe.Pointer(&text[0])), flags, 0, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

func (r *reader) path(f *buildctx.SentFile) string { return filepath.Join(r.dir, f.Name) }

// open returns the sum of f, which fd has open.
func (r *reader) open(fd int, f *buildctx.SentFile) (buildctx.Sum, int64, error) {
	var before, after unix.Stat_t
	for range tries {
		xattrs, err := readXattrs(r.buf, func(buf []byte) (int, error) { return unix.Flistxattr(fd, buf) },
			func(attr string, buf []byte) (int, error) { return unix.Fgetxattr(fd, attr, buf) })
		if err != nil {
			return buildctx.Sum{}, 0, changed(r.path(f), err)
		}
		r.begin(header(f, xattrs))
		if err := r.content(fd, f.Size); err != nil {
			return buildctx.Sum{}, 0, changed(r.path(f), err)
		}
		if err := unix.Fstat(fd, &after); err != nil {
			return buildctx.Sum{}, 0, changed(r.path(f), err)
		}
		if r.size == f.Size && isStill(f, &before, &after) {
			return r.end(), r.size, nil
		}
		before = after
		if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
			return buildctx.Sum{}, 0, changed(r.path(f), err)
		}
	}
	return buildctx.Sum{}, 0, &UnstableError{Path: r.path(f)}
}

// isStill reports whether what was read is what f shows. The time of the last
// change of anything may be another than f's, if it did not move while the file
// was read: a further name of the file, elsewhere, changes it unseen.
func isStill(f *buildctx.SentFile, before, after *unix.Stat_t) bool {
	size, mtime, ctime, inode := f.Stamp.Parts()
	if after.Size != size || after.Mtim.Nano() != mtime || after.Ino != inode {
		return false
	}
	if after.Ctim.Nano() == ctime {
		return true
	}
	return after.Mode&0o7777 == permissions(f.Mode) && before.Ctim == after.Ctim
}

// content hashes what fd has, and stops behind size without asking for more.
func (r *reader) content(fd int, size int64) error {
	for r.scratch.size < size {
		n, err := retried(func() (int, error) { return unix.Read(fd, r.buf) })
		if err != nil || n == 0 {
			return err
		}
		r.write(r.buf[:n])
	}
	return nil
}

// changed says that a name is no longer what it was, if that is what err means.
func changed(name string, err error) error {
	for _, gone := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.ENXIO, unix.EISDIR, unix.ESTALE} {
		if errors.Is(err, gone) {
			return &UnstableError{Path: name}
		}
	}
	return &fs.PathError{Op: "digest", Path: name, Err: err}
}

func retried(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
