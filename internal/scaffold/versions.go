package scaffold

import (
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// The versions that are written to Dockerfiles. To change one changes golden files.
const (
	suite      = "trixie"   // Debian 13
	distroless = "debian13" // distroless images of the same release
	nginxImage = "nginx:1.28-alpine-slim"
	alpineRun  = "alpine:3.22"
	uvImage    = "ghcr.io/astral-sh/uv:0.9"
	poetryPin  = "poetry==2.2.1"
	pipenvPin  = "pipenv==2025.0.4"
)

// A release is a version of a language that has an image.
type release struct {
	name string // as in the tag of the image
	full string // a version that is newer than all of this release, to compare ranges with
	old  bool   // its images are no longer updated, and are based on the previous Debian
}

// nodeReleases returns the long-term releases of Node, the best first. 24 is before 26, for
// which many packages have no binaries yet.
// https://github.com/nodejs/release#release-schedule
func nodeReleases() []release {
	return []release{{"24", "24.99.99", false}, {"22", "22.99.99", false}, {"26", "26.99.99", false}, {"20", "20.99.99", false},
		{"18", "18.99.99", true}, {"16", "16.99.99", true}}
}

// pythonReleases returns the releases of CPython, the best first.
// https://devguide.python.org/versions/
func pythonReleases() []release {
	return []release{{"3.13", "3.13.99", false}, {"3.12", "3.12.99", false}, {"3.14", "3.14.99", false}, {"3.11", "3.11.99", false},
		{"3.10", "3.10.99", false}, {"3.9", "3.9.99", true}, {"3.8", "3.8.99", true}}
}

// goOldest is the oldest release of Go that gets fixes. The version in go.mod is only a
// minimum: if it is older, a newer compiler still compiles the language of that version.
// https://go.dev/doc/devel/release#policy, https://go.dev/doc/toolchain
const goOldest = "1.26"

// choose returns the first release that a range of versions allows; false if the range does not
// parse or allows none.
func choose(list []release, constraint string) (release, bool) {
	c, err := semver.NewConstraint(npmRange(constraint))
	if err != nil {
		return release{}, false
	}
	for _, r := range list {
		if v, err := semver.NewVersion(r.full); err == nil && c.Check(v) {
			return r, true
		}
	}
	// An exact version belongs to the release that it begins with.
	exact := strings.TrimLeft(strings.TrimSpace(constraint), "=v ")
	for _, r := range list {
		if exact == r.name || strings.HasPrefix(exact, r.name+".") {
			return r, true
		}
	}
	return release{}, false
}

// compatible matches Python's ~=, which allows a larger last part.
// https://packaging.python.org/en/latest/specifications/version-specifiers/
var compatible = regexp.MustCompile(`~=\s*(\d+)\.(\d+)(\.\d+)?`)

// pythonRange returns a version specifier of Python in the notation of semver.
func pythonRange(spec string) string {
	spec = compatible.ReplaceAllStringFunc(spec, func(m string) string {
		g := compatible.FindStringSubmatch(m)
		if g[3] == "" {
			return "^" + g[1] + "." + g[2]
		}
		return "~" + g[1] + "." + g[2] + g[3]
	})
	return strings.ReplaceAll(strings.ReplaceAll(spec, "===", "="), "==", "=")
}

// npmRange returns a range of npm or nvm in the notation of semver.
func npmRange(r string) string {
	r = strings.TrimSpace(r)
	if r == "lts/*" || strings.HasPrefix(r, "lts/") || r == "node" || r == "latest" || r == "current" {
		return "*"
	}
	return r
}

// major returns the first number of a version.
func major(version string) string {
	version = strings.TrimLeft(strings.TrimSpace(version), "v^~>=< ")
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		return version
	}
	return version[:end]
}

// debian returns the suite of Debian that the images of a release are based on.
func (r release) debian() string {
	if r.old {
		return "bookworm"
	}
	return suite
}
