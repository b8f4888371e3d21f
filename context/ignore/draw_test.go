package ignore_test

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
)

// The alphabet of names and patterns: few characters, so that they meet, and
// all that anything gives a meaning to.
var (
	letters  = []string{"a", "a", "a", "b", "b", "c", "ab", "x.go", ".go", "."}
	oddments = []string{
		"é", "\xff", "\xc3", "\xa9", "\ufffd", "\ufeff", "\n", " ", "^", "$", "-", "!", "+", "(", ")", "|", "{", "}", "#", "*", "[", "]", `\`, "A", "1", "世",
	}
	globs = []string{
		"*", "*", "*", "**", "**", "?", "/", "/", "/", "**/", "/**", "/*", "***", "****", "[ab]", "[a-c]", "[^a]", "[!a]", "[*]", "[?]", "[.]", "[é-世]", "[Aa]",
		`[\]]`, `\*`, `\a`, `\d`, `\w`, `\b`, `\B`, `\z`, `\A`, `\Q`, `\E`, `\pL`, `\y`, `\.`, "..", "./", "[z-a]", "[[:alpha:]]", "\x00",
	}
)

// A generator draws trees and patterns that have something to do with each
// other.
type generator struct{ *rand.Rand }

func (g generator) pick(lists ...[]string) string {
	list := lists[g.IntN(len(lists))]
	return list[g.IntN(len(list))]
}

func (g generator) name() string {
	for {
		var s string
		for range 1 + g.IntN(3) {
			s += g.pick(letters)
			if g.IntN(6) == 0 {
				s += g.pick(oddments)
			}
		}
		if g.IntN(3) == 0 {
			s = g.pick(letters, letters, oddments)
		}
		if s != "." && s != ".." {
			return s
		}
	}
}

func (g generator) tree() *tree {
	dirs, paths := []string{""}, []string(nil)
	for range 14 {
		p := path.Join(dirs[g.IntN(len(dirs))], "x")
		p = strings.TrimSuffix(p, "x") + g.name()
		paths = append(paths, p)
		if g.IntN(2) == 0 {
			dirs = append(dirs, p)
		}
	}
	return newTree(paths)
}

// again draws lines that leave out a directory, take something back, and leave
// the directory out once more.
func (g generator) again(tr *tree) []string {
	dirs := slices.Sorted(maps.Keys(tr.names))
	dir := dirs[g.IntN(len(dirs))]
	names := tr.names[dir]
	return []string{cmp.Or(dir, "*"), "!" + path.Join(dir, names[g.IntN(len(names))]), cmp.Or(dir, "a")}
}

// pattern draws one: near the tree's own paths, of the usual forms, or of
// anything.
func (g generator) pattern(tr *tree) string {
	var p string
	switch g.IntN(4) {
	case 0:
		for range 1 + g.IntN(5) {
			p += g.pick(letters, globs, globs, oddments)
		}
	case 1:
		dirs := slices.Sorted(maps.Keys(tr.names))
		dir := dirs[g.IntN(len(dirs))]
		names := tr.names[dir]
		p = path.Join(dir, names[g.IntN(len(names))])
		if g.IntN(3) == 0 {
			at := g.IntN(len(p) + 1)
			p = p[:at] + g.pick(globs) + p[min(len(p), at+g.IntN(2)):]
		}
	default:
		p = g.pick([]string{"", "", "", "**/", "**/", "*/", "**", "a/", "a/b/", "./", "/"}) +
			g.pick(letters, letters, globs) + g.pick([]string{"", "", "", "*", "**", "/**", "/*", "/*/**", "/b", "/**/a", "*.go", "[ab]"})
	}
	if g.IntN(3) == 0 {
		p = "!" + p
	}
	return p
}
