package content

import (
	"crypto/sha256"
	"hash"
	"hash/crc32"
	"io/fs"
	"sync"

	buildctx "github.com/stokerd/stoker/context"
)

// readBuffer holds most source files whole; larger ones take several reads.
const readBuffer = 256 << 10

// scratch is what digesting a file needs for a moment.
type scratch struct {
	buf    []byte
	header []byte
	sha    hash.Hash
	ieee   uint32
	castag uint32
	size   int64 // of content so far
}

var scratches = sync.Pool{New: func() any {
	return &scratch{buf: make([]byte, readBuffer), sha: sha256.New()}
}}

// begin starts the digest of a file.
func (s *scratch) begin(h Header) {
	s.header = h.append(s.header[:0])
	s.sha.Reset()
	s.sha.Write(s.header)
	s.ieee, s.castag, s.size = 0, 0, 0
}

// castagnoli is a second polynomial: with the usual one it makes a checksum of
// 64 bits, both of which processors compute as fast as memory is read.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s *scratch) write(data []byte) {
	s.sha.Write(data)
	s.ieee = crc32.Update(s.ieee, crc32.IEEETable, data)
	s.castag = crc32.Update(s.castag, castagnoli, data)
	s.size += int64(len(data))
}

// end returns the sum of a file with these attributes.
func (s *scratch) end(xattrs []Xattr) buildctx.Sum {
	out := buildctx.Sum{Data: uint64(s.ieee)<<32 | uint64(s.castag)}
	s.sha.Sum(out.Digest[:0])
	for _, x := range xattrs {
		out.Xattrs = crc32.Update(out.Xattrs, castagnoli, []byte(x.Name+"\x00"+x.Value+"\x00"))
	}
	return out
}

// header returns what of f counts beside its content.
func header(f *buildctx.SentFile, xattrs []Xattr) Header {
	return Header{Mode: f.Mode, Size: f.Size, Link: f.Link, Major: f.Major, Minor: f.Minor, Xattrs: xattrs}
}

// permissions are the bits of a mode that a system call gives and takes.
func permissions(mode fs.FileMode) uint32 { return uint32(Header{Mode: mode}.tarMode()) }

// tries is how often a file is read that changes meanwhile.
const tries = 3
