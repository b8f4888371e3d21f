package suggest

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// lockPaths finds packages from a path of the sources in lock files, by name. What a
// match has in its last group, if any, is a path only without a scheme.
var lockPaths = map[string]*regexp.Regexp{
	"package-lock.json":   regexp.MustCompile(`"resolved"\s*:\s*"(?:git\+)?file:`),
	"npm-shrinkwrap.json": regexp.MustCompile(`"resolved"\s*:\s*"(?:git\+)?file:`),
	"yarn.lock":           regexp.MustCompile(`(?m)^\s+resolved "?(?:git\+)?file:|^\s+resolution: ".*@(?:file|portal|link):`),
	"pnpm-lock.yaml":      regexp.MustCompile(`tarball: ['"]?file:|\btype: directory\b`),
	"bun.lock":            regexp.MustCompile(`"[^"]+@(?:file|link):`),
	"uv.lock":             regexp.MustCompile(`(?m)^source = \{ (?:path|directory|editable|virtual|registry) = "([^"]*)"`),
	"poetry.lock":         regexp.MustCompile(`(?m)^type = "(?:directory|file)"$|^url = "file:`),
	"Pipfile.lock":        regexp.MustCompile(`"(?:path|file)"\s*:\s*"([^"]*)"`),
	"pdm.lock":            regexp.MustCompile(`(?m)^path = "|^url = "file:`),
}

// lockNames are the lock files of a tool.
var lockNames = map[string][]string{
	"npm": {"npm-shrinkwrap.json", "package-lock.json"}, "yarn": {"yarn.lock"}, "pnpm": {"pnpm-lock.yaml"}, "bun": {"bun.lock"},
	"uv": {"uv.lock"}, "poetry": {"poetry.lock"}, "pipenv": {"Pipfile.lock"}, "pdm": {"pdm.lock"},
}

// lockedPath says which lock file of an install has a package from a path of the sources,
// or returns "". Manifests need not name it: it may be one that a package asks for, and
// some installs take the lock file's word for what there is.
func lockedPath(r reader, in install) string {
	for _, name := range lockNames[in.tool] {
		if !slices.Contains(in.extra, path.Join(in.dir, name)) {
			continue // it does not read it
		}
		text := string(r.local(name))
		if !slices.ContainsFunc([]string{"file", "link:", "portal:", "directory", "path", "source"}, func(word string) bool { return strings.Contains(text, word) }) {
			continue
		}
		for _, m := range lockPaths[name].FindAllStringSubmatch(text, -1) {
			if at := m[len(m)-1]; len(m) == 1 || at != "." && (!strings.Contains(at, "://") || strings.HasPrefix(at, "file:")) {
				return name + " has a package from a path of the sources"
			}
		}
	}
	return ""
}
