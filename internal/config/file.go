package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"
)

// FileName is the configuration's name at a repository's root.
const FileName = "stoker.yaml"

// maxSize is the largest size in bytes that is read. No configuration that is written
// by hand comes near it.
const maxSize = 1 << 20

// File is one configuration file as written. The zero File sets nothing.
type File struct {
	// Builds are the entries of `builds` in their order (repository only).
	Builds []Build
	// Allow are the entries of `findings.allow` (repository only).
	Allow []Allow
	// Silenced are the entries of `suggest.ignore` (repository only).
	Silenced []string
	// Secrets are the entries of `prewarm.secrets` (user only).
	Secrets []string
	// Metrics is an address of this machine, with a port, at which metrics are served
	// as well as on the socket; "" for none (user only).
	Metrics string

	settings settings
}

// ReadRepository reads stoker.yaml of the repository at root. It returns nil
// if there is none. A link is followed only inside the repository.
func ReadRepository(root string) (*File, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	defer dir.Close()
	data, err := readRegular(dir, FileName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError(FileName, err)
	}
	return ParseRepository(FileName, data)
}

// ReadUser reads the user's configuration at path (see UserPath). It returns
// nil if there is none or path is empty.
func ReadUser(path string) (*File, error) {
	if path == "" {
		return nil, nil
	}
	// The user's own file may be a link to anywhere, as dotfile managers make them.
	resolved, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError(path, err)
	}
	dir, err := os.OpenRoot(filepath.Dir(resolved))
	if err != nil {
		return nil, fileError(path, err)
	}
	defer dir.Close()
	data, err := readRegular(dir, filepath.Base(resolved))
	if err != nil {
		return nil, fileError(path, err)
	}
	return ParseUser(path, data)
}

// UserPath returns where the user's configuration lies by the XDG base
// directory specification (a relative XDG_CONFIG_HOME is ignored), or "" if
// getenv knows no home.
func UserPath(getenv func(string) string) string {
	base := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(base) {
		home := getenv("HOME")
		if !filepath.IsAbs(home) {
			return ""
		}
		base = filepath.Join(home, ".config")
	}
	return filepath.Join(base, "stoker", "config.yaml")
}

// Errors of readRegular, which continue a sentence that begins with the file's name.
var (
	errTooLarge   = errors.New("is larger than 1 MiB; is it the right file?")
	errNotRegular = errors.New("is not a regular file; replace it with one")
)

// readRegular reads a file of dir. It looks before it opens, because opening
// a named pipe would wait for a writer.
func readRegular(dir *os.Root, name string) ([]byte, error) {
	info, err := dir.Stat(name)
	if err != nil {
		// A link that dangles is there, only its target is not.
		if _, lerr := dir.Lstat(name); lerr == nil && errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("is a link to a file that does not exist; mend or remove it")
		}
		if link, lerr := dir.Readlink(name); lerr == nil {
			return nil, fmt.Errorf("is a link to %s, which cannot be followed inside the repository; replace it with a file", link)
		}
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSize {
		return nil, errTooLarge
	}
	return data, nil
}

// fileError says that the file as a whole cannot be used.
func fileError(name string, err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = fmt.Errorf("cannot be read: %w", pathErr.Err)
	}
	return &Error{File: name, Text: err.Error()}
}

// normalize returns data without a byte order mark and with \n as the only
// line end, so that positions are those an editor shows.
func normalize(name string, data []byte) ([]byte, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	if utf8.Valid(data) && !bytes.ContainsRune(data, 0) {
		return data, nil
	}
	line, column := 1, 1
	for rest := data; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == 0 || r == utf8.RuneError && n == 1 {
			break
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
		rest = rest[n:]
	}
	return nil, &Error{File: name, Line: line, Column: column, Text: "is not text", Hint: "save it as UTF-8"}
}
