package suggest

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// A lockPath finds packages from a path of the sources in a lock file. Whatever the pattern matches
// has one of the words, and is in the line of that or begins in the one above: to look for these first
// is fast also in a file of megabytes.
type lockPath struct {
	words   []string
	pattern *regexp.Regexp // if it has a group, that matches what is a path or a URL
}

// lockPaths has a lockPath for each lock file, by name.
var lockPaths = map[string]lockPath{
	"package-lock.json":   {[]string{"file:"}, regexp.MustCompile(`"resolved"\s*:\s*"(?:git\+)?file:`)},
	"npm-shrinkwrap.json": {[]string{"file:"}, regexp.MustCompile(`"resolved"\s*:\s*"(?:git\+)?file:`)},
	"yarn.lock": {
		[]string{"file:", "@portal:", "@link:", "@exec:"},
		regexp.MustCompile(`(?m)^\s+resolved "?(?:git\+)?file:|^\s+resolution: ".*@(?:file|portal|link|exec):`),
	},
	"pnpm-lock.yaml": {[]string{"file:", "directory"}, regexp.MustCompile(`tarball: ['"]?file:|\btype: directory\b`)},
	"bun.lock":       {[]string{"@file:", "@link:"}, regexp.MustCompile(`"[^"]+@(?:file|link):`)},
	"bun.lockb":      {[]string{"file:", "link:"}, regexp.MustCompile(`(?:file|link):`)}, // strings stand in it one behind the other
	"uv.lock": {
		[]string{"source = {"},
		regexp.MustCompile(`(?m)^source = \{ (?:path|directory|editable|virtual|registry) = "([^"]*)"`),
	},
	"poetry.lock": {
		[]string{`type = "directory"`, `type = "file"`, `url = "file:`},
		regexp.MustCompile(`(?m)^type = "(?:directory|file)"$|^url = "file:`),
	},
	"Pipfile.lock": {[]string{`"path"`, `"file"`}, regexp.MustCompile(`"(?:path|file)"\s*:\s*"([^"]*)"`)},
	"pdm.lock":     {[]string{`path = "`, `url = "file:`}, regexp.MustCompile(`(?m)^path = "|^url = "file:`)},
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
		if slices.Contains(in.extra, path.Join(in.dir, name)) && lockPaths[name].in(string(r.local(name))) {
			return name + " has a package from a path of the sources"
		}
	}
	return ""
}

// in reports whether the text of a lock file has a package from a path.
func (p lockPath) in(text string) bool {
	return slices.ContainsFunc(p.words, func(word string) bool {
		for at := strings.Index(text, word); at >= 0; {
			end := at + len(word)
			if rest, _, more := strings.Cut(text[end:], "\n"); more {
				end += len(rest) + 1
			} else {
				end = len(text)
			}
			if p.matches(text[lineAbove(text, at):end]) {
				return true
			}
			next := strings.Index(text[end:], word)
			if next < 0 {
				break
			}
			at = end + next
		}
		return false
	})
}

// lineAbove returns where the line above that of text[at] begins.
func lineAbove(text string, at int) int {
	line := strings.LastIndexByte(text[:at], '\n') + 1
	return strings.LastIndexByte(text[:max(0, line-1)], '\n') + 1
}

// matches reports whether a part of a lock file has a package from a path.
func (p lockPath) matches(text string) bool {
	return slices.ContainsFunc(p.pattern.FindAllStringSubmatch(text, -1), func(match []string) bool {
		if len(match) == 1 {
			return true
		}
		place := match[1]
		isURL := strings.Contains(place, "://") && !strings.HasPrefix(place, "file:")
		return !isURL && place != "." // the project itself
	})
}
