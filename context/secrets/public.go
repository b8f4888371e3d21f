package secrets

import (
	"slices"
	"strings"
)

// publicPrefixes begin the names of variables that a build of web pages writes into
// what every visitor gets.
// https://vite.dev/guide/env-and-mode, https://nextjs.org/docs/app/guides/environment-variables
var publicPrefixes = []string{"VITE_", "NEXT_PUBLIC_", "NUXT_PUBLIC_", "REACT_APP_", "VUE_APP_", "GATSBY_", "EXPO_PUBLIC_", "PUBLIC_"}

// OnlyPublic reports an environment file in which every variable is one that a build
// writes into pages: it keeps nothing secret, whatever its name (see [Scanner.Name]).
// A file without a variable is none.
func OnlyPublic(text []byte) bool {
	any := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		if line == "" || line[0] == '#' {
			continue
		}
		if !strings.Contains(line, "=") || !slices.ContainsFunc(publicPrefixes, func(p string) bool { return strings.HasPrefix(line, p) }) {
			return false
		}
		any = true
	}
	return any
}
