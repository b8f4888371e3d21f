package image

import (
	"archive/tar"
	"strings"
)

// A Kind is the type of an entry of a layer.
type Kind uint8

// The kinds of entries. A whiteout deletes a path of lower layers, and an opaque marker all that they have in its
// directory (image-spec: layer.md).
const (
	File Kind = iota
	Dir
	Symlink
	Hardlink
	Device
	Fifo
	whiteout
	opaque
)

// String returns the name of a kind, as `stoker context ls` prints it.
func (k Kind) String() string {
	return [...]string{"file", "dir", "symlink", "hardlink", "device", "fifo", "whiteout", "opaque"}[k]
}

// Names of entries that are not files (image-spec: layer.md, "Whiteouts"). Others with aufsPrefix are bookkeeping of
// AUFS, which engines ignore.
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
	aufsPrefix     = ".wh..wh."
)

// entry is one entry of a layer's tar stream. It is kept small, because a large image has a million of them.
type entry struct {
	node     int32 // the path; of a whiteout the one that it deletes, of an opaque marker its directory
	target   int32 // the path that a hard link refers to; -1 for other kinds
	uid, gid int32
	mode     uint16 // the bits of 07777
	kind     Kind
	size     int64 // bytes of the unpacked content, including holes
}

// read returns the entry of a header. ok is false for headers that engines ignore, such as global ones.
func (s *scan) read(h *tar.Header) (e entry, ok bool) {
	e = entry{target: -1, uid: int32(h.Uid), gid: int32(h.Gid), mode: uint16(h.Mode & 0o7777)}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont, '\x00':
		e.kind, e.size = File, max(h.Size, 0)
	case tar.TypeDir:
		e.kind = Dir
	case tar.TypeSymlink:
		e.kind = Symlink
	case tar.TypeLink:
		e.kind = Hardlink
	case tar.TypeChar, tar.TypeBlock:
		e.kind = Device
	case tar.TypeFifo:
		e.kind = Fifo
	default:
		return e, false
	}
	rel, outside := clean(h.Name)
	if outside {
		s.outside++
	}
	dir, base := "", rel
	if cut := strings.LastIndexByte(rel, '/'); cut >= 0 {
		dir, base = rel[:cut], rel[cut+1:]
	}
	switch {
	case base == opaqueName:
		e.kind, e.size, e.node = opaque, 0, s.paths.add(dir)
	case strings.HasPrefix(base, aufsPrefix):
		return e, false
	case strings.HasPrefix(base, whiteoutPrefix) && base != whiteoutPrefix:
		gone := base[len(whiteoutPrefix):]
		if gone == "." || gone == ".." {
			return e, false
		}
		if dir != "" {
			gone = dir + "/" + gone
		}
		e.kind, e.size, e.node = whiteout, 0, s.paths.add(gone)
	default:
		e.node = s.paths.add(rel)
	}
	if e.kind == Hardlink {
		to, _ := clean(h.Linkname)
		e.target = s.paths.add(to)
	}
	return e, true
}
