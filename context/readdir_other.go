//go:build !linux

package buildctx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// readDirectory returns the entries of the directory at name, in no order. An
// entry that vanishes meanwhile is left out; an error comes with what could be
// read.
func readDirectory(name string, _ func(name string) bool) ([]entry, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, readErr := f.Readdirnames(-1)
	entries := make([]entry, 0, len(names))
	for _, n := range names {
		st, err := lstat(filepath.Join(name, n))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			readErr = err
			continue
		}
		entries = append(entries, entry{name: n, stat: st})
	}
	return entries, readErr
}
