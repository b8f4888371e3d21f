package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/suggest"
)

// interrupted is the exit status that shells give to a command that Ctrl-C ended.
const interrupted = 130

// A verdict is the error of a command whose output already says what is wrong. It only
// sets the exit status.
type verdict api.Code

func (v verdict) Error() string { return string(v) }

// usage returns an error that says how stoker was called wrongly.
func usage(hint, format string, args ...any) error {
	return &api.Error{Code: api.BadInput, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// exit prints an error and returns its exit status. If ctx has ended, it prints nothing.
func (o *options) exit(ctx context.Context, err error) int {
	var said verdict
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		return interrupted
	case errors.As(err, &said):
		_, status := api.Code(said).Meaning()
		return status
	}
	e := explain(err)
	o.fail(e)
	_, status := e.Code.Meaning()
	return status
}

// goParse matches the part of a flag's error that names the Go function that parses it.
var goParse = regexp.MustCompile(`strconv\.\w+: parsing ".*": `)

// misuse returns the error for flags or arguments that cmd does not take. It rewrites
// cobra's text for users, and adds how cmd is called.
func misuse(cmd *cobra.Command, err error) error {
	if !cmd.HasParent() {
		return usage("stoker help lists the commands, stoker COMMAND --help its flags", "%v", err)
	}
	path, text := cmd.CommandPath(), err.Error()
	switch {
	case strings.Contains(text, " arg(s)"):
		words := strings.NewReplacer(" 1 arg(s)", " 1 argument", " arg(s)", " arguments", ", only received ", ", and was given ", ", received ", ", and was given ")
		return usage(cmd.UseLine(), "%s %s", path, words.Replace(text))
	case strings.HasPrefix(text, "unknown command ") && !cmd.HasAvailableSubCommands():
		word, _, _ := strings.Cut(strings.TrimPrefix(text, "unknown command "), " for ")
		return usage(cmd.UseLine(), "%s takes no arguments, and was given %s", path, word)
	}
	return usage(path+" --help says what it takes", "%s", goParse.ReplaceAllString(text, ""))
}

// fail prints an error, each line of it as one of its own, and its hint.
func (o *options) fail(e *api.Error) {
	for line := range strings.Lines(e.Message) {
		o.err.wrapped(o.err.bad("error:")+" ", visible(strings.TrimSuffix(line, "\n"), nil))
	}
	if e.Hint != "" {
		o.hint("%s", e.Hint)
	}
}

// hint prints advice beside a result.
func (o *options) hint(format string, args ...any) {
	o.err.wrapped(o.err.dim("hint:")+" ", visible(fmt.Sprintf(format, args...), nil))
}

// explain returns err as an API error, with the code and the hint of its kind. An
// error of no known kind is Internal.
func explain(err error) *api.Error {
	var (
		wire   *api.Error
		conf   *config.Error
		docker *dockerfile.Error
		ignore *ignore.Error
	)
	if e, ok := imageError(err); ok {
		return e
	}
	switch {
	case errors.As(err, &wire):
		// Its message is written for the user; what wraps it is for the log.
		return wire
	case errors.As(err, &conf):
		// The text holds all errors of the file, each with its own hint.
		return &api.Error{Code: api.BadInput, Message: err.Error()}
	case errors.As(err, &docker):
		return &api.Error{Code: api.BadInput, Message: err.Error(), Hint: docker.Hint}
	case errors.As(err, &ignore):
		return &api.Error{Code: api.BadInput, Message: err.Error(), Hint: ignore.Hint}
	case errors.Is(err, suggest.ErrChanged), errors.Is(err, suggest.ErrEdited), errors.Is(err, suggest.ErrDirty), errors.Is(err, suggest.ErrOutside),
		errors.Is(err, suggest.ErrNothingToUndo), errors.Is(err, suggest.ErrTwice):
		return &api.Error{Code: api.BadInput, Message: err.Error()}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return &api.Error{Code: api.BadInput, Message: err.Error()}
	}
	return &api.Error{Code: api.Internal, Message: err.Error()}
}
