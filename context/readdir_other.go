//go:build !linux

package buildctx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// readDirectory appends the entries of the directory at name to drafts, in no
// particular order. An entry that disappears meanwhile is left out. An error is
// returned together with what could be read.
func readDirectory(name string, _ Pruner, drafts []draft) ([]draft, error) {
	f, err := os.Open(name)
	if err != nil {
		return drafts, err
	}
	defer f.Close()
	names, readErr := f.Readdirnames(-1)
	for _, n := range names {
		st, odd, err := lstat(filepath.Join(name, n))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			readErr = err
			continue
		}
		drafts = append(drafts, draft{name: n, stat: st, odd: odd})
	}
	return drafts, readErr
}
