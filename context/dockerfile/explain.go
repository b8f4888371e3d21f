package dockerfile

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/solver/errdefs"
)

// explain returns the frontend's error as an [*Error], with file, line and a hint, and
// without prefixes and values that a user should not see.
func (in Input) explain(err error) error {
	e := &Error{File: in.shownFile(), Err: err}
	var already *Error
	if errors.As(err, &already) {
		return already
	}
	var located *parser.LocationError
	if errors.As(err, &located) {
		if len(located.Locations) > 0 && len(located.Locations[0]) > 0 {
			e.Line = located.Locations[0][0].Start.Line
		}
	}
	if e.Line == 0 {
		for _, src := range errdefs.Sources(err) {
			if len(src.Ranges) > 0 && src.Ranges[0].Start != nil {
				e.Line = int(src.Ranges[0].Start.Line)
			}
		}
	}
	e.Err = errors.New(in.redact(plainMessage(err)))
	if lacksValue.MatchString(err.Error()) {
		e.Hint = "give its ARG a default, or the build a value: args of `builds` in stoker.yaml, or --build-arg"
	}
	if strings.Contains(err.Error(), "failed to parse target platform ") {
		e.Hint = "write a platform as in linux/amd64 or linux/arm/v7"
	}
	if unknownWord.MatchString(err.Error()) {
		e.Hint = in.otherFrontend()
	}
	if in.Target != "" && strings.HasPrefix(plainMessage(err), "target stage ") {
		e.Hint = in.targets()
	}
	return e
}

// unknownWord matches BuildKit's errors for an instruction or a flag of one that it does not have.
var unknownWord = regexp.MustCompile(`unknown (instruction|flag): `)

// otherFrontend returns a hint that names the frontend which the Dockerfile is written for, or "" if
// that is BuildKit's own: somebody else's may have instructions and flags of its own.
func (in Input) otherFrontend() string {
	text, err := in.text()
	if err != nil {
		return ""
	}
	name, _ := in.syntax(text)
	if official := strings.TrimPrefix(name, "docker.io/"); name == "" || strings.HasPrefix(official, "docker/dockerfile:") || strings.HasPrefix(official, "docker/dockerfile@") {
		return ""
	}
	return "it may be of the frontend " + name + ", which the Dockerfile names: stoker runs none, and reads what BuildKit's own reads"
}

// targets returns a hint that names the stages.
func (in Input) targets() string {
	text := in.Shown
	if text == nil {
		text, _ = in.text() // cannot fail: the frontend has read it
	}
	f, err := Parse(in.Dockerfile, text)
	if err != nil {
		return ""
	}
	var names []string
	for _, s := range f.Stages {
		if s.Name != "" && !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return "no stage of it has a name: FROM … AS NAME gives one, or leave the target out"
	}
	return "there are: " + strings.Join(names, ", ")
}

// lacksValue matches BuildKit's error for a FROM with a variable that has no value: FROM
// $NAME, FROM node:$TAG, FROM node@$DIGEST, FROM $HOST/node (BuildKit: dockerfile2llb).
var lacksValue = regexp.MustCompile(`should not be blank|failed to parse stage name "(/|[^"]*([:@/]"|:@|/:|/@|//))`)

// shownFile returns the name of the Dockerfile in errors.
func (in Input) shownFile() string { return cmp.Or(in.Dockerfile, "inline Dockerfile") }

// plainMessage returns the message of a frontend's error without the prefixes that
// wrapping gave it.
func plainMessage(err error) string {
	msg := probe.ReplaceAllString(err.Error(), "")
	for _, prefix := range []string{"failed to solve: ", "dockerfile parse error on ", "failed to read dockerfile: "} {
		msg = strings.TrimPrefix(msg, prefix)
	}
	if rest, ok := strings.CutPrefix(msg, "line "); ok {
		// The line is a field of Error.
		if _, after, ok := strings.Cut(rest, ": "); ok {
			msg = after
		}
	}
	return msg
}
