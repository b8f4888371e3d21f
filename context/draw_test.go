package buildctx

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A sketch is a small directory on disk, drawn at random, with what is asked of
// it: ignore files and the paths of COPY instructions. Names, patterns and
// paths share one small alphabet, so that they meet.
type sketch struct {
	*rand.Rand
	root  string
	dirs  []string // slash-separated, "." first
	paths []string // everything but the root
}

// The alphabet. The second list is of what a pattern, a shell or a decoder
// gives a meaning to.
var (
	plainNames = []string{"a", "b", "ab", "a.go", "b.go", "src", "node_modules", ".git", ".env", "README.md"}
	oddNames   = []string{
		"a\nb", "\xff", "é", " ", "a b", "#a", "!a", "[a]", "a*", "*", `a\b`, `\`, "{a}", "a|b", "-", "...", "..a", "A", "^", "$", "\ufeffa", "a+", "(a)",
	}
)

// word draws a name: of the few plain ones mostly.
func (s *sketch) word() string {
	if s.IntN(4) == 0 {
		return pick(s.Rand, oddNames)
	}
	return pick(s.Rand, plainNames)
}

// newSketch draws a directory.
func newSketch(t *testing.T, r *rand.Rand, root string) *sketch {
	t.Helper()
	s := &sketch{Rand: r, root: root, dirs: []string{"."}}
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for range 4 + s.IntN(14) {
		name := path.Join(pick(r, s.dirs), s.word())
		if s.make(t, name) {
			s.paths = append(s.paths, name)
		}
	}
	return s
}

// make makes one entry of any kind; false if the name is taken.
func (s *sketch) make(t *testing.T, name string) bool {
	t.Helper()
	abs := filepath.Join(s.root, name)
	var err error
	switch s.IntN(16) {
	default:
		if err = os.Mkdir(abs, pick(s.Rand, []fs.FileMode{0o755, 0o700})); err == nil {
			s.dirs = append(s.dirs, name)
		}
	case 0, 1, 2, 3, 4, 5, 6:
		if _, err = os.Lstat(abs); err == nil {
			return false
		}
		err = os.WriteFile(abs, make([]byte, s.IntN(9)), pick(s.Rand, []fs.FileMode{0o644, 0o755}))
	case 7, 8:
		err = os.Symlink(s.target(), abs)
	case 9:
		if err = os.Link(filepath.Join(s.root, s.entry()), abs); err != nil {
			return false // of a directory
		}
	case 10:
		switch s.IntN(4) {
		case 0:
			err = syscall.Mkfifo(abs, 0o600)
		case 1:
			err = s.socket(abs)
		}
	}
	if err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	_, statErr := os.Lstat(abs)
	return err == nil && statErr == nil
}

func (s *sketch) socket(abs string) error {
	if len(abs) > 100 { // sun_path
		return os.ErrExist
	}
	if _, err := os.Lstat(abs); err == nil {
		return os.ErrExist
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: abs, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return l.Close()
}

// entry is something of the directory, or a name that may not be there.
func (s *sketch) entry() string {
	if len(s.paths) == 0 || s.IntN(8) == 0 {
		return s.word()
	}
	return pick(s.Rand, s.paths)
}

// target is where a link leads: near, far, up, out, in a circle or nowhere.
func (s *sketch) target() string {
	to := s.entry()
	return pick(s.Rand, []string{to, "../" + to, "../../" + to, "/" + to, "./" + to, path.Base(to), ".", "..", "/", to + "/"})
}

// ignoreFile draws the text of an ignore file.
func (s *sketch) ignoreFile() string {
	var b strings.Builder
	if s.IntN(12) == 0 {
		b.WriteString("\ufeff")
	}
	end := "\n"
	if s.IntN(8) == 0 {
		end = "\r\n"
	}
	var lines []string
	for range s.IntN(6) {
		lines = append(lines, s.ignoreLine(lines))
	}
	b.WriteString(strings.Join(lines, end))
	if s.IntN(3) > 0 {
		b.WriteString(end)
	}
	return b.String()
}

// ignoreLine draws a line, which may repeat or take back one of those before it.
func (s *sketch) ignoreLine(before []string) string {
	line := s.pattern()
	if len(before) > 0 && s.IntN(5) == 0 {
		line = strings.TrimPrefix(pick(s.Rand, before), "!")
		line = pick(s.Rand, []string{line, path.Dir(line), line + "/" + s.word(), "**/" + line})
	}
	if s.IntN(3) == 0 {
		line = pick(s.Rand, []string{"!", "!", "!", "! ", " !", "!!"}) + line
	}
	switch s.IntN(24) {
	case 0:
		return pick(s.Rand, []string{"", " ", "# " + line, "#" + line, " # " + line, ".", "/", "..", "../a", "./", "//", "!", "a["})
	case 1:
		return pick(s.Rand, []string{"/", "./", "//", "a/../", "\t"}) + line
	case 2:
		return line + pick(s.Rand, []string{"/", "/.", "//", "/..", " ", "\t", "/./**"})
	}
	return line
}

// pattern draws one near the directory's own paths, or of the usual forms.
func (s *sketch) pattern() string {
	p := pick(s.Rand, []string{"", "", "", "**/", "**/", "*/", "**", "a/", "src/"}) +
		pick(s.Rand, []string{s.word(), s.word(), "*", "**", "*.go", "s?c", "[a-c]", "[^a]", "[!a]", `\a`, `\*`, `\[a]`, "?", ".*", "***", "a*b", "{a,b}", "a|b"}) +
		pick(s.Rand, []string{"", "", "", "", "*", "**", "/**", "/*", "/*/**", "/**/b", "/b", "/*.go", "[ab]"})
	if s.IntN(3) > 0 {
		return p
	}
	p = s.entry()
	if s.IntN(3) == 0 {
		at := s.IntN(len(p) + 1)
		p = p[:at] + pick(s.Rand, []string{"*", "**", "?", "/", "**/", "/**", "[a-z]", `\`}) + p[min(len(p), at+s.IntN(2)):]
	}
	return strings.ReplaceAll(p, "\n", "?") // a line ends there
}

// copied draws the paths of a request as BuildKit makes them of COPY
// instructions: clean, relative, sorted; nil for everything.
func (s *sketch) copied() []string {
	if s.IntN(6) == 0 {
		return nil
	}
	var list []string
	for range 1 + s.IntN(3) {
		p := s.entry()
		switch s.IntN(8) {
		case 0:
			p = path.Join(path.Dir(p), pick(s.Rand, []string{"*", "*.go", "a*", "[ab]*", "?", "*[!a]", `\*`, "s?c"}))
		case 1:
			p = path.Join(pick(s.Rand, []string{"*", "a*", "src*"}), path.Base(p))
		case 2:
			p = path.Join(p, pick(s.Rand, []string{s.word(), "..", "**/a"})) // perhaps through a link
		case 3:
			p = "missing"
		}
		if p = strings.TrimPrefix(path.Clean("/"+p), "/"); p == "" {
			p = "."
		}
		if strings.Contains(p+"/", `\/`) && s.IntN(10) > 0 {
			p = "a" // else nothing is escaped, and BuildKit refuses it
		}
		list = append(list, p)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// String shows what is on disk, for a failure.
func (s *sketch) String() string {
	var b strings.Builder
	_ = filepath.WalkDir(s.root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == s.root {
			return err
		}
		rel, _ := filepath.Rel(s.root, p)
		link, _ := os.Readlink(p)
		_, err = fmt.Fprintf(&b, "  %q %v %q\n", rel, d.Type(), link)
		return err
	})
	return b.String()
}
