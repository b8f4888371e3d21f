package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// An ExistsError means that files exist already, and were not replaced.
type ExistsError struct{ Paths []string }

// Error says which files exist.
func (e *ExistsError) Error() string {
	verb := " is there already"
	if len(e.Paths) > 1 {
		verb = " are there already"
	}
	return strings.Join(e.Paths, " and ") + verb
}

// Save writes the files below root. No file is ever there in part. A file that exists is only
// replaced with force; else the error is an [*ExistsError]. Symbolic links are replaced and
// never followed. If a file cannot be written, those that were written before are removed
// again without force, and stay with force.
func Save(root *os.Root, files []Files, force bool) error {
	texts := map[string][]byte{}
	var paths []string
	for _, f := range files {
		for name, text := range map[string][]byte{f.Dockerfile: f.DockerfileText, f.Ignore: f.IgnoreText} {
			if _, twice := texts[name]; twice {
				return fmt.Errorf("two apps would have the file %s: name one of them", name)
			}
			texts[name] = text
		}
		paths = append(paths, f.Dockerfile, f.Ignore)
	}
	if !force {
		exists := &ExistsError{}
		for _, name := range paths {
			if _, err := root.Lstat(name); err == nil {
				exists.Paths = append(exists.Paths, name)
			} else if !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("write %s: %w", name, err)
			}
		}
		if len(exists.Paths) > 0 {
			return exists
		}
	}
	var made []string
	for _, name := range paths {
		if err := save(root, name, texts[name], force); err != nil {
			for _, done := range made {
				_ = root.Remove(done) // the first error is the one to return
			}
			return fmt.Errorf("write %s: %w", name, err)
		}
		if !force {
			made = append(made, name)
		}
	}
	return nil
}

// save writes a file under another name in the same folder, and moves it to its place. Without
// force it does so with a hard link, which fails if somebody created the file in the meantime.
func save(root *os.Root, name string, text []byte, force bool) error {
	tmp := path.Join(path.Dir(name), fmt.Sprintf(".stoker-init-%d", os.Getpid()))
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = root.Remove(tmp) }() // fails if it was moved
	if _, err := f.Write(text); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if !force {
		err := root.Link(tmp, name)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return err
		}
		// The file system has no hard links. That the file did not exist before has to do.
	}
	return root.Rename(tmp, name)
}
