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

// Compressions of a layer, by what its first bytes are; media types are known to lie.
const (
	plain = "none"
	gz    = "gzip"
	zst   = "zstd"
	bz2   = "bzip2" // Docker read it until it wrote gzip
)

// maxWindow is the most that a zstd layer may ask to look back: what `zstd --long` uses, and the command refuses more.
const maxWindow = 128 << 20

// How a layer is read ahead: while one block is parsed the next ones are decompressed.
const (
	blockSize = 256 << 10
	blocks    = 4
)

// blob is a layer's stream and what has been seen of it.
type blob struct {
	raw         *meter
	content     *ahead
	compression string
	decoder     io.Closer // nil if there is none
}

// meter counts and digests what is read through it, and stops when the context ends.
type meter struct {
	ctx  context.Context
	r    io.Reader
	hash hash.Hash // nil to count only
	n    int64
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

// unpack begins to read a layer. The caller must finish or close it, before it reads on in r by itself.
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
		// Decoding ahead is done once, below, for all of them.
		d, err := zstd.NewReader(buffered, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		content, b.decoder = d, d.IOReadCloser()
	case bz2:
		content = bzip2.NewReader(buffered)
	}
	// The digest of what is not compressed is that of the blob.
	var sum hash.Hash
	if b.compression != plain {
		sum = digest.SHA256.Hash()
	}
	b.content = readAhead(content, sum)
	return b, nil
}

func compressionOf(head []byte) string {
	switch {
	case len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b:
		return gz
	// A zstd stream may begin with a skippable frame (RFC 8878, 3.1.2), as zstd:chunked does not, but may.
	case len(head) >= 4 && string(head[:4]) == "\x28\xb5\x2f\xfd", len(head) >= 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18":
		return zst
	case len(head) >= 3 && string(head[:3]) == "BZh":
		return bz2
	}
	return plain
}

// finish reads what follows the tar's end, which belongs to the digests, and returns the digest of the content.
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

// close ends the reading ahead. It may be called again.
func (b *blob) close() {
	b.content.close()
	if b.decoder != nil {
		b.decoder.Close()
		b.decoder = nil
	}
}

// ahead reads and digests a stream in a goroutine of its own, a few blocks ahead of who reads it.
type ahead struct {
	full chan block
	free chan []byte
	stop chan struct{}
	done chan struct{}
	hash hash.Hash
	n    int64

	at     block
	rest   []byte
	closed bool
}

type block struct {
	data []byte
	err  error
}

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
		a.n += int64(n)
		a.full <- block{buf[:n], err} // never blocks: there are as many places as blocks
		if err != nil {
			return
		}
	}
}

// fillUp is io.ReadFull that keeps a stream's own error: the end of a stream and one that was cut off differ.
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

// close waits for the goroutine. What it digested is complete only if the end was read.
func (a *ahead) close() {
	if !a.closed {
		a.closed = true
		close(a.stop)
	}
	<-a.done
}
