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
	data   uint32 // checksum of the content so far
	size   int64  // of content so far
}

var scratches = sync.Pool{New: func() any {
	return &scratch{buf: make([]byte, readBuffer), sha: sha256.New()}
}}

// begin starts the digest of a file.
func (s *scratch) begin(h Header) {
	s.header = h.append(s.header[:0])
	s.sha.Reset()
	s.sha.Write(s.header)
	s.data, s.size = 0, 0
}

// castagnoli is the polynomial of which processors compute checksums as fast as
// they read memory.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is that of all of a file's content.
func checksum(data []byte) uint32 { return crc32.Checksum(data, castagnoli) }

func (s *scratch) write(data []byte) {
	s.sha.Write(data)
	s.data = crc32.Update(s.data, castagnoli, data)
	s.size += int64(len(data))
}

// end returns the sum of the file.
func (s *scratch) end() buildctx.Sum {
	return buildctx.Sum{Data: s.data, Digest: Digest(s.sha.Sum(s.header[:0]))}
}

// header returns what of f counts beside its content.
func header(f *buildctx.SentFile, xattrs []Xattr) Header {
	return Header{Mode: f.Mode, Size: f.Size, Link: f.Link, Major: f.Major, Minor: f.Minor, Xattrs: xattrs}
}

// permissions are the bits of a mode that a system call gives and takes.
func permissions(mode fs.FileMode) uint32 { return uint32(Header{Mode: mode}.tarMode()) }

// tries is how often a file is read that changes meanwhile.
const tries = 3
