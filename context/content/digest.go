package content

import (
	"crypto/sha256"
	"encoding/hex"
)

// A Digest is a SHA-256 sum.
type Digest [sha256.Size]byte

const algorithm = "sha256:"

// String returns d as BuildKit writes it: "sha256:" and 64 hexadecimal digits.
func (d Digest) String() string { return string(d.appendText(nil)) }

// appendText appends d's text, which is what goes into other digests.
func (d Digest) appendText(b []byte) []byte {
	return hex.AppendEncode(append(b, algorithm...), d[:])
}
