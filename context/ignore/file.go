package ignore

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A File is an ignore file as BuildKit reads it.
type File struct {
	// Path is where the file was found; "" if there is none, and nothing is ignored.
	Path string
	// Specific reports whether it is the Dockerfile's own file
	// (`<Dockerfile>.dockerignore`), which replaces the context's.
	Specific bool
	// Lines are the patterns; blank lines and comments are left out.
	Lines []Line
}

// A Line is one pattern of an ignore file.
type Line struct {
	Number  int    // counting from 1
	Pattern string // normalised, with a leading "!" for an exception
}

// Patterns returns the patterns in order, as BuildKit sends them.
func (f *File) Patterns() []string {
	patterns := make([]string, len(f.Lines))
	for i, l := range f.Lines {
		patterns[i] = l.Pattern
	}
	return patterns
}

// An Error is a pattern, or a whole ignore file, over which BuildKit refuses a build.
type Error struct {
	File string // "" for a pattern from a Dockerfile
	Line int    // from 1
	Err  error
	Hint string // what the user can do about it
}

// Error returns the message of Err, after the file and line if there is a file.
func (e *Error) Error() string {
	if e.File == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Find reads the ignore file that applies to a build of dockerfile in the
// context directory: the one beside the Dockerfile and named after it, else
// `.dockerignore` at the context's root (BuildKit: dockerui.ReadEntrypoint).
// A remote context has none; pass "".
func Find(context, dockerfile string) (*File, error) {
	return FindIn(os.ReadFile, context, dockerfile)
}

// FindIn is Find with a function to read files, which need not be on disk. For a
// missing file its error must wrap fs.ErrNotExist.
func FindIn(read func(name string) ([]byte, error), context, dockerfile string) (*File, error) {
	if context == "" {
		return &File{}, nil
	}
	for _, candidate := range Candidates(context, dockerfile) {
		data, err := read(candidate)
		switch {
		case err == nil:
			f, err := Parse(candidate, data)
			if f != nil {
				f.Specific = candidate != filepath.Join(context, ".dockerignore")
			}
			return f, err
		case !missing(err):
			return nil, fmt.Errorf("read ignore file: %w", err)
		}
	}
	return &File{}, nil
}

// Candidates returns the paths at which [Find] looks for an ignore file, in that
// order. dockerfile is "" for a Dockerfile that is not a file.
func Candidates(context, dockerfile string) []string {
	if dockerfile == "" {
		return []string{filepath.Join(context, ".dockerignore")}
	}
	return []string{dockerfile + ".dockerignore", filepath.Join(context, ".dockerignore")}
}

// missing reports whether err means that there is no such file. A directory with
// that name is none.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR)
}

var byteOrderMark = []byte{0xEF, 0xBB, 0xBF}

// Parse parses the text of an ignore file; name is its path, for errors. The
// patterns equal those of ignorefile.ReadAll. The error, an [*Error], includes
// patterns that BuildKit would reject only later, when it matches them.
func Parse(name string, data []byte) (*File, error) {
	f := &File{Path: name}
	scanner := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(data, byteOrderMark)))
	number := 0
	for scanner.Scan() {
		number++
		pattern, ok := normalise(scanner.Text())
		if !ok {
			continue
		}
		if _, err := newRule(pattern); err != nil {
			return nil, refused(name, number, pattern, err)
		}
		f.Lines = append(f.Lines, Line{number, pattern})
	}
	if err := scanner.Err(); err != nil {
		return nil, &Error{File: name, Line: number + 1, Err: errors.New("line is longer than 64 KiB"),
			Hint: "BuildKit refuses the file; split or shorten the line"}
	}
	return f, nil
}

// refused returns the Error for a pattern that newRule rejected with err.
func refused(name string, number int, pattern string, err error) *Error {
	e := &Error{File: name, Line: number, Err: fmt.Errorf("pattern %q: %w", pattern, err)}
	switch {
	case pattern == "!":
		e.Err = errors.New(`"!" alone excludes nothing`)
		e.Hint = "name what to re-include after the !, or remove the line"
	case strings.Contains(pattern, "["):
		e.Hint = "close the bracket, or write \\[ for the character itself"
	case strings.Contains(pattern, `\`):
		e.Hint = "write / between directories: a \\ escapes the character after it"
	default:
		e.Hint = "write \\ before a brace for the character itself"
	}
	return e
}

// normalise returns the pattern on a line, or false for a blank line or a comment.
// A "#" starts a comment only in the first column, before space is trimmed.
func normalise(line string) (string, bool) {
	if strings.HasPrefix(line, "#") {
		return "", false
	}
	pattern := strings.TrimSpace(line)
	if pattern == "" {
		return "", false
	}
	invert := pattern[0] == '!'
	if invert {
		pattern = strings.TrimSpace(pattern[1:])
	}
	if pattern != "" {
		pattern = filepath.ToSlash(filepath.Clean(pattern))
		if len(pattern) > 1 && pattern[0] == '/' {
			pattern = pattern[1:]
		}
	}
	if invert {
		pattern = "!" + pattern
	}
	return pattern, true
}
