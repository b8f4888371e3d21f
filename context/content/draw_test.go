package content_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"

	"github.com/tonistiigi/fsutil/types"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A file is one of a made-up context, as the client sends it.
type file struct {
	*types.Stat
	data string
}

func (f file) String() string {
	return fmt.Sprintf("%q %v link %q xattrs %q data %q", f.Path, fs.FileMode(f.Mode), f.Linkname, f.Xattrs, f.data)
}

// The alphabets of names, links and selectors: few, so that they meet, and all
// that anything gives a meaning to.
var (
	names = []string{
		"a", "a", "a", "b", "b", "c", "ab", "a.go", "b.go", "a-", "a\x01", "src", "*", "a*", "[a]", `a\`, `\a`, `a\b`, "?", "!", "é",
		"\xff", "\xff\xff", "\xffa", "\xfe", "..a", " ",
	}
	targets = []string{"a", "b", "../a", "/", "/a", "/a/b", ".", "..", "../..", "a/b", "./a/", "//b", "nowhere", "nowhere/../a", "src", "a/../b"}
	globs   = []string{"*", "*", "a*", "?", "[ab]", "[^a]", "[^x]b", `\a`, `a\*`, "*.go", "**", "[", "a[", "[a-c]*", `\`, "[]a]", "*a*"}
	rules   = []string{"*", "**", "a", "b", "a/b", "**/a", "*.go", "**/*.go", "!a", "!a/b", "!*", "!**/b", "a/**", "a/*", "src", "/a", "a/", "./b", "../a", "?", "[a", "a*", " ", "!", "\\a"}
	modes   = []fs.FileMode{0o644, 0o644, 0o600, 0o755, 0o664, 0, 0o777 | fs.ModeSetuid, 0o755 | fs.ModeSetgid, 0o644 | fs.ModeSticky}
	attrs   = []string{"user.a", "user.b", "security.capability", "security.selinux", "system.posix_acl_access", "trusted.x", "security."}
)

// A generator draws contexts and selectors that have something to do with each
// other.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 0))} }

func pick[T any](g generator, list []T) T { return list[g.IntN(len(list))] }

// files draws a context in the order of a walk.
func (g generator) files() []file {
	byPath := map[string]file{}
	dirs := []string{""}
	var regular []string
	for range g.IntN(24) {
		p := path.Join(pick(g, dirs), "x")
		p = strings.TrimSuffix(p, "x") + pick(g, names)
		if _, taken := byPath[p]; taken {
			continue
		}
		f := file{Stat: &types.Stat{Path: p, Mode: uint32(pick(g, modes)), ModTime: g.Int64()}}
		switch g.IntN(10) {
		case 0, 1, 2, 3:
			f.Mode |= uint32(fs.ModeDir)
			dirs = append(dirs, p)
		case 4, 5:
			f.Mode = uint32(fs.ModeSymlink | 0o777)
			f.Linkname = pick(g, targets)
			f.Size = int64(len(f.Linkname))
		case 6:
			g.special(f)
		default:
			f.data = strings.Repeat("x", g.IntN(4))
			f.Size = int64(len(f.data))
			regular = append(regular, p)
		}
		if g.IntN(5) == 0 {
			f.Xattrs = map[string][]byte{}
			for range 1 + g.IntN(3) {
				f.Xattrs[pick(g, attrs)] = []byte(pick(g, names))
			}
		}
		byPath[p] = f
	}
	g.hardLinks(byPath, dirs, regular)
	var list []file
	for _, f := range byPath {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b file) int {
		return strings.Compare(strings.ReplaceAll(a.Path, "/", "\x00"), strings.ReplaceAll(b.Path, "/", "\x00"))
	})
	return list
}

// special makes f a device or a pipe; or a socket, which arrives as a file.
func (g generator) special(f file) {
	kind := pick(g, []fs.FileMode{fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice, fs.ModeNamedPipe, fs.ModeSocket})
	f.Mode |= uint32(kind)
	if kind&fs.ModeDevice != 0 {
		f.Devmajor, f.Devminor = g.Int64N(300), g.Int64N(70000)
	}
}

// hardLinks gives some files a further name, which comes after the first.
func (g generator) hardLinks(byPath map[string]file, dirs, regular []string) {
	if len(regular) == 0 {
		return
	}
	for range g.IntN(3) {
		first := pick(g, regular)
		p := path.Join(pick(g, dirs), "zz"+pick(g, names))
		if _, taken := byPath[p]; taken || strings.ContainsAny(p, "\xff\xfe") {
			continue
		}
		f := byPath[first]
		f.Stat = f.Stat.Clone()
		f.Path, f.Linkname = p, first
		byPath[p] = f
	}
}

// selector draws what a step may take of files.
func (g generator) selector(files []file) dockerfile.Selector {
	s := dockerfile.Selector{Path: g.path(files), FollowLinks: g.IntN(3) > 0}
	for range g.IntN(3) {
		s.Include = append(s.Include, g.rule(files))
	}
	for range g.IntN(4) {
		s.Exclude = append(s.Exclude, g.rule(files))
	}
	switch g.IntN(4) {
	case 0:
		s.Include, s.Exclude = nil, nil
	case 1:
		s.Include = nil
	}
	// As BuildKit does (solver/llbsolver/ops: addSelector).
	s.Wildcard = g.IntN(5) > 0 && hasWildcards(s.Path)
	if g.IntN(8) == 0 && (s.Wildcard || s.Include != nil || s.Exclude != nil) {
		s.Required = []string{"/" + g.path(files)}
	}
	return s
}

func (g generator) rule(files []file) string {
	if len(files) > 0 && g.IntN(3) == 0 {
		// What is no UTF-8 cannot get into a definition, and patternmatcher
		// would write to stderr about it.
		return strings.ToValidUTF8(pick(g, []string{"", "", "!"})+pick(g, files).Path, "")
	}
	return pick(g, rules)
}

// path draws the path of a file, a link followed by names, or wildcards.
func (g generator) path(files []file) string {
	if g.IntN(12) == 0 || len(files) == 0 {
		return pick(g, []string{"", "/", ".", "a", "a/b", "nowhere", "..", "../a"})
	}
	parts := strings.Split(pick(g, files).Path, "/")
	if g.IntN(5) == 0 {
		parts = append(parts, pick(g, names))
	}
	for i := range parts {
		if g.IntN(3) == 0 {
			parts[i] = pick(g, globs)
		}
	}
	return strings.Join(parts, "/")
}

func hasWildcards(name string) bool {
	for i := 0; i < len(name); i++ {
		if c := name[i]; c == '\\' {
			i++
		} else if c == '*' || c == '?' || c == '[' {
			return true
		}
	}
	return false
}
