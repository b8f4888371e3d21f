package suggest

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// lockPaths are patterns that find packages from a path of the sources, by the name of the lock file.
// If a pattern has a group, that matches what is a path or a URL.
var lockPaths = map[string]*regexp.Regexp{
	"package-lock.json":   regexp.MustCompile(`"resolved"\s*:\s*"(?:git\+)?file:`),
	"npm-shrinkwrap.json": regexp.MustCompile(`"resolved"\s*:\s*"(?:git\+)?file:`),
	"yarn.lock":           regexp.MustCompile(`(?m)^\s+resolved "?(?:git\+)?file:|^\s+resolution: ".*@(?:file|portal|link|exec):`),
	"pnpm-lock.yaml":      regexp.MustCompile(`tarball: ['"]?file:|\btype: directory\b`),
	"bun.lock":            regexp.MustCompile(`"[^"]+@(?:file|link):`),
	"bun.lockb":           regexp.MustCompile(`(?:file|link):`), // strings stand in it one behind the other
	"uv.lock":             regexp.MustCompile(`(?m)^source = \{ (?:path|directory|editable|virtual|registry) = "([^"]*)"`),
	"poetry.lock":         regexp.MustCompile(`(?m)^type = "(?:directory|file)"$|^url = "file:`),
	"Pipfile.lock":        regexp.MustCompile(`"(?:path|file)"\s*:\s*"([^"]*)"`),
	"pdm.lock":            regexp.MustCompile(`(?m)^path = "|^url = "file:`),
}

// lockNames are the lock files of each tool.
var lockNames = map[string][]string{
	"npm": {"npm-shrinkwrap.json", "package-lock.json"}, "yarn": {"yarn.lock"}, "pnpm": {"pnpm-lock.yaml"}, "bun": {"bun.lock", "bun.lockb"},
	"uv": {"uv.lock"}, "poetry": {"poetry.lock"}, "pipenv": {"Pipfile.lock"}, "pdm": {"pdm.lock"},
}

// lockedPath says which lock file of an install has a package from a path of the sources,
// or returns "". No manifest of the project needs to name such a package: another package may ask
// for it, and some installs trust the lock file, whatever the manifests say.
func lockedPath(r reader, in install) string {
	for _, name := range lockNames[in.tool] {
		if slices.Contains(in.extra, path.Join(in.dir, name)) && hasPath(string(r.local(name)), lockPaths[name]) {
			return name + " has a package from a path of the sources"
		}
	}
	return ""
}

// hasPath reports whether the text of a lock file has a package from a path, which the pattern finds
// as lockPaths says.
func hasPath(text string, pattern *regexp.Regexp) bool {
	// What a pattern matches contains one of these, which are found faster.
	words := []string{"file", "link:", "portal:", "exec:", "directory", "path", "source"}
	if !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) }) {
		return false
	}
	return slices.ContainsFunc(pattern.FindAllStringSubmatch(text, -1), func(match []string) bool {
		if len(match) == 1 {
			return true
		}
		place := match[1]
		isURL := strings.Contains(place, "://") && !strings.HasPrefix(place, "file:")
		return !isURL && place != "." // the project itself
	})
}
