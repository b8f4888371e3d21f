package ignore_test

import (
	"path"
	"strings"
	"testing"
)

// FuzzWalk compares walks by states with fsutil's own filter. Patterns and paths
// are separated by NUL, the one character that no name can have.
func FuzzWalk(f *testing.F) {
	const paths = "a/b/c\x00a/b.go\x00ab/c\x00a\nb/c\x00x\xff/a\x00b/a/é\x00[a]\x00a|b"
	for _, patterns := range []string{
		"a", "**/b", "a/**", "**b", "a**", "***", "****", "**", "*\x00!**/*.go", "a\x00!a/b\x00a/b/c", "a/b\x00!a", "a\x00!a/b\x00a",
		"a|b*", "a{2}*", "[^a]*", "[*]", `[\]]b`, `\a`, `\Qa*`, `\bb*`, `*\z`, "[Aa]*", "\ufeffa", "\ufeff**a", "\ufeff**/b/**", "x\xff*", "**\xff",
		"a\xc3**", "\ufffd", "*\ufffd*", "a\n*", ".", "/", "..", "!!a", "**\x00!a/*/**", "*\x00!./a", "**/\x00!\ufeffa/*/**", "a\\", "[", "!",
	} {
		f.Add(patterns, paths)
	}
	f.Fuzz(func(t *testing.T, patterns, paths string) {
		silence(t)
		// Longer input is slow and finds nothing new.
		patterns, paths = patterns[:min(len(patterns), 200)], paths[:min(len(paths), 400)]
		var names []string
		for p := range strings.SplitSeq(paths, "\x00") {
			if p = strings.TrimPrefix(path.Clean("/"+p), "/"); p != "" {
				names = append(names, p)
			}
		}
		list := strings.Split(patterns, "\x00")
		m := newMatcher(t, list)
		if m == nil {
			return
		}
		tr := newTree(names)
		compare(t, m, list, tr)
		compareAlone(t, m, list, tr)
	})
}
