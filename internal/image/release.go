package image

import "strings"

// maxRelease bounds what is read of a file that tells which system it is.
const maxRelease = 16 << 10

// isRelease reports whether the file tells which distribution it is of (os-release(5)).
func isRelease(name string) bool { return name == "etc/os-release" || name == "usr/lib/os-release" }

// systemOf returns the distribution's name for people; "" if the text does not tell.
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
