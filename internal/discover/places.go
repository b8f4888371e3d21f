package discover

import (
	"os"
	"path/filepath"
	"slices"
)

// maxLinks is how many links are followed, as on Linux (path_resolution(7)).
const maxLinks = 40

// Places returns name, which is absolute, and if it is a link the files that it
// leads to one after the other; the last one need not be there. What any of them
// holds or leads to is what name stands for.
func Places(name string) []string {
	list := []string{name}
	for range maxLinks {
		if dir, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
			name = filepath.Join(dir, filepath.Base(name))
		}
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
		target, err := os.Readlink(name)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(name), target)
		}
		name = target
	}
	return list
}
