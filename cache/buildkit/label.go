package buildkit

import (
	"fmt"
	"regexp"
	"strings"
)

// A label is the part of a vertex's name that may be shown and stored: the position of
// the step, and its keyword. The rest of the name contains values of args.
type label struct {
	prefix       string // "[linux/amd64 build 3/7]"
	platform     string // "linux/amd64"; "" if the name has none
	stage        string // "build"; "" if the name has none
	index, total int    // 3 and 7
	keyword      string // RUN, COPY, ADD, WORKDIR, or FROM
	onBuild      bool   // it is an ONBUILD trigger of the base image
}

// stepName matches the names that the frontend gives to steps (BuildKit:
// dockerfile2llb/convert.go, prefixCommand). A slash tells a platform from the name of
// a stage, which cannot have one.
var stepName = regexp.MustCompile(`^(\[(?:([\w.()+-]+/[\w./()+-]+(?:->[\w./()+-]+)?) )?(?:([a-zA-Z][\w.-]*) )? *(\d+)/(\d+)\]) (ONBUILD )?(?:LINK )?(RUN|COPY|ADD|WORKDIR|FROM)\b`)

// parseLabel returns the label of a vertex's name, false if it is not a step's.
func parseLabel(name string) (label, bool) {
	m := stepName.FindStringSubmatch(name)
	if m == nil {
		return label{}, false
	}
	l := label{prefix: m[1], platform: targetPlatform(m[2]), stage: m[3], onBuild: m[6] != "", keyword: m[7]}
	// Only digits match, so this fails only for a number too large for an int.
	if _, err := fmt.Sscan(m[4], &l.index); err != nil {
		return label{}, false
	}
	if _, err := fmt.Sscan(m[5], &l.total); err != nil {
		return label{}, false
	}
	return l, true
}

// archVariant matches "arm/v7", an architecture with its variant.
var archVariant = regexp.MustCompile(`^[^/]+/v\d+$`)

// targetPlatform returns the platform that is built for. Names of steps have it as
// "linux/arm64", or as "linux/amd64->arm64" if the step runs on another platform.
func targetPlatform(name string) string {
	runsOn, target, cross := strings.Cut(name, "->")
	if !cross {
		return name
	}
	// The target is named in full only if its operating system is another one.
	if strings.Contains(target, "/") && !archVariant.MatchString(target) {
		return target
	}
	os, _, _ := strings.Cut(runsOn, "/")
	return os + "/" + target
}

// step reports whether l is the label of a step that BuildKit executes; FROM is not.
func (l label) step() bool { return l.keyword != "" && l.keyword != "FROM" }
