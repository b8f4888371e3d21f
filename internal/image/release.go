package image

import "strings"

// maxRelease is the size in bytes up to which an os-release file is read.
const maxRelease = 16 << 10

// releaseFiles are the files that name the distribution, the first one that exists counts (os-release(5)).
var releaseFiles = []string{"etc/os-release", "usr/lib/os-release"}

// systemOf returns the name of the distribution from the text of an os-release file; "" if it has none.
func systemOf(text string) string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[key] = strings.Trim(value, `"'`)
		}
	}
	if name := values["PRETTY_NAME"]; name != "" {
		return name
	}
	return strings.TrimSpace(values["NAME"] + " " + values["VERSION_ID"])
}
