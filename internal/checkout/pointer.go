package checkout

import (
	"strconv"
	"strings"
)

// MaxPointer is more than the size of any pointer file of Git LFS, in bytes (git-lfs: docs/spec.md).
const MaxPointer = 1024

// minPointer is less than the size of one, as its three lines are longer.
const minPointer = 100

// An object is a file that Git LFS stores elsewhere.
type object struct {
	sha256 string // hexadecimal
	size   int64  // bytes
}

// IsPointer reports whether a file with this text is a pointer of Git LFS.
func IsPointer(text []byte) bool { _, ok := parsePointer(text); return ok }

// parsePointer parses a pointer file (git-lfs: docs/spec.md); false if text is none.
func parsePointer(text []byte) (object, bool) {
	var o object
	if len(text) >= MaxPointer || !strings.HasPrefix(string(text), "version https://git-lfs.github.com/spec/v1\n") {
		return o, false
	}
	sized := false
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "oid":
			o.sha256, _ = strings.CutPrefix(value, "sha256:")
		case "size":
			n, err := strconv.ParseInt(value, 10, 64)
			o.size, sized = n, err == nil && n >= 0
		}
	}
	return o, sized && len(o.sha256) == 64
}
