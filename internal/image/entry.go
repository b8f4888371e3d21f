package image

import (
	"archive/tar"
	"strings"
)

// A Kind is what an entry of a layer is.
type Kind uint8

// The kinds of entries. Whiteout and Opaque take away what lower layers have (image-spec: layer.md).
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

// String names a kind as `stoker context ls` does.
func (k Kind) String() string {
	return [...]string{"file", "dir", "symlink", "hardlink", "device", "fifo", "whiteout", "opaque"}[k]
}

// Names in layers that are no files (image-spec: layer.md, "Whiteouts"). Others that begin with two prefixes are
// AUFS' own bookkeeping, which engines skip.
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
	aufsPrefix     = ".wh..wh."
)

// entry is one entry of a layer's tar stream. It is small, because a big image has a million.
type entry struct {
	node     int32 // of a whiteout the path that it takes away, of an opaque mark the directory
	target   int32 // of a hard link; -1 else
	uid, gid int32
	mode     uint16 // 07777
	kind     Kind
	size     int64 // of the content as it unpacks, holes included
}

// read turns a header into an entry. ok is false for what is no file: global headers and the like.
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
