package image

import (
	"bufio"
	"compress/bzip2"
	"context"
	"errors"
	"hash"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
)

// Compressions of a layer. They are detected by its first bytes, because media types are often wrong.
const (
	plain = "none"
	gz    = "gzip"
	zst   = "zstd"
	bz2   = "bzip2" // Docker Engines accept it, too
)

// maxWindow bounds the memory, in bytes, that a zstd layer may ask for. `zstd --long` uses as much, and by default the
// command accepts no more.
const maxWindow = 128 << 20

// How a layer is read ahead: while one block is parsed, the next ones are decompressed.
const (
	blockSize = 256 << 10 // bytes
	blocks    = 4
)

// blob is a layer that is being read.
type blob struct {
	raw         *meter // as it is stored
	content     *ahead // decompressed
	compression string
	decoder     io.Closer // nil if there is none
}

// meter is a reader that counts and digests what is read through it. It fails once ctx has ended.
type meter struct {
	ctx  context.Context
	r    io.Reader
	hash hash.Hash // nil to count only
	n    int64     // bytes read so far
}

func (m *meter) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	if m.hash != nil {
		m.hash.Write(p[:n])
	}
	return n, err
}

// unpack begins to read a layer, in another goroutine. The caller must finish or close the blob before it uses r again.
func unpack(ctx context.Context, r io.Reader, algorithm digest.Algorithm) (*blob, error) {
	b := &blob{raw: &meter{ctx: ctx, r: r, hash: algorithm.Hash()}}
	buffered := bufio.NewReaderSize(b.raw, blockSize)
	head, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var content io.Reader = buffered
	b.compression = compressionOf(head)
	switch b.compression {
	case gz:
		d, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		content, b.decoder = d, d
	case zst:
		// One goroutine is enough, because readAhead below decodes ahead for all compressions.
		d, err := zstd.NewReader(buffered, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		content, b.decoder = d, d.IOReadCloser()
	case bz2:
		content = bzip2.NewReader(buffered)
	}
	// If the layer is not compressed, its content has the digest of the blob.
	var sum hash.Hash
	if b.compression != plain {
		sum = digest.SHA256.Hash()
	}
	b.content = readAhead(content, sum)
	return b, nil
}

// compressionOf returns the compression of a stream that begins with head.
func compressionOf(head []byte) string {
	switch {
	case len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b:
		return gz
	// A zstd stream may begin with a skippable frame (RFC 8878, 3.1.2).
	case len(head) >= 4 && string(head[:4]) == "\x28\xb5\x2f\xfd", len(head) >= 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18":
		return zst
	case len(head) >= 3 && string(head[:3]) == "BZh":
		return bz2
	}
	return plain
}

// finish reads the rest of the blob after the end of the tar, which counts for the digests, and returns the digest of
// the content.
func (b *blob) finish() (digest.Digest, error) {
	defer b.close()
	if _, err := io.Copy(io.Discard, b.content); err != nil {
		return "", err
	}
	b.content.close()
	if _, err := io.Copy(io.Discard, b.raw); err != nil {
		return "", err
	}
	sum := b.content.hash
	if sum == nil {
		sum = b.raw.hash
	}
	return digest.NewDigest(digest.SHA256, sum), nil
}

// close waits for the goroutine of unpack to end. It may be called again.
func (b *blob) close() {
	b.content.close()
	if b.decoder != nil {
		b.decoder.Close()
		b.decoder = nil
	}
}

// ahead reads and digests a stream in a goroutine of its own, a few blocks ahead of its reader.
type ahead struct {
	full chan block    // blocks that were read, in order
	free chan []byte   // buffers to read into
	stop chan struct{} // closed to end the goroutine
	done chan struct{} // closed when it has ended
	hash hash.Hash     // of what was read of the stream; nil for none

	at     block  // the block that is being read
	rest   []byte // what is left of it
	closed bool
}

// block is a part of a stream; err is what follows it.
type block struct {
	data []byte
	err  error
}

// readAhead begins to read r, and to digest it with sum unless that is nil.
func readAhead(r io.Reader, sum hash.Hash) *ahead {
	a := &ahead{
		full: make(chan block, blocks), free: make(chan []byte, blocks),
		stop: make(chan struct{}), done: make(chan struct{}), hash: sum,
	}
	for range blocks {
		a.free <- make([]byte, blockSize)
	}
	go a.fill(r)
	return a
}

func (a *ahead) fill(r io.Reader) {
	defer close(a.done)
	for {
		var buf []byte
		select {
		case buf = <-a.free:
		case <-a.stop:
			return
		}
		n, err := fillUp(r, buf)
		if a.hash != nil {
			a.hash.Write(buf[:n])
		}
		a.full <- block{buf[:n], err} // never blocks: there are as many places as blocks
		if err != nil {
			return
		}
	}
}

// fillUp reads until buf is full, as io.ReadFull does, but returns the error of r as it is: io.EOF is the end of the
// stream, also after some bytes, and io.ErrUnexpectedEOF means that the stream is cut off.
func fillUp(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.at.err != nil {
			return 0, a.at.err
		}
		if a.at.data != nil {
			a.free <- a.at.data[:blockSize]
		}
		a.at = <-a.full
		a.rest = a.at.data
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// close ends the goroutine and waits for it. The digest is complete only if the stream was read to its end before.
func (a *ahead) close() {
	if !a.closed {
		a.closed = true
		close(a.stop)
	}
	<-a.done
}
