package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// An ExistsError names files that stand in the way.
type ExistsError struct{ Paths []string }

// Error names them.
func (e *ExistsError) Error() string {
	verb := " is there already"
	if len(e.Paths) > 1 {
		verb = " are there already"
	}
	return strings.Join(e.Paths, " and ") + verb
}

// Save writes the files below root, all of them or none: each appears at once and
// whole. A file that is there already is an [*ExistsError], unless force is given;
// a link in its place is replaced, and never followed.
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
				_ = root.Remove(done) // what is left is told by the error
			}
			return fmt.Errorf("write %s: %w", name, err)
		}
		if !force {
			made = append(made, name)
		}
	}
	return nil
}

// save writes one file beside its place and moves it there. Without force a link
// takes the place, which fails where somebody else was faster.
func save(root *os.Root, name string, text []byte, force bool) error {
	tmp := path.Join(path.Dir(name), fmt.Sprintf(".stoker-init-%d", os.Getpid()))
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = root.Remove(tmp) }() // gone, if it was moved
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
		// A file system without hard links: the look before has to do.
	}
	return root.Rename(tmp, name)
}
