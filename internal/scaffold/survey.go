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
	// maxFiles bounds the look at a tree: 500,000 files of fixtures say no more
	// about what a project is than its first folders.
	maxFiles = 50_000
	// maxDepth is how far below the root an app is looked for.
	maxDepth = 6
	// maxRead is how much of a file is read: lock files of large projects have some
	// megabytes, and what is looked for in sources stands in small files.
	maxRead = 8 << 20
	// maxSource is the largest source file that is searched.
	maxSource = 512 << 10
	// maxKept is how much of the sources stays in memory.
	maxKept = 64 << 20
)

// skipped are folders that hold no app: what tools make or bring, and what others
// wrote.
var skipped = []string{"node_modules", "vendor", "venv", "env", "__pycache__", "site-packages", "testdata", "dist", "build", "target", "bower_components", "coverage"}

// A survey is the tree as far as detection looks at it.
type survey struct {
	fsys   fs.FS
	byDir  map[string][]string // the names in each folder that was walked
	listed map[string]bool     // folders of which all names are known
	dirs   []string            // those folders, sorted
	name   string              // of the root

	mu    sync.Mutex
	texts map[string][]byte // guarded by mu: sources that were read, which several apps search
	room  int               // guarded by mu: how many bytes more are kept
}

// look walks the tree once.
func look(fsys fs.FS) (*survey, error) {
	s := &survey{fsys: fsys, byDir: map[string][]string{}, listed: map[string]bool{}, texts: map[string][]byte{}, room: maxKept}
	seen := 0
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if name == "." {
				return fmt.Errorf("look for apps: %w", err)
			}
			return fs.SkipDir // what cannot be read holds no app that can be built
		}
		if seen++; seen > maxFiles {
			clear(s.listed) // what lies further on is asked for by name
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

// has reports a file or folder.
func (s *survey) has(dir, name string) bool {
	at := path.Join(dir, name)
	if slices.Contains(s.byDir[path.Dir(at)], path.Base(at)) {
		return true
	}
	if s.listed[path.Dir(at)] {
		return false
	}
	_, err := fs.Stat(s.fsys, at) // below a folder that was skipped
	return err == nil
}

// first returns the first of the names that is in a folder, "" if none is.
func (s *survey) first(dir string, names ...string) string {
	for _, name := range names {
		if s.has(dir, name) {
			return name
		}
	}
	return ""
}

// matching returns the names in a folder that match one of the patterns, sorted.
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

// isDir reports a folder.
func (s *survey) isDir(dir, name string) bool {
	info, err := fs.Stat(s.fsys, path.Join(dir, name))
	return err == nil && info.IsDir()
}

// read returns a regular file's content, nil if it is not there or too large.
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

// sources yields the files at and below a folder with one of the endings, as
// paths from the root, and their content; not those in folders for which stop
// holds.
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

// source returns a source file's content, and keeps it while there is room.
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

// stopped reports that a folder, or one between it and dir, ends the search.
func (s *survey) stopped(dir, d string, stop func(string) bool) bool {
	for ; d != dir && d != "."; d = path.Dir(d) {
		if stop(d) {
			return true
		}
	}
	return false
}

// found is the first match in sources of a pattern with one group.
type found struct {
	path, text string
	groups     []string
}

// search returns the first match of each pattern in the sources below a folder;
// tests do not count.
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

// isTest reports a file of tests by its name.
func isTest(name string) bool {
	base := path.Base(name)
	return strings.HasSuffix(base, "_test.go") || strings.HasPrefix(base, "test_") || strings.HasSuffix(base, "_test.py") ||
		strings.Contains(base, ".test.") || strings.Contains(base, ".spec.") || base == "conftest.py" || strings.HasSuffix(strings.TrimSuffix(base, path.Ext(base)), ".config") ||
		slices.ContainsFunc(strings.Split(path.Dir(name), "/"), func(d string) bool { return d == "tests" || d == "test" || d == "__tests__" || d == "e2e" })
}
