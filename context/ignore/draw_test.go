package ignore_test

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
)

// The alphabet of names and patterns. It is small, so that patterns and names have a
// chance to match, and has every character that some syntax gives a meaning to.
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

// A generator draws trees, and patterns that are likely to match in them.
type generator struct{ *rand.Rand }

// pick returns an element of one of the lists.
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

// again draws three lines that exclude a directory, re-include something in it, and
// exclude the directory again.
func (g generator) again(tr *tree) []string {
	dirs := slices.Sorted(maps.Keys(tr.names))
	dir := dirs[g.IntN(len(dirs))]
	names := tr.names[dir]
	return []string{cmp.Or(dir, "*"), "!" + path.Join(dir, names[g.IntN(len(names))]), cmp.Or(dir, "a")}
}

// pattern draws a pattern: any string, one close to a path of the tree, or one of
// the usual forms.
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
