package buildctx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// direntBuffer holds some hundred names, so that most directories take two
// getdents calls, the second one to learn that there is no more.
const direntBuffer = 32 << 10

var direntBuffers = sync.Pool{New: func() any { return new([direntBuffer]byte) }}

// dirents are the names in a directory, and the kind of each, as getdents reports
// them. The names share one buffer.
type dirents struct {
	text  []byte
	names []dirent
}

type dirent struct {
	from, to int  // the name is dirents.text[from:to]
	kind     byte // DT_DIR and so on
}

// readDirectory appends the entries of the directory at name to drafts, in no
// particular order. It makes as few system calls as it can: getdents for the
// names, then one fstatat each, and none for a directory that p prunes. An entry
// that disappears meanwhile is left out. An error is returned together with what
// could be read.
func readDirectory(name string, p Pruner, drafts []draft) ([]draft, error) {
	fd, err := open(name)
	if err != nil {
		return drafts, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	var l dirents
	readErr := l.read(fd)
	text := string(l.text)
	for _, n := range l.names {
		d := draft{name: text[n.from:n.to]}
		if n.kind == unix.DT_DIR {
			if d.enter(p); d.dir.pruned() {
				drafts = append(drafts, d)
				continue
			}
		}
		err := d.read(fd)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			readErr = &fs.PathError{Op: "lstat", Path: name + "/" + d.name, Err: err}
			continue
		}
		if !d.mode.IsDir() {
			d.dir = nil // it was one when it was listed
		}
		drafts = append(drafts, d)
	}
	if readErr != nil {
		var pe *fs.PathError
		if !errors.As(readErr, &pe) {
			readErr = &fs.PathError{Op: "readdirent", Path: name, Err: readErr}
		}
	}
	return drafts, readErr
}

// open opens a directory, and retries when a signal interrupts that.
func open(name string) (int, error) {
	for {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// read appends the names in the directory that is open as fd.
func (l *dirents) read(fd int) error {
	buf := direntBuffers.Get().(*[direntBuffer]byte)
	defer direntBuffers.Put(buf)
	for {
		n, err := unix.Getdents(fd, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return err
		}
		l.parse(buf[:n])
	}
}

// parse appends the names in buf, a run of linux_dirent64 records. Each holds the
// inode and an offset (8 bytes each), the record's length (2), the kind (1), and
// the name with a zero byte behind it.
func (l *dirents) parse(buf []byte) {
	const nameAt = int(unsafe.Offsetof(unix.Dirent{}.Name))
	for len(buf) > nameAt {
		size := int(binary.NativeEndian.Uint16(buf[16:]))
		record := buf[:size]
		buf = buf[size:]
		name := record[nameAt:]
		if i := bytes.IndexByte(name, 0); i >= 0 {
			name = name[:i]
		}
		if string(name) == "." || string(name) == ".." {
			continue
		}
		from := len(l.text)
		l.text = append(l.text, name...)
		l.names = append(l.names, dirent{from, len(l.text), record[18]})
	}
}

// read fills in the metadata of the entry d.name in the directory fd.
func (d *draft) read(fd int) error {
	var sys unix.Stat_t
	for {
		err := unix.Fstatat(fd, d.name, &sys, unix.AT_SYMLINK_NOFOLLOW)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		break
	}
	d.stat = stat{
		mode: fileMode(sys.Mode), size: sys.Size, mtime: unix.TimespecToNsec(sys.Mtim), ctime: unix.TimespecToNsec(sys.Ctim),
		inode: sys.Ino,
	}
	d.linked = sys.Nlink > 1 && !d.mode.IsDir()
	switch {
	case d.mode.IsDir():
		d.size = 0
	case d.mode&fs.ModeSymlink != 0:
		link, err := readlink(fd, d.name, int(sys.Size))
		if err != nil {
			return err
		}
		d.odd.link = link
	case d.mode&fs.ModeDevice != 0:
		d.odd.device = uint64(sys.Rdev)
	}
	return nil
}

// readlink returns the target of the link name in the directory fd. size is the
// length that lstat reported, which some file systems get wrong.
func readlink(fd int, name string, size int) (string, error) {
	for size = max(size, 63); ; size *= 2 {
		buf := make([]byte, size+1)
		n, err := unix.Readlinkat(fd, name, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return "", err
		}
		if n < len(buf) {
			return string(buf[:n]), nil
		}
	}
}

// fileMode translates st_mode as os.Lstat does.
func fileMode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	switch m & unix.S_IFMT {
	case unix.S_IFBLK:
		mode |= fs.ModeDevice
	case unix.S_IFCHR:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFIFO:
		mode |= fs.ModeNamedPipe
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	case unix.S_IFSOCK:
		mode |= fs.ModeSocket
	}
	for _, bit := range []struct {
		sys  uint32
		mode fs.FileMode
	}{{unix.S_ISGID, fs.ModeSetgid}, {unix.S_ISUID, fs.ModeSetuid}, {unix.S_ISVTX, fs.ModeSticky}} {
		if m&bit.sys != 0 {
			mode |= bit.mode
		}
	}
	return mode
}
