//go:build linux || darwin || freebsd || netbsd

package content

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"
)

// fewXattrs is room for the names of what attributes most files have, if any: the
// system makes as much of its own for each list, whatever comes of it.
const fewXattrs = 512

// readXattrs returns the extended attributes that count, by way of two system
// calls that fill a buffer; buf holds the longest list that there can be. A file
// system without them has none; one that vanishes or may not be read is left
// out (fsutil: loadXattr).
func readXattrs(buf []byte, list func([]byte) (int, error), get func(string, []byte) (int, error)) ([]Xattr, error) {
	n, err := list(buf[:fewXattrs])
	if errors.Is(err, unix.ERANGE) {
		n, err = list(buf)
	}
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil || n == 0 {
		return nil, err
	}
	var xattrs []Xattr
	for _, name := range bytes.Split(bytes.TrimSuffix(bytes.Clone(buf[:n]), []byte{0}), []byte{0}) {
		x := Xattr{Name: string(name)}
		if !x.counts() {
			continue
		}
		if n, err := get(x.Name, buf); err == nil {
			x.Value = string(buf[:n])
			xattrs = append(xattrs, x)
		}
	}
	return xattrs, nil
}
