package scaffold

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

const (
	// maxFiles is the number of files after which the walk ends. More, such as fixtures,
	// rarely say anything about what the project is.
	maxFiles = 50_000
	// maxDepth is how many folders below the root apps are looked for.
	maxDepth = 6
	// maxRead is the size in bytes up to which manifests and lock files are read. Lock
	// files of large projects have some megabytes.
	maxRead = 8 << 20
	// maxSource is the size in bytes up to which source files are searched.
	maxSource = 512 << 10
	// maxKept is how many bytes of source files are kept in memory.
	maxKept = 64 << 20
)

// skipped are the names of folders that are not searched for apps, because tools make
// what is in them, or it belongs to others.
var skipped = []string{"node_modules", "vendor", "venv", "env", "__pycache__", "site-packages", "testdata", "dist", "build", "target", "bower_components", "coverage"}

// A survey is a tree of files, as far as it was walked. Paths are relative to its root.
type survey struct {
	fsys   fs.FS
	byDir  map[string][]string // the names in each folder that was walked
	listed map[string]bool     // the folders of which byDir has all names
	dirs   []string            // the folders that were walked, sorted
	name   string              // of the root

	mu    sync.Mutex        // guards the fields that follow
	texts map[string][]byte // sources that were read, since several apps search the same ones
	room  int               // how many more bytes of sources are kept
}

// look walks the tree once. An error means that the root cannot be read; the survey is
// never nil.
func look(fsys fs.FS) (*survey, error) {
	s := &survey{fsys: fsys, byDir: map[string][]string{}, listed: map[string]bool{}, texts: map[string][]byte{}, room: maxKept}
	seen := 0
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if name == "." {
				return fmt.Errorf("look for apps: %w", err)
			}
			return fs.SkipDir // nothing in there could be built
		}
		if seen++; seen > maxFiles {
			clear(s.listed) // so that has looks at the file system for all other names
			return fs.SkipAll
		}
		base := path.Base(name)
		if d.IsDir() {
			hidden := strings.HasPrefix(base, ".") && name != "."
			if hidden || slices.Contains(skipped, base) || strings.Count(name, "/") >= maxDepth {
				s.byDir[path.Dir(name)] = append(s.byDir[path.Dir(name)], base)
				return fs.SkipDir
			}
			s.dirs = append(s.dirs, name)
			s.listed[name] = true
			if name == "." {
				return nil
			}
		}
		s.byDir[path.Dir(name)] = append(s.byDir[path.Dir(name)], base)
		return nil
	})
	slices.Sort(s.dirs)
	return s, err
}

// has reports whether the folder dir has a file or folder with a name, which may be a path.
func (s *survey) has(dir, name string) bool {
	at := path.Join(dir, name)
	if slices.Contains(s.byDir[path.Dir(at)], path.Base(at)) {
		return true
	}
	if s.listed[path.Dir(at)] {
		return false
	}
	_, err := fs.Stat(s.fsys, at) // its folder was not walked
	return err == nil
}

// first returns the first of the names that the folder dir has; "" if it has none.
func (s *survey) first(dir string, names ...string) string {
	for _, name := range names {
		if s.has(dir, name) {
			return name
		}
	}
	return ""
}

// matching returns the names in the folder dir that match one of the patterns, sorted.
func (s *survey) matching(dir string, patterns ...string) []string {
	var list []string
	for _, name := range s.byDir[dir] {
		if slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, name); return ok }) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// isDir reports whether name is a folder in the folder dir.
func (s *survey) isDir(dir, name string) bool {
	info, err := fs.Stat(s.fsys, path.Join(dir, name))
	return err == nil && info.IsDir()
}

// read returns the content of a regular file; nil if there is none or it is too large.
func (s *survey) read(dir, name string) []byte {
	if !s.has(dir, name) {
		return nil
	}
	at := path.Join(dir, name)
	info, err := fs.Stat(s.fsys, at)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxRead {
		return nil
	}
	text, err := fs.ReadFile(s.fsys, at)
	if err != nil {
		return nil
	}
	return text
}

// sources calls yield with each source file in the folder dir and below it that has one of
// the endings, until yield returns false. It leaves out folders for which stop, which may be
// nil, returns true, with all below them; dir itself is never left out.
func (s *survey) sources(dir string, endings []string, stop func(dir string) bool, yield func(name string, text []byte) bool) {
	for _, d := range s.dirs {
		if d != dir && dir != "." && !strings.HasPrefix(d, dir+"/") || d != dir && stop != nil && s.stopped(dir, d, stop) {
			continue
		}
		for _, name := range s.byDir[d] {
			if !slices.Contains(endings, path.Ext(name)) {
				continue
			}
			at := path.Join(d, name)
			if text, ok := s.source(at); ok && !yield(at, text) {
				return
			}
		}
	}
}

// source returns the content of a source file; false if there is none or it is too large. It
// keeps the content in memory as long as there is room.
func (s *survey) source(at string) ([]byte, bool) {
	s.mu.Lock()
	text, ok := s.texts[at]
	s.mu.Unlock()
	if ok {
		return text, true
	}
	info, err := fs.Stat(s.fsys, at)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxSource {
		return nil, false
	}
	if text, err = fs.ReadFile(s.fsys, at); err != nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.room -= len(text); s.room > 0 {
		s.texts[at] = text
	}
	return text, true
}

// stopped reports whether stop returns true for the folder d, or for one between it and dir.
func (s *survey) stopped(dir, d string, stop func(string) bool) bool {
	for ; d != dir && d != "."; d = path.Dir(d) {
		if stop(d) {
			return true
		}
	}
	return false
}

// found is the first match of a pattern in source files; zero if there is none.
type found struct {
	path, text string   // the file, and the text that matches
	groups     []string // "" for a group that has no part in the match
}

// search returns the first match of each pattern in the source files of the folder dir, except
// for tests. The other arguments are those of sources.
func (s *survey) search(dir string, endings []string, stop func(string) bool, patterns ...*regexp.Regexp) []found {
	result := make([]found, len(patterns))
	left := len(patterns)
	s.sources(dir, endings, stop, func(name string, text []byte) bool {
		if isTest(name) {
			return true
		}
		for i, p := range patterns {
			if result[i].path != "" {
				continue
			}
			if m := p.FindSubmatch(text); m != nil {
				result[i] = found{path: name, text: string(m[0])}
				for _, g := range m[1:] {
					result[i].groups = append(result[i].groups, string(g))
				}
				left--
			}
		}
		return left > 0
	})
	return result
}

// isTest reports whether a file is a test, or the configuration of a tool, by its path.
func isTest(name string) bool {
	base := path.Base(name)
	return strings.HasSuffix(base, "_test.go") || strings.HasPrefix(base, "test_") || strings.HasSuffix(base, "_test.py") ||
		strings.Contains(base, ".test.") || strings.Contains(base, ".spec.") || base == "conftest.py" || strings.HasSuffix(strings.TrimSuffix(base, path.Ext(base)), ".config") ||
		slices.ContainsFunc(strings.Split(path.Dir(name), "/"), func(d string) bool { return d == "tests" || d == "test" || d == "__tests__" || d == "e2e" })
}
