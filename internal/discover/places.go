package discover

import (
	"os"
	"path/filepath"
	"slices"
)

// maxLinks is how many symbolic links are followed, as on Linux (path_resolution(7)).
const maxLinks = 40

// Places returns the absolute path name and, if that is a symbolic link, each path that it
// leads to in turn. The last need not exist. A change at any of these places may change
// what is read at name.
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
