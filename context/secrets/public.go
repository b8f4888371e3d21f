package secrets

import (
	"slices"
	"strings"
)

// publicPrefixes are the prefixes of variables that frontend tools write into the pages
// that every visitor gets.
// https://vite.dev/guide/env-and-mode, https://nextjs.org/docs/app/guides/environment-variables
var publicPrefixes = []string{"VITE_", "NEXT_PUBLIC_", "NUXT_PUBLIC_", "REACT_APP_", "VUE_APP_", "GATSBY_", "EXPO_PUBLIC_", "PUBLIC_"}

// OnlyPublic reports whether every variable in an environment file is one that a build
// writes into web pages. Such a file has no secrets, although [Scanner.Name] warns about
// its name. It returns false for a file without variables.
func OnlyPublic(text []byte) bool {
	found := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		if line == "" || line[0] == '#' {
			continue
		}
		if !strings.Contains(line, "=") || !slices.ContainsFunc(publicPrefixes, func(p string) bool { return strings.HasPrefix(line, p) }) {
			return false
		}
		found = true
	}
	return found
}
