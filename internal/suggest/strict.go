package suggest

import (
	"slices"
	"strings"
)

// stops reports whether a shell with these flags stops at the first command that fails.
func stops(flags []string) bool {
	return slices.ContainsFunc(flags, func(f string) bool {
		return f == "errexit" || strings.HasPrefix(f, "-") && !strings.HasPrefix(f, "--") && strings.Contains(f, "e")
	})
}

// errexit reports whether a shell stops at the first command that fails after a set with these words,
// if before reports that of the shell without. What is not known does not count.
func errexit(words []string, before bool) bool {
	for i := 1; i < len(words); i++ {
		w := words[i]
		switch {
		case strings.Contains(w, "$"):
			return false
		case len(w) < 2 || w == "--" || w[0] != '-' && w[0] != '+':
			return before
		}
		if strings.Contains(w, "e") {
			before = w[0] == '-'
		}
		if strings.Contains(w, "o") && i+1 < len(words) { // the next word names a setting
			if i++; words[i] == "errexit" {
				before = w[0] == '-'
			}
		}
	}
	return before
}
