package buildkit

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// BuildKit's error texts can contain values of args, so that only the kind of a failure
// may be shown. These take numbers and fixed words out of the texts, and nothing else.
var (
	exitCode   = regexp.MustCompile(`exit code: (\d+)`)
	parseError = regexp.MustCompile(`dockerfile parse error on line (\d+)`)
	refused    = regexp.MustCompile(`\b(network\.host|security\.insecure) is not allowed`)
)

// failure says in words without values why the build ended with err.
func (r *replay) failure(err error) string {
	for _, digest := range r.order {
		v := r.vertices[digest]
		if v.Error == "" || v.canceled() || strings.HasPrefix(v.Name, importVertex) {
			continue // a remote cache that cannot be read does not fail the build
		}
		kind := kindOf(v.Error, codes.Unknown)
		if l, ok := parseLabel(v.Name); ok {
			return fmt.Sprintf("%s %s failed%s", l.prefix, l.keyword, kind)
		}
		return internalVertex(v.Name) + kind
	}
	return "build failed" + kindOf(err.Error(), status.Code(rootOf(err)))
}

// internalVertex says what failed if that is one of BuildKit's own vertices, by the fixed
// beginning of its name.
func internalVertex(name string) string {
	for _, known := range []struct{ prefix, text string }{
		{"[internal] load metadata for", "could not load the metadata of a base image"},
		{"[internal] load build context", "could not transfer the build context"},
		{"[internal] load build definition", "could not transfer the Dockerfile"},
		{"[internal] load .dockerignore", "could not transfer the ignore file"},
		{"resolve image config for", "could not resolve the frontend image of the # syntax line"},
		{"exporting cache", "could not write the cache (--cache-to)"},
		{"exporting", "could not export the result"},
	} {
		if strings.HasPrefix(name, known.prefix) {
			return known.text
		}
	}
	return "build failed"
}

// kindOf returns the kind of a failure with this text and status, as an addition to a
// message: ", exit code 1"; "" if it is unknown.
func kindOf(text string, code codes.Code) string {
	if m := exitCode.FindStringSubmatch(text); m != nil {
		return ", exit code " + m[1]
	}
	if m := parseError.FindStringSubmatch(text); m != nil {
		return ", the Dockerfile does not parse at line " + m[1]
	}
	if m := refused.FindString(text); m != "" {
		return ", " + m
	}
	for _, known := range []string{"not found", "connection refused", "no such host", "i/o timeout", "permission denied",
		"unauthorized", "no space left on device", "no match for platform in manifest", "certificate signed by unknown authority",
		"unknown cache exporter"} {
		if strings.Contains(text, known) {
			return ", " + known
		}
	}
	if code != codes.Unknown && code != codes.OK {
		return ", " + strings.ToLower(code.String())
	}
	return ""
}

// unavailable reports whether err says that the builder cannot be reached.
func unavailable(err error) bool {
	code := status.Code(rootOf(err))
	return code == codes.Unavailable || errors.Is(err, context.DeadlineExceeded) && code != codes.DeadlineExceeded
}
