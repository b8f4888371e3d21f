package content

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// A Digest is a SHA-256 sum.
type Digest [sha256.Size]byte

const algorithm = "sha256:"

// String returns d as BuildKit writes it: "sha256:" and 64 hexadecimal digits.
func (d Digest) String() string { return string(d.appendText(nil)) }

// ParseDigest is the inverse of [Digest.String].
func ParseDigest(text string) (d Digest, err error) {
	hexes, ok := strings.CutPrefix(text, algorithm)
	if n, err := hex.Decode(d[:], []byte(hexes[:min(len(hexes), 2*len(d))])); !ok || err != nil || n != len(d) || len(hexes) != 2*n {
		return Digest{}, fmt.Errorf("%q is no digest", text)
	}
	return d, nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return d.appendText(nil), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDigest(string(text))
	return err
}

// appendText appends d's text, which is what goes into other digests.
func (d Digest) appendText(b []byte) []byte {
	return hex.AppendEncode(append(b, algorithm...), d[:])
}
