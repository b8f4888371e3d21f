package content

import (
	"crypto/sha256"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// A Header is what counts of a file beside its content. Name, time and owner do not:
// the client sends every file as root's (BuildKit: client, resetUIDAndGID).
type Header struct {
	Mode         fs.FileMode
	Size         int64  // of a regular file
	Link         string // target of a symbolic link
	Major, Minor int64  // of a device
	Xattrs       []Xattr
}

// An Xattr is an extended attribute of a file.
type Xattr struct{ Name, Value string }

// counts reports whether an attribute is sent and hashed (fsutil: skipXattr;
// BuildKit: cache/contenthash, v1TarHeaderSelect).
func (x Xattr) counts() bool {
	switch {
	case x.Name == "security.capability":
		return true
	case strings.HasPrefix(x.Name, "security."), strings.HasPrefix(x.Name, "system."), strings.HasPrefix(x.Name, "com.apple."):
		return false
	}
	return true
}

// append appends what a file's digest begins with: the fields of a tar header
// as names and values without anything between them (BuildKit:
// cache/contenthash, WriteV1TarsumHeaders).
func (h Header) append(b []byte) []byte {
	flag, size := h.typeflag()
	b = strconv.AppendInt(append(b, "namemode"...), h.tarMode(), 10)
	b = strconv.AppendInt(append(b, "uid0gid0size"...), size, 10)
	b = append(append(b, "typeflag"...), flag)
	b = append(append(b, "linkname"...), h.Link...)
	b = strconv.AppendInt(append(b, "unamegnamedevmajor"...), h.Major, 10)
	b = strconv.AppendInt(append(b, "devminor"...), h.Minor, 10)
	for _, x := range h.counting() {
		b = append(append(b, x.Name...), x.Value...)
	}
	return b
}

// counting returns the attributes that count, by name.
func (h Header) counting() []Xattr {
	if len(h.Xattrs) == 0 {
		return nil
	}
	list := slices.DeleteFunc(slices.Clone(h.Xattrs), func(x Xattr) bool { return !x.counts() })
	slices.SortFunc(list, func(a, b Xattr) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// typeflag returns the type as tar knows it, and the size, which only a regular
// file has. A socket is sent as an empty file (fsutil: mkstat).
func (h Header) typeflag() (flag byte, size int64) {
	switch mode := h.Mode; {
	case mode.IsDir():
		return '5', 0
	case mode&fs.ModeSymlink != 0:
		return '2', 0
	case mode&fs.ModeCharDevice != 0:
		return '3', 0
	case mode&fs.ModeDevice != 0:
		return '4', 0
	case mode&fs.ModeNamedPipe != 0:
		return '6', 0
	}
	return '0', h.Size
}

// tarMode returns the mode's bits as tar has them.
func (h Header) tarMode() int64 {
	mode := int64(h.Mode.Perm())
	for _, bit := range []struct {
		mode fs.FileMode
		tar  int64
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if h.Mode&bit.mode != 0 {
			mode |= bit.tar
		}
	}
	return mode
}

// Digest returns the digest of a file that has no content: a directory without
// what is in it, a link, a device.
func (h Header) Digest() Digest { return h.DigestOf(nil) }

// DigestOf returns the digest of a file with this content.
func (h Header) DigestOf(data []byte) Digest {
	sum := sha256.New()
	sum.Write(h.append(make([]byte, 0, 256)))
	sum.Write(data)
	return Digest(sum.Sum(nil))
}
